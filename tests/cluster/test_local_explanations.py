"""Workers of a cluster explain as one process does, also where one of them dies in mid-block."""

import os
import signal
import sys

import pytest
from tests.stages.rows.local_explanations import placed, stages_of, taught

from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.session import ray_session
from interlingua.specs.placement import Workers
from interlingua.stages.rows.block_teacher import BlockTeacher
from interlingua.store.artifact import build, folder
from interlingua.store.rows.explanations import EXPLANATIONS_NAME

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TWO = Workers(count=2, cpus=1, gpus=0)


class KilledOnce(BlockTeacher):
    """Dies in its second block, when its texts are drawn and the note that it is done is not."""

    def _explained(self, block):
        rows = list(super()._explained(block))
        mark = block.out.parent / "killed"
        if block.index == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from rows


class KillingPool(RayPool):
    """The pool of the cluster, in which one actor is killed in mid-block."""

    def map(self, worker, job, items, workers):
        assert worker is BlockTeacher and workers is TWO
        return super().map(KilledOnce, job, items, workers)


@pytest.fixture(scope="module")
def on_head(ray_head):
    """This process is connected to the head of the session; workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
            patch.setenv(name, value)
        with ray_session():
            yield
    cloudpickle.unregister_pickle_by_value(module)


def built(recipe, root, placement, pool=None):
    context = local_context(placement, pool)
    return [build(stage, root, context) for stage in stages_of(recipe).values()][-1]


def test_two_workers_one_of_which_dies_explain_as_one_process_does(on_head, tmp_path):
    recipe, root = taught(tmp_path, tmp_path / "chat"), tmp_path / "root"
    placement = placed(recipe, block_rows=5, batch_rows=4, workers=TWO)
    pooled = built(recipe, root, placement, KillingPool())
    stage = stages_of(recipe)["explanations"]
    assert (folder(stage, root).parent / "killed").exists()
    alone = placed(recipe, block_rows=64, batch_rows=16)
    local = built(recipe, tmp_path / "local", alone)
    texts = [(one.path / EXPLANATIONS_NAME).read_bytes() for one in (pooled, local)]
    assert texts[0] == texts[1]
    assert pooled.record.metrics == local.record.metrics
