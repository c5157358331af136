"""Three nodes with one (fake) accelerator each, and a pair to be reinforced on them."""

import secrets
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ray import cloudpickle
from tests.built import built_inputs
from tests.cluster.rl import spied
from tests.specs.small_rl import SPEC
from tests.stages.rl.conftest import context, make_stage, recipe, talking_root

from interlingua.cluster.local import LocalReinforcer
from interlingua.cluster.session import ray_session, read_authentication_again
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement, ThreeGroups, Workers
from interlingua.stages.rl.job import RlJob

__all__ = ["context", "make_stage", "recipe", "talking_root"]

# A draw that falls on the edge between two tokens falls otherwise where DeepSpeed rounds: of this
# seed none does, so that samples can be compared one by one.
RL = replace(SPEC, seed=1, max_new_tokens=30, watch=replace(SPEC.watch, evaluate_every=100))
LABELS = ("av", "av_init", "ar", "spare")
ONE = Workers(count=1, cpus=1, gpus=1)
LEARNER = LearnerPlacement(
    workers=ONE, device="cpu", batch_rows=64, micro_batch_rows=5, zero_stage=None
)
GROUPS = ThreeGroups(
    av=replace(LEARNER, zero_stage=2),
    av_init=FrozenPlacement(workers=ONE, device="cpu", batch_rows=64),
    ar=LEARNER,
    patience_seconds=120,
    failures_survived=3,
)


@contextmanager
def one_device_a_node(num_nodes):
    """A cluster of such nodes, its head without any; this process is connected to it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: socket paths end at 107 characters
    (folder / "ray").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_TMPDIR": str(folder),
            "RAY_worker_niceness": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            spied.MARK: str(folder),
        }.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        read_authentication_again()
        cloudpickle.register_pickle_by_value(sys.modules[spied.__name__])  # not on the nodes
        store = {"object_store_memory": 80 * 2**20}
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, **store},
        )
        try:
            for label in LABELS[:num_nodes]:
                made.add_node(num_cpus=1, num_gpus=1, labels={"role": label}, **store)
            patch.setenv("RAY_ADDRESS", made.address)
            with ray_session():
                made.wait_for_nodes()
                yield made
        finally:
            made.shutdown()
            cloudpickle.unregister_pickle_by_value(sys.modules[spied.__name__])
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def three_nodes(undisturbed):  # which must not run on them
    with one_device_a_node(3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def make_job(make_stage, talking_root, tmp_path_factory):
    """Makes jobs of runs outside a build."""
    folder = tmp_path_factory.mktemp("rl") / "pair"

    def make(name, rl=RL):
        out = folder.with_name(f"{name}.partial")
        out.mkdir()
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


@pytest.fixture(scope="module")
def undisturbed(make_job):
    """The folder of a run in one process."""
    job = make_job("undisturbed")
    LocalReinforcer().play(spied.Spied(), job, GROUPS)
    return job.out
