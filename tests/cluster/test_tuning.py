"""A sweep on Ray Tune: failed cells are marked, finished ones known, and a cell is a recipe."""

import argparse
import csv
import os
import shutil
from dataclasses import replace

import pytest

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.cluster.tuning import FOLDER_PREFIX, in_process
from interlingua.commands.sweeping import sweep as command
from interlingua.core.contrasts import Contrast
from interlingua.recipes.world import world_mini
from interlingua.report.page.page import PAGE_NAME
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store.artifact import find
from interlingua.sweeps.results import sweep_stage
from interlingua.sweeps.sweep import Sweep, axis_of, cells_of, own_stages, shared_stages
from interlingua.sweeps.tables import CELLS_NAME, EFFECTS_NAME

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FAST, FASTER, DIVERGES = (f"learning_rate-{rate}" for rate in ("1e-3", "1e-2", "1e30"))
SOUND = Sweep(
    name="rates",
    base=world_mini(),
    axes=(axis_of("av.optim.learning_rate=1e-3,1e-2"),),
    seeds=(0, 1),
    contrasts=(Contrast(name="faster", weights={FASTER: 1.0, FAST: -1.0}),),
)
SWEEP = replace(SOUND, axes=(axis_of("av.optim.learning_rate=1e-3,1e-2,1e30"),))


def arguments(root):
    return argparse.Namespace(root=root, dry_run=False)


@pytest.fixture(scope="module")
def swept(mini_root, tmp_path_factory):
    """A root in which a sweep ran whose last setting diverges, and what the command said."""
    root = tmp_path_factory.mktemp("swept") / "runs"
    shutil.copytree(mini_root, root, copy_function=os.link)
    with pytest.raises(command.CellsFailed) as failed:
        command.run_sweep(SWEEP, arguments(root))
    return root, str(failed.value)


def test_a_diverged_cell_is_marked_and_the_others_end(swept):
    root, said = swept
    assert said.startswith("2 of 6 cells failed")
    assert f"{DIVERGES}-seed0: TrainingDiverged: the loss of step" in said
    done = [cell for cell in cells_of(SWEEP) if find(cell.stage, root) is not None]
    assert {cell.setting for cell in done} == {FAST, FASTER}


def test_what_is_finished_is_not_trained_again(swept, monkeypatch, capsys):
    root, _ = swept
    monkeypatch.setattr("interlingua.cluster.tuning.run_trials", None)
    command.run_sweep(SOUND, arguments(root))
    assert "all 4 cells are done" in capsys.readouterr().out
    result = find(sweep_stage(SOUND, list(cells_of(SOUND)), []), root)
    assert result is not None
    page = (result.path / PAGE_NAME).read_text()
    assert "All 4 cells are finished" in page and "faster" in page
    effects = list(csv.DictReader((result.path / EFFECTS_NAME).open()))
    assert {row["score"] for row in effects} == {"log_likelihood", "fve", "retrieval_top1"}
    assert all(float(row["detectable"]) >= 0 for row in effects)
    assert len(list(csv.DictReader((result.path / CELLS_NAME).open()))) == 4


def test_the_page_of_a_sweep_with_failures_names_them(swept):
    root, _ = swept
    pages = [path.read_text() for path in root.glob(f"sweep/*/{PAGE_NAME}")]
    assert any("2 cells have no rows" in page and f"{DIVERGES}-seed0" in page for page in pages)


def test_a_record_says_which_trial_it_was_and_nothing_of_tune_is_left(swept):
    root, _ = swept
    trials = set()
    for cell in cells_of(SOUND):
        artifact = find(cell.stage, root)
        assert artifact is not None
        trials.add(artifact.record.provenance.trial_id)
    assert None not in trials and len(trials) == 4, "a trial a cell"
    assert not list(root.glob(f"{FOLDER_PREFIX}*"))


def test_a_cell_is_the_recipe_alone(swept, tmp_path):
    """Bit for bit: the same loop, in the process of the stage."""
    root, _ = swept
    cells = cells_of(SOUND)
    shared = shared_stages(cells)
    alone = tmp_path / "alone"
    shutil.copytree(root, alone, copy_function=os.link)
    for stage in own_stages(cells[0], shared):
        artifact = find(stage, alone)
        assert artifact is not None
        shutil.rmtree(artifact.path)
    placement = in_process(cells[0].recipe.placement)
    with ConsoleWatcher(alone, cells[0].stages) as watcher:
        LocalBackend().build_all(cells[0].stages, alone, local_context(placement), watcher)
    for stage in own_stages(cells[0], shared):
        here, there = find(stage, root), find(stage, alone)
        assert here is not None and there is not None
        if stage.kind != "verbalized":  # it counts its CPU time
            assert here.record.metrics == there.record.metrics
        for name in ("weights.safetensors", "rows.parquet"):
            if (here.path / name).exists():
                assert (here.path / name).read_bytes() == (there.path / name).read_bytes()
