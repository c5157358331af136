"""The documented numbers of the demo: those of the tables, and what is said beside a run's."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.report.numbers import Numbers
from interlingua.report.terminal.documented import (
    LINES,
    PLACES,
    agrees,
    beside_documented,
    documented,
    interval_words,
)

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"
MACHINES = ["AMD EPYC", "Intel Xeon Processor"]


def tables() -> list[dict[str, list[str]]]:
    """The demo's tables, one a machine: cells by label."""
    section = RESULTS.read_text().partition("## The demo")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    rows = [[line.strip("|").split("|") for line in block.splitlines()] for block in blocks]
    return [{cells[0].strip(): [*map(str.strip, cells[1:])] for cells in table} for table in rows]


@pytest.mark.parametrize("place", range(2), ids=MACHINES)
def test_the_tables_are_those_of_the_file(place):
    one, table = documented()[place], tables()[place]
    assert one.machine == MACHINES[place]
    for label, (predictor, metric) in LINES.items():
        found = [one.get(host, predictor, metric) for host in PLACES]
        assert [cell.removeprefix("+") for cell in table[label]] == list(map(interval_words, found))


def test_a_run_on_a_documented_machine_agrees_with_itself():
    known = documented()[1]
    lines = beside_documented(Numbers(known.numbers))
    assert len(lines) <= 8 and "AMD EPYC" in lines[0] and "Intel Xeon" in lines[0]
    assert all(line.endswith("agrees") for line in lines[1:-1])


def test_a_run_whose_numbers_are_others_differs():
    known = documented()[1].numbers
    apart = [replace(n, value=n.value - 1, low=n.low - 1, high=n.high - 1) for n in known]
    *lines, verdict = beside_documented(Numbers(apart))
    assert all(line.endswith("differs") for line in lines[1:]) and "do not all agree" in verdict


def test_each_value_must_lie_within_the_other_interval():
    one = documented()[0].numbers[0]
    wide = replace(one, value=one.value + 0.1, low=one.low - 1, high=one.high + 1)
    assert agrees(one, one) and not agrees(one, wide) and not agrees(wide, one)


def test_of_another_recipe_nothing_is_documented():
    assert beside_documented(Numbers(documented()[0].numbers), recipe="world") == []
