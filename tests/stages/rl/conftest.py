"""A pair that speaks, if badly: trained long enough to close its tags in most samples."""

import os
import shutil

import pytest
from tests.built import built_inputs
from tests.specs.writing import writing_mini

from interlingua.cluster.local import local_context
from interlingua.specs.rl import RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.graph.hosts import rows_stage
from interlingua.stages.graph.order import graph_of
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.rl.job import RlHost, RlInputs, RlJob
from interlingua.stages.rl.stage import rl_stage
from interlingua.store.artifact import build


@pytest.fixture(scope="session")
def recipe():
    """A recipe whose AV closes its tags."""
    return writing_mini()


@pytest.fixture(scope="session")
def context(recipe):
    """Everything in this process."""
    return local_context(recipe.placement)


@pytest.fixture(scope="session")
def make_stage(recipe):
    """The stage that reinforces the pair as a spec says, and all that it needs."""
    stages = {(stage.kind, stage.label): stage for stage in graph_of(recipe)}
    passages = stages["passages", "world"]
    models = PairInputs(stages["host", recipe.anchor], stages["av", "sft"], stages["ar", "sft"])
    hosts = {}
    for tag in recipe.learning_tags():
        host, encoder = stages["host", tag], stages["encoder", tag]
        rows = rows_stage(recipe, tag, host, passages, (Split.RL,))
        hosts[tag] = RlHost(rows, *encoder.inputs.own, encoder)

    def make(rl, host_tags=None):
        spec = RlTraining(
            rl=rl,
            av=recipe.av,
            ar=recipe.ar,
            anchor=recipe.anchor,
            host_tags=host_tags or recipe.learning_tags(),
        )
        of_spec = {tag: hosts[tag] for tag in spec.host_tags}
        return rl_stage(spec, RlInputs(models, passages, of_spec), "pair")

    return make


@pytest.fixture(scope="session")
def talking_root(mini_root, make_stage, context, tmp_path_factory):
    """A root with everything that the stage needs."""
    from tests.specs.small_rl import SPEC

    root = tmp_path_factory.mktemp("talking") / "root"
    shutil.copytree(mini_root, root, copy_function=os.link)
    for stage in make_stage(SPEC).upstream.values():
        build(stage, root, context)
    return root


@pytest.fixture
def own_root(talking_root, tmp_path):
    """A root that shares everything before reinforcement."""
    for folder in talking_root.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


@pytest.fixture
def make_job(make_stage, talking_root, tmp_path):
    """The job of a stage outside a build."""
    out = tmp_path / "rl.partial"
    out.mkdir()

    def make(rl):
        stage = make_stage(rl)
        return RlJob(
            spec=stage.spec,
            inputs=built_inputs(stage, talking_root),
            out=out,
            micro_batch_rows=5,
            batch_rows=64,
            threads=1,
            device="cpu",
        )

    return make
