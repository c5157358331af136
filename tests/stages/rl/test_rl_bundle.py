"""The bundle of a reinforced pair says that it was reinforced."""

from dataclasses import replace

import pytest
import yaml
from tests.specs.small_rl import SPEC

from interlingua.models.bundle.nla import NLA
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import build, find

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundles(recipe, talking_root, context):
    """The bundles of the supervised and of the reinforced pair."""
    both = replace(recipe, rl=(SPEC,))
    graph = needed_for("bundle", graph_of(both))
    for stage in graph:
        build(stage, talking_root, context)
    found = {s.label: find(s, talking_root).path for s in graph if s.kind == "bundle"}
    return {"sft": found["world_mini"], "rl": found["world_mini-rl"]}


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_sidecars_and_manifest_say_which_training_came_last(stage, bundles):
    for name in ("av", "ar"):
        sidecar = yaml.safe_load((bundles[stage] / name / "nla_meta.yaml").read_text())
        assert (sidecar["role"], sidecar["stage"]) == (name, stage)
    assert NLA.load(bundles[stage]).manifest.stage == stage
