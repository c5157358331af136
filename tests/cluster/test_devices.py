"""Ray deals out devices to stages that use one in their own process, and hides all others.

The GPUs of the session's head are not there: only what processes are shown of them is compared.
"""

import logging
import os
import sys
import time
from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from interlingua.cluster import nodes, placement
from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.placement import DoesNotFit, Patience
from interlingua.cluster.schedule import RayBackend
from interlingua.recipes.placements import one_gpu
from interlingua.specs.placement import Workers, WorkKind
from interlingua.stages.running.context import StagesFailed
from interlingua.store.artifact import Stage, find

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ONE_GPU = replace(one_gpu(), cpus_per_stage=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a toy stage is asked for."""

    number: int
    host_tag: str = "toy"


class Silent:
    """A watcher that nobody needs."""

    def on_preflight(self, lines):
        pass

    def on_done(self, stage, artifact):
        pass

    def on_tick(self, running):
        pass


class Seeing:
    """A worker of a pool that says what it is shown."""

    def __init__(self, job):
        self._job = job

    def __call__(self, item):
        return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


def see(spec, inputs, out, context):
    began = time.time()
    time.sleep(0.7)
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return {"shown": shown, "began": began, "ended": time.time(), "pid": os.getpid()}


def see_in_workers(spec, inputs, out, context):
    workers = context.placement.verbalizing.workers
    shown = list(context.pool.map(Seeing, 0, range(2), workers))
    return {"own": os.environ.get("CUDA_VISIBLE_DEVICES", "all"), "shown": sorted(set(shown))}


def toy(kind, number, run=see, **fields):
    return Stage(
        kind=kind, label=f"{number}", spec=Spec(number=number), run=run, inputs={}, revision=1,
        **fields,
    )  # fmt: skip


@pytest.fixture
def on_head(ray_head, monkeypatch):
    """Stages go to the head of the session; its workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
        monkeypatch.setenv(name, value)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def built(stages, root, placement=ONE_GPU):
    context = replace(local_context(placement), pool=RayPool())
    RayBackend().build_all(stages, root, context, Silent())
    return {stage.name: find(stage, root).record.metrics for stage in stages}


def overlap(one, other):
    return one["began"] < other["ended"] and other["began"] < one["ended"]


def test_two_stages_never_share_a_device_and_who_needs_none_is_shown_none(on_head, tmp_path):
    using = [toy("speaking", n, device=WorkKind.VERBALIZING) for n in range(3)]
    reading = toy("reading", 3, work=WorkKind.EXTRACTION, device=WorkKind.EXTRACTION)
    plain = [toy("plain", n) for n in range(2)]
    found = built([*using, reading, *plain], tmp_path)
    with_device = [found[stage.name] for stage in (*using, reading)]
    assert {one["shown"] for one in with_device} <= {"0", "1"}
    for one, other in combinations(with_device, 2):
        assert one["shown"] != other["shown"] or not overlap(one, other)
        assert one["pid"] != other["pid"]  # a process that had a card keeps its memory: it ends
    assert {found[stage.name]["shown"] for stage in plain} == {""}


def test_a_share_lets_several_stages_sit_on_one_card(on_head, tmp_path):
    using = [toy("speaking", n, device=WorkKind.VERBALIZING) for n in range(2)]
    found = built(using, tmp_path, replace(ONE_GPU, gpus_per_stage=0.5))
    assert {one["shown"] for one in found.values()} <= {"0", "1"}


def test_a_stage_with_workers_leaves_the_cards_to_them(on_head, tmp_path):
    workers = Workers(count=2, cpus=1, gpus=1)
    placement = replace(ONE_GPU, verbalizing=replace(ONE_GPU.verbalizing, workers=workers))
    stage = toy(
        "speaking", 0, see_in_workers, work=WorkKind.VERBALIZING, device=WorkKind.VERBALIZING
    )
    [found] = built([stage], tmp_path, placement).values()
    assert found["own"] == "" and set(found["shown"]) <= {"0", "1"}


def test_what_can_never_be_met_is_refused_within_a_minute(on_head, tmp_path):
    stage, started = toy("speaking", 0, device=WorkKind.VERBALIZING), time.monotonic()
    with pytest.raises(DoesNotFit) as refused:
        built([stage], tmp_path, replace(ONE_GPU, gpus_per_stage=3))
    assert time.monotonic() - started < 60
    sentence = str(refused.value)
    assert sentence.startswith("speaking/0 asks for 1 x (0.5 CPUs, 3 GPUs); of 1 nodes the largest")
    assert "4 CPUs, 2 GPUs" in sentence and "\n" not in sentence


def test_what_may_be_added_is_waited_for_with_a_voice_until_it_never_can(
    on_head, tmp_path, monkeypatch, caplog
):
    """What may be added is of the test: the queue, the voice and the end are Ray's and ours."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(
        placement, "PATIENCE", Patience(voice_seconds=0.5, check_seconds=0.1, never_seconds=0.5)
    )

    def added(cluster):
        # It is there until it was waited for; then its type is gone.
        spoken = [one for one in caplog.records if "may be added" in one.getMessage()]
        one = nodes.Node("large (to be added)", None, cpus=8, gpus=8)
        return nodes.Added((one,) if len(spoken) < 3 else ())

    monkeypatch.setattr(nodes.Cluster, "added", added)
    large = toy("speaking", 0, device=WorkKind.VERBALIZING)
    small = toy("plain", 1)
    with pytest.raises(StagesFailed, match="speaking/0 failed: DoesNotFit: speaking/0 asks for"):
        built([large, small], tmp_path, replace(ONE_GPU, gpus_per_stage=3))
    lines = [record.getMessage() for record in caplog.records if "waits for" in record.getMessage()]
    assert lines[0].startswith(
        "speaking/0 waits for 1 x (0.5 CPUs, 3 GPUs), for which nodes may be added; "
    )
    assert len(lines) >= 3
    assert find(small, tmp_path).record.metrics["shown"] == ""
