"""A table of numbers that is not as it was written: the file, the line, and what to do."""

from dataclasses import replace

import pytest

from interlingua.report.numbers import Number, Numbers, read_numbers, write_numbers


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:-20], r"line \d+"),
        (lambda text: text.replace("0.", "0,", 1), "line 2"),
        (lambda text: text.replace("num_units", "units"), "line 2"),
        (lambda text: text.replace(text.split(",")[10], "much"), "line 2"),
        (lambda text: "\udcff" + text, ""),
    ],
    ids=["cut", "a comma more", "another column", "no number", "no text"],
)
def test_a_damaged_table_is_named(spoil, said, tmp_path):
    path = tmp_path / "numbers.csv"
    number = Number(
        host="a", predictor="sampled", metric="cos", value=0.25, low=0.125, high=0.5,
        num_units=9, covers="passages",
    )  # fmt: skip
    write_numbers(path, Numbers([number, replace(number, host="b")]))
    path.write_text(spoil(path.read_text()), errors="surrogateescape")
    with pytest.raises(ValueError, match=f"{path}.*{said}.* run again"):
        read_numbers(path)
