"""The universal table on terminals: it fits, and never prints a number without its company."""

from dataclasses import replace

import pytest
from rich.console import Console
from tests.report.conftest import of_real_hosts, sentences

from interlingua.report.numbers import Numbers
from interlingua.report.tables.columns import REFERENCES
from interlingua.report.tables.grid import rich_tables
from interlingua.report.tables.material import read_material
from interlingua.report.tables.universal import (
    summary_grid,
    training_grid,
    universal_grids,
    universal_tables,
)

pytestmark = pytest.mark.slow

CUT = "\N{HORIZONTAL ELLIPSIS}"


def printed(material, width) -> str:
    console = Console(width=width, record=True, force_terminal=False)
    for table in universal_tables(material.numbers, material.roles, width=width):
        console.print(table)
    return console.export_text()


@pytest.fixture
def material(evaluated):
    return read_material("world", evaluated(is_rewarded=True), ())


@pytest.mark.parametrize("width", [100, 160])
def test_no_row_is_broken(material, width) -> None:
    text = printed(material, width)
    lines = [line for line in text.splitlines() if "toy-gpt2-medium" in line]
    assert CUT not in text
    assert max(map(len, text.splitlines())) <= width
    # A row that was broken would leave a bound without its other.
    assert all(line.count("[") == line.count("]") for line in lines)
    for title in ("Round trip", "Controls", "Texts and retrieval", "uncentred FVE"):
        assert title in text


def test_the_uncentred_number_has_the_constant_predictors_beside_it(material) -> None:
    material = of_real_hosts(material)
    *_, grid = universal_grids(material.numbers, material.roles)
    assert "FVE_pipeline_meannorm" in grid.title
    assert grid.columns == (
        "sampled (T=1)", "greedy", "constant predictor", "published: v6", "published: baseline",
    )  # fmt: skip
    (row,) = (row for row in grid.rows if row.labels[0] == "bloom-560m")
    assert row.cells[2].name == "bloom-560m|constant_vector|fve_uncentred|passages"
    assert [cell.text for cell in row.cells[3:]] == ["0.914", "0.38"]
    # Also where no constant predictor was scored, its place is seen to be empty.
    bare = Numbers([n for n in material.numbers.all if n.predictor != "constant_vector"])
    *_, grid = universal_grids(bare, material.roles)
    assert {row.cells[2].text for row in grid.rows} == {"-"}


def test_nothing_published_stands_beside_toys(material) -> None:
    *_, grid = universal_grids(material.numbers, material.roles)
    assert grid.columns == ("sampled (T=1)", "greedy", "constant predictor")
    for text in (grid.title, grid.caption, printed(material, 160)):
        assert "published" not in text and "FVE_pipeline_meannorm" not in text
    assert "published" not in str(sentences(material))
    real = of_real_hosts(material)
    assert "published as FVE_pipeline_meannorm" in str(sentences(real))


def test_the_nla_comes_first_then_what_it_must_beat_from_weak_to_strong(material) -> None:
    grids = universal_grids(material.numbers, material.roles)
    titles = [grid.title.partition(":")[0] for grid in grids[:4]]
    assert titles == ["Round trip", "Controls", "Baselines", "References"]
    assert {grid.columns[0] for grid in grids[:4]} == {"sampled (T=1)"}
    assert grids[2].columns == ("sampled (T=1)", "language+topic", "bag of words")
    # Nothing is named a ceiling that the NLA reaches.
    ceilings = [one for one in grids[3].columns if one.endswith(" (ceiling)")]
    whole = material.whole
    for one in REFERENCES[1:]:
        less = material.numbers.get(whole, f"sampled - {one.predictor}", "fve_centred_own")
        assert (f"{one.title} (ceiling)" in ceilings) == (less is not None and less.high < 0)
    assert ceilings
    assert not any("(ceiling)" in title for grid in grids[:3] for title in grid.columns)


def test_groups_have_intervals_of_both_kinds(material) -> None:
    grid = universal_grids(material.numbers, material.roles)[0]
    means = [row.labels for row in grid.rows if row.is_mean]
    assert means == [
        (group, f"over {units}")
        for group in ("mean trained", "mean held out", "mean all", "trained - held out")
        for units in ("passages", "hosts")
    ]
    over_passages, over_hosts = (row.cells[0] for row in grid.rows if row.labels[0] == "mean all")
    assert over_passages.value == over_hosts.value
    assert over_passages.has_interval and over_hosts.doubt == "n=4 hosts"


def test_reward_training_is_shown_from_its_start(material) -> None:
    grid = training_grid(material.numbers, material.roles)
    row = grid.rows[0]
    before, after, gain = (cell.value for cell in row.cells[:3])
    assert before == pytest.approx(after - gain)
    assert grid.columns[:3] == ("sampled: before RL", "sampled: after RL", "sampled: gain")
    assert row.cells[2].doubt


def test_one_host_alone_has_no_groups(evaluated) -> None:
    material = read_material("world_token", evaluated(hosts={"toy-qwen3-1p7b": "anchor"}), ())
    assert material.whole == "toy-qwen3-1p7b"
    for grid in universal_grids(material.numbers, material.roles):
        assert [row.labels for row in grid.rows] == [("toy-qwen3-1p7b", "anchor")]
    assert training_grid(material.numbers, material.roles) is None
    assert "mean" not in printed(material, 160).replace("over mean direction", "").replace(
        "meannorm", ""
    ).replace("mean cosine", "")


def test_the_summary_fits_a_screen(material):
    tables = list(rich_tables(summary_grid(material.numbers, material.roles), 160))
    assert len(tables) == 1
    titles = [column.header for column in tables[0].columns]
    assert titles[2] == "sampled (T=1)" and "constant" in titles


def test_a_grid_of_labels_alone_is_one_table(material) -> None:
    grid = summary_grid(material.numbers, material.roles)
    rows = tuple(replace(row, cells=()) for row in grid.rows)
    (table,) = rich_tables(replace(grid, columns=(), rows=rows), 80)
    assert table.row_count == len(rows)
