"""A training run on Ray Train: it survives what kills its workers, and says what went wrong."""

import os
import signal
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from safetensors.numpy import load_file

from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.session import ray_session
from interlingua.cluster.training import RayTrainer
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft.av import AvProgram
from interlingua.stages.sft.best_weights import WEIGHTS_NAME
from interlingua.store.artifact import build, find

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLED_AT = 7  # the checkpoint before it is that of step 4


class KilledOnce(AvProgram):
    """Dies before a step, the first time that anybody comes to it."""

    def __init__(self, job):
        super().__init__(job)
        self._mark = job.out.parent / "killed"

    def micro_batches(self, step, share):
        if step == KILLED_AT and not self._mark.exists():
            self._mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().micro_batches(step, share)


class Raising(AvProgram):
    """Fails for a reason of its own."""

    def micro_batches(self, step, share):
        raise LookupError(f"nothing for step {step}")


class Trainer(RayTrainer):
    """Trains another program than the stage asks for."""

    def __init__(self, program):
        super().__init__()
        self._program = program

    def fit(self, make, job, place):
        super().fit(self._program, job, place)


@pytest.fixture(scope="module")
def av_stage():
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "av")
    return stage


@pytest.fixture
def own_root(mini_root, tmp_path) -> Path:
    """A root that shares everything before training."""
    root = tmp_path / "root"
    root.mkdir()
    for folder in mini_root.iterdir():
        (root / folder.name).symlink_to(folder)
    return root


@pytest.fixture(scope="module")
def on_head(ray_head):
    """A session on the head, whose workers get this file's classes by value."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ray_head.environment | {"RAY_ADDRESS": ray_head.address}).items():
            patch.setenv(name, value)
        with ray_session() as ray:
            yield ray


def test_a_run_whose_worker_is_killed_ends_where_an_undisturbed_one_ends(
    on_head, av_stage, own_root, mini_nla_root
):
    context = local_context(world_mini().placement, RayPool(), Trainer(KilledOnce))
    artifact = build(av_stage, own_root, context)
    assert (artifact.path.parent / "killed").exists()
    undisturbed = find(av_stage, mini_nla_root)
    ours, theirs = (load_file(a.path / WEIGHTS_NAME) for a in (artifact, undisturbed))
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        np.testing.assert_allclose(ours[name], weight, rtol=1e-3, atol=1e-5, err_msg=name)
    for name in ("dev/nll_real", "dev/nll_shuffled", "dev/nll_zero"):
        assert artifact.record.metrics[name] == pytest.approx(undisturbed.record.metrics[name])


def test_what_the_program_raises_is_raised_once_and_as_it_was(on_head, av_stage, own_root):
    context = local_context(world_mini().placement, RayPool(), Trainer(Raising))
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    with pytest.raises(LookupError, match="nothing for step 0"):
        build(av_stage, own_root, context)
    assert signal.getsignal(signal.SIGINT) is on_ctrl_c  # Ray leaves its own
