"""Tables of records: every column has its cell, and a number that is missing is an error."""

import pytest
from rich.console import Console

from interlingua.recipes.world import world_mini
from interlingua.report.terminal.tables import tables_of
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.store.provenance import Provenance
from interlingua.store.record import Record

READ = {
    "num_passages": 2359,
    "num_rows": 2357,
    "num_tokens": 87_654,
    "rows_per_cpu_second": 123.4,
    "num_truncated": 11,
    "num_without_rows": 2,
    "num_read_wider": 33,
    "num_not_finite": 4,
}
SCORES = {
    "width": 48,
    "block_index": 3,
    "num_rows": 2350,
    "dev/fve_centred_own": 0.612,
    "dev/fve_centred_own_low": 0.581,
    "dev/fve_centred_own_high": 0.643,
    "dev/fve_centred_own_n": 840,
    "constant/fve_centred_own": -0.021,
    "shuffled/fve_centred_own": -0.71,
    "effective_rank": 37.4,
    "is_rank_deficient": False,
}
FITTED = {"ridge": 0.001, "condition_number": 5400.0}
ROLES = {"big": "anchor", "small": "trained"}


def record(kind, label, metrics):
    provenance = Provenance(
        git_commit=None,
        git_is_dirty=None,
        argv=(),
        python="3",
        packages={},
        hostname="here",
        ray_job_id=None,
    )
    return Record(
        kind=kind,
        label=label,
        fingerprint="0" * 12,
        revision=1,
        spec={},
        inputs={},
        seed=None,
        started="",
        finished="",
        seconds=0.0,
        num_attempts=1,
        placement=None,
        files={},
        provenance=provenance,
        metrics=metrics,
    )


def shown(tables):
    """What a wide terminal shows, a list of cells for every line."""
    console = Console(width=400, record=True, file=None, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        for table in tables:
            console.print(table)
    lines = capture.get().splitlines()
    marks = "\u2502\u2503"
    return [
        [cell.strip() for cell in line.replace(marks[1], marks[0]).split(marks[0])[1:-1]]
        for line in lines
    ]


def test_an_activations_table_has_every_count() -> None:
    [table] = tables_of([record("activations", "big-fit", READ)], ROLES)
    lines = shown([table])
    assert ["host and split", "passages", "rows", "tokens", "rows/s", "cut", "no row", "wider",
            "not finite"] in lines  # fmt: skip
    assert ["big-fit", "2,359", "2,357", "87,654", "123", "11", "2", "33", "4"] in lines


def test_an_encoder_table_has_every_score_and_role() -> None:
    [table] = tables_of(
        [record("encoder", "big", SCORES), record("encoder", "small", SCORES | FITTED)], ROLES
    )
    lines = shown([table])
    own = ["48", "3", "2350", "0.61 [0.58, 0.64]", "-0.021", "-0.71"]
    assert ["big", "anchor", *own, "identity", "37", "-"] in lines
    assert ["small", "trained", *own, "0.001", "37", "5e+03"] in lines


def test_a_fit_that_its_rows_do_not_determine_says_so() -> None:
    metrics = SCORES | FITTED | {"is_rank_deficient": True}
    [line] = [c for c in shown(tables_of([record("encoder", "small", metrics)], ROLES)) if
              c[:1] == ["small"]]  # fmt: skip
    assert "37 (rank-deficient)" in line


@pytest.mark.parametrize(("kind", "metrics"), [("activations", READ), ("encoder", SCORES | FITTED)])
def test_a_missing_number_is_an_error(kind, metrics) -> None:
    for name in metrics.keys() - FITTED.keys():
        without = {key: value for key, value in metrics.items() if key != name}
        with pytest.raises(KeyError, match=name):
            tables_of([record(kind, "small", without)], ROLES)


def test_what_has_no_table_is_left_out_and_nothing_gives_nothing() -> None:
    assert tables_of([], ROLES) == []
    assert tables_of([record("passages", "world", {"passages/fit": 3})], ROLES) == []


@pytest.mark.slow
def test_a_whole_recipe_shows_its_tables_in_the_order_of_the_method(mini_nla_root) -> None:
    recipe = world_mini()
    records = [find(stage, mini_nla_root).record for stage in graph_of(recipe)]
    tables = tables_of(records[::-1], recipe.roles())
    starts = ["Hosts on", "Activations", "Oracle", "Encoders", "AV after", "AR after"]
    assert len(tables) == len(starts)
    for table, start in zip(tables, starts, strict=True):
        assert str(table.title).startswith(start)
        first_cells = [line[0] for line in shown([table]) if line]
        is_of_pair = start in {"AV after", "AR after"}
        assert is_of_pair or any(cell.startswith("toy-lfm-7b") for cell in first_cells)
        assert all(cell for line in shown([table]) if line[:1] == ["toy-lfm-7b"] for cell in line)
