"""A run whose evaluation failed a gate ends with an error, after everything was written."""

import os
import shutil

import pytest

from interlingua.recipes.world import world, world_mini
from interlingua.specs.evaluation import GateName
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

UNTIL = ("--until", "report")
NOTHING = "evaluation.accepts="  # an empty tuple is written as nothing at all


def accepts(*overrides):
    return with_overrides(world_mini(), overrides).evaluation.accepts


def test_gates_are_accepted_by_name_on_the_command_line():
    assert accepts() == tuple(GateName)
    assert accepts(NOTHING) == ()
    assert accepts("evaluation.accepts=collapsed_texts") == (GateName.COLLAPSED_TEXTS,)
    two = (GateName.COLLAPSED_TEXTS, GateName.NULL_RANGE)
    assert accepts("evaluation.accepts=collapsed_texts, null_range") == two
    assert world().evaluation.accepts == ()


@pytest.mark.parametrize("text", ["few", "none", "()", "[]", "collapsed_texts,", "COLLAPSED_TEXTS"])
def test_what_is_no_gate_is_refused_with_the_names_of_all(text):
    with pytest.raises(ValueError) as caught:
        accepts(f"evaluation.accepts={text}")
    assert f"evaluation.accepts is '{text}'; it must be tuple[" in str(caught.value)
    assert [name for name in GateName if name not in str(caught.value)] == []


@pytest.mark.ray
@pytest.mark.slow
def test_a_gate_that_nobody_accepted_fails_the_run_after_all_is_written(
    start_job, mini_nla_root, tmp_path
):
    root = tmp_path / "root"
    skipped = shutil.ignore_patterns("*.lock", "mlflow*", "tracked.json")
    shutil.copytree(mini_nla_root, root, copy_function=os.link, ignore=skipped)
    process = start_job("world_mini", "--root", root, "--set", NOTHING, *UNTIL)
    _, err = process.communicate()
    assert process.returncode == 1
    stages = graph_of(with_overrides(world_mini(), [NOTHING]))
    found = {stage.kind: find(stage, root) for stage in stages}
    assert found["evaluation"] is not None and found["report"] is not None
    names = found["evaluation"].record.metrics["failed_gates"]
    assert {"collapsed_texts", "tag_failures", "ignores_vector"} <= set(names)
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert f"evaluation/world_mini failed {', '.join(names)}: its numbers do not count" in line
    assert err.splitlines()[-1] == line
    # The remedy that it names is one.
    remedy = line.rpartition("--set ")[2]
    recipe = with_overrides(world_mini(), [NOTHING, remedy])
    assert recipe.evaluation.accepts == tuple(map(GateName, names))
