"""Tables of text: every column as wide as its widest cell, nothing behind the last."""

import pytest

from interlingua.memory.table import table_lines


def test_cells_stand_under_the_names_of_their_columns():
    lines = table_lines(("role", "GiB", "note"), [("av", "12.5", ""), ("av_init", "3", "frozen")])
    assert lines == [
        "   role   GiB    note",
        "     av  12.5",
        "av_init     3  frozen",
    ]


def test_without_rows_the_names_are_left():
    assert table_lines(("role", "GiB"), []) == ["role  GiB"]


def test_a_row_that_lacks_a_cell_is_refused():
    with pytest.raises(IndexError):
        table_lines(("role", "GiB"), [("av",)])
