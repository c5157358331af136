"""The table of a tour, and a step that fails; tests/full/test_tour.py walks the whole of it."""

import io
import sys

import pytest
from rich.console import Console

from interlingua.commands.touring.tour import NAMES, Done, Tour, TourFailed, main, tour_parser
from interlingua.commands.touring.tour_results import tour_table
from interlingua.recipes.world import world_mini


def shown(table):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


@pytest.fixture
def tour(tmp_path):
    arguments = tour_parser().parse_args(["world_mini", "--set", "a b=c"])
    return Tour(world_mini(), arguments, tmp_path, Console(record=True, width=200))


def test_the_table_says_which_step_failed_and_which_were_not_run():
    lines = shown(tour_table(NAMES, [Done(3.4, "a head"), Done(90.6, "FVE 0.5")])).splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in lines if "│" in line]
    assert rows[:4] == [
        ["cluster", "3", "a head"],
        ["train, reinforce, evaluate", "91", "FVE 0.5"],
        ["sweep", "-", "FAILED"],
        ["serve", "-", "not run"],
    ]
    assert len(rows) == len(NAMES)


def test_a_command_that_fails_shows_its_last_lines_and_where_the_others_are(tour):
    program = "print(*range(100), sep='\\n'); raise SystemExit(3)"
    with pytest.raises(
        TourFailed, match=r"cluster failed: python.* \(all of it: .*1-cluster.log\)"
    ):
        tour._run([sys.executable, "-c", program], {})
    text = tour.console.export_text()
    assert "\n99\n" in text and "\n80\n" in text and "\n79\n" not in text
    assert (tour.logs / "1-cluster.log").read_text().startswith("0\n1\n")
    assert not tour.done


@pytest.mark.parametrize(
    ("arguments", "recipe"), [([], "demo"), (["world"], "world"), (["--recipe", "x.py"], "x.py")]
)
def test_without_a_recipe_it_walks_the_demo(arguments, recipe):
    assert tour_parser().parse_args(arguments).recipe == recipe


def test_it_says_where_it_must_be_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="from the root of the repository"):
        main(tour_parser().parse_args(["world_mini", "--root", str(tmp_path)]))
