"""A pair that learns from the trained hosts alone, in the space of an anchor that it never saw."""

import os
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from tests.specs.small_rl import SPEC

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.cells import cell_stages
from interlingua.stages.graph.order import graph_of
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.stages.sft.best_weights import ROWS_NAME
from interlingua.store.artifact import find

TRAINED, ANCHOR = "toy-gpt2-medium", "toy-qwen3-1p7b"


def recipe():
    mini = world_mini()
    return replace(
        mini,
        anchor_learns=False,
        av=replace(mini.av, encoder_learning_rate=1e-3),
        rl=(replace(SPEC, num_steps=2, max_new_tokens=8),),
    )


def test_neither_model_learns_from_it_and_all_that_comes_after_knows_it(mini_root, tmp_path):
    torch.set_num_threads(1)
    root = tmp_path / "root"
    shutil.copytree(mini_root, root, copy_function=os.link)
    made = recipe()
    stages = [*graph_of(made), *cell_stages(made, "cell")]
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, local_context(made.placement), watcher)
    of_kind = {stage.kind: find(stage, root) for stage in stages}
    for kind in ("av", "ar", "rl"):
        assert of_kind[kind].record.spec["host_tags"] == [TRAINED], kind
    for kind in ("av", "ar"):  # what they were evaluated on while they learned
        assert set(pq.read_table(of_kind[kind].path / ROWS_NAME)["host"].to_pylist()) == {TRAINED}
    # Its variance is what an FVE is stated by, whether it was learned from or not.
    assert of_kind["ar"].record.metrics["train_variance"] > 0
    scored = {stage.label for stage in stages if stage.kind == "scored"}
    assert {f"{ANCHOR}", f"{TRAINED}"} <= scored
    assert of_kind["report"] is not None and of_kind["cell"] is not None


def test_a_pair_that_learns_from_no_host_is_refused():
    mini = world_mini()
    anchor = (mini.host(ANCHOR),)
    with pytest.raises(ValueError, match="anchor_learns is false and Recipe.trained is empty"):
        replace(mini, anchor_learns=False, hosts=anchor, trained=(), held_out=())
