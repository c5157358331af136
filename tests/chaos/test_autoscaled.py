"""A cluster that starts with no node but its head: Ray's own autoscaler adds what is waited for.

Its provider is Ray's fake one, which starts nodes on this machine; the GPUs are not there.
"""

import logging
import os
import sys
from dataclasses import dataclass, replace

import pytest
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from interlingua.cluster import placement
from interlingua.cluster.head import ray_head
from interlingua.cluster.local import local_context
from interlingua.cluster.placement import DoesNotFit, Patience
from interlingua.cluster.schedule import RayBackend
from interlingua.recipes.placements import one_gpu
from interlingua.specs.placement import WorkKind
from interlingua.store.artifact import Stage, find

MARK = "INTERLINGUA_TEST_AUTOSCALED"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
COMMANDS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files",
    "rsync_exclude", "rsync_filter",
)  # fmt: skip
ONE_GPU = replace(one_gpu(), cpus_per_stage=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a toy stage is asked for."""

    number: int


class Silent:
    """A watcher that nobody needs."""

    def on_preflight(self, lines):
        pass

    def on_done(self, stage, artifact):
        pass

    def on_tick(self, running):
        pass


def see(spec, inputs, out, context):
    return {"shown": os.environ.get("CUDA_VISIBLE_DEVICES", "all")}


def toy(number, **fields):
    return Stage(
        kind="toy", label=f"{number}", spec=Spec(number=number), run=see, inputs={}, revision=1,
        **fields,
    )  # fmt: skip


def autoscaling(address):
    node = {"node_config": {}, "min_workers": 0}
    worker = {"CPU": 2, "GPU": 2, "object_store_memory": 10**8}
    return {
        "cluster_name": "fake",
        "max_workers": 1,
        "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": address,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in COMMANDS},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
            "gpu": {**node, "resources": worker, "labels": {"role": "ar"}, "max_workers": 1},
        },
    }


@pytest.fixture
def growing(monkeypatch, wait_until_gone):
    """The head of such a cluster; stages go to it, and its workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    variables = {
        MARK: str(os.getpid()),
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    }
    with ray_head(num_cpus=2, variables=variables, autoscaling=autoscaling) as head:
        for name, value in {"RAY_ADDRESS": head.address, **head.environment}.items():
            monkeypatch.setenv(name, value)
        yield head
    cloudpickle.unregister_pickle_by_value(module)
    wait_until_gone(MARK, str(os.getpid()))


def built(stages, root, placement=ONE_GPU):
    RayBackend().build_all(stages, root, local_context(placement), Silent())
    return {stage.name: find(stage, root).record.metrics["shown"] for stage in stages}


@pytest.mark.ray
def test_what_a_node_type_has_is_added_and_what_none_has_is_refused(
    growing, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(placement, "PATIENCE", Patience(voice_seconds=1, check_seconds=0.5))
    speaking = [toy(n, device=WorkKind.VERBALIZING) for n in range(3)]
    with pytest.raises(DoesNotFit) as refused:
        built(speaking, tmp_path, replace(ONE_GPU, gpus_per_stage=3))
    assert "asks for 1 x (0.5 CPUs, 3 GPUs); of 1 nodes the largest is" in str(refused.value)
    assert "of what may be added the largest is gpu (to be added): 2 CPUs, 2 GPUs" in str(
        refused.value
    )
    found = built([*speaking, toy(9)], tmp_path)
    assert found.pop("toy/9") == ""
    assert set(found.values()) <= {"0", "1"}
    spoken = [record.getMessage() for record in caplog.records]
    assert any("for which nodes may be added" in line for line in spoken)
