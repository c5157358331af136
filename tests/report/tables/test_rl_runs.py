"""Runs side by side: every one with its own numbers, every ablation with its seeds as units."""

from dataclasses import replace

import numpy as np
import pytest
from tests.report.conftest import GATES, evaluation_at, record_of, sentences

from interlingua.report.numbers import ALL, Numbers
from interlingua.report.page.sections import sections_of
from interlingua.report.tables.material import read_material
from interlingua.report.tables.rl_runs import RlRun, read_rl_run, rl_runs_grid
from interlingua.store.artifact import Artifact

pytestmark = pytest.mark.slow

PASSED = GATES[0]
FAILED = {**PASSED, "name": "collapsed_texts", "is_passed": False, "words": "texts repeat"}
GAIN = ("sampled - start", "fve_centred_own")


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluation_at(tmp_path_factory.mktemp("root"), is_rewarded=True)


@pytest.fixture(scope="module")
def runs(evaluation):
    """Five seeds of one ablation, one run of another; every seed gained .1 more than the last."""

    def run_of(tag, above, gates, stopped_by):
        metrics = {"dev/kl_per_token": 0.2 + above, "stopped_by": stopped_by}
        found = read_rl_run(evaluation, [Artifact(evaluation.path, record_of("rl", tag))])
        numbers = [replace(one, value=one.value + above) for one in found.numbers.all]
        return RlRun(
            run=record_of("rl", tag, metrics=metrics),
            evaluation=record_of("evaluation", tag, metrics={"gates": gates}),
            numbers=Numbers(numbers),
        )

    return [
        run_of("both-0", 0.0, [PASSED], ""),
        run_of("both-1", 0.1, [PASSED], ""),
        *(run_of(f"both-{seed}", seed / 10, [PASSED], "") for seed in (2, 3, 4)),
        run_of("odd", 0.3, [PASSED, FAILED], "unique_share is 0.1, below its gate at 0.8"),
    ]


def test_a_row_a_run_and_a_mean_an_ablation_over_its_seeds(runs):
    grid = rl_runs_grid(runs)
    labels = [row.labels[0] for row in grid.rows]
    assert labels == [*(f"both-{seed}" for seed in range(5)), "mean of both", "odd"]
    *own, mean, odd = grid.rows
    gains = [run.numbers[ALL, *GAIN].value for run in runs]
    assert [row.cells[0].value for row in (*own, odd)] == pytest.approx(gains)
    # Student's t with four degrees of freedom is 2.776 at 95%.
    half = 2.776 * np.std(gains[:5], ddof=1) / np.sqrt(5)
    assert mean.cells[0].value == pytest.approx(np.mean(gains[:5]))
    assert mean.cells[0].high - mean.cells[0].value == pytest.approx(half, rel=1e-3)
    assert mean.cells[0].name == "both|sampled - start|fve_centred_own|seeds" and mean.is_mean
    names = [cell.name for row in grid.rows for cell in row.cells if cell.name]
    assert len(set(names)) == len(names)  # no number of one run under the name of another's
    gates, ended = grid.columns.index("gates"), grid.columns.index("ended by")
    assert [row.cells[gates].text for row in (own[0], odd)] == ["passed", "collapsed_texts"]
    assert [row.cells[ended].text for row in (own[0], odd)] == [
        "its last step",
        "unique_share is 0.1",
    ]


def test_two_seeds_have_a_mean_and_no_interval(runs):
    grid = rl_runs_grid(runs[:2])
    (mean,) = (row for row in grid.rows if row.is_mean)
    assert mean.cells[0].doubt == "n=2 seeds" and not mean.cells[0].has_interval


def test_a_page_of_several_runs_says_which_one_it_shows(evaluation, runs):
    runs = [replace(runs[0], evaluation=evaluation.record), *runs[1:]]
    material = read_material("world", evaluation, (), runs)
    told = ["".join(part if isinstance(part, str) else part.text for part in s)
            for s in sentences(material)]  # fmt: skip
    assert told[1] == "All of it is of run both-0; 6 runs stand beside each other under RL runs."
    assert [section.title for section in sections_of(material)][1] == "RL runs"
    alone = read_material("world", evaluation, ())
    assert "RL runs" not in [section.title for section in sections_of(alone)]
