"""Without workers a pool works in its caller's process, and its stage asks for what that takes."""

import os
import sys
from dataclasses import dataclass, replace

import pytest

from interlingua.cluster.asked import asked
from interlingua.cluster.extraction import KeepingPool, RayPool
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.placement import Placement, Workers, WorkKind
from interlingua.store.artifact import Stage

ONE = Workers(count=1, cpus=1, gpus=0)


@dataclass(frozen=True, slots=True)
class Job:
    """A toy job."""

    factor: int
    host_tag: str = "toy"


class Multiplier:
    """Counts how often it was made."""

    made = 0

    def __init__(self, job):
        type(self).made += 1
        self._factor = job.factor

    def __call__(self, item):
        if item == 3:
            raise LookupError("no 3")
        return self._factor * item, os.getpid()


def do_nothing(spec, inputs, out, context):
    return {}


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(Multiplier, "made", 0)


def test_without_workers_one_is_made_in_this_process_and_no_ray_is_needed(no_ray):
    results = list(RayPool().map(Multiplier, Job(5), [0, 1, 2], None))
    assert results == [(0, os.getpid()), (5, os.getpid()), (10, os.getpid())]
    assert Multiplier.made == 1
    with pytest.raises(ImportError):
        list(RayPool().map(Multiplier, Job(5), [0], ONE))


def test_what_it_raises_arrives_with_what_came_before(no_ray):
    results = RayPool().map(Multiplier, Job(2), iter(range(5)), None)
    assert [next(results)[0] for _ in range(3)] == [0, 2, 4]
    with pytest.raises(LookupError, match="no 3"):
        next(results)


def test_no_item_makes_no_worker(no_ray):
    assert list(RayPool().map(Multiplier, Job(5), [], None)) == []
    assert Multiplier.made == 0


def test_a_keeping_pool_makes_its_worker_once_for_all_maps_of_one_job(no_ray):
    pool = KeepingPool()
    for items in ([0, 1], [2], []):
        found = list(pool.map(Multiplier, Job(5), items, None))
        assert [value for value, _ in found] == [5 * item for item in items]
    assert Multiplier.made == 1
    assert [value for value, _ in pool.map(Multiplier, Job(7), [1], None)] == [7]
    assert Multiplier.made == 2  # another job: what was open for the first is of no use


def test_a_keeping_pool_makes_another_worker_behind_a_failure(no_ray):
    pool = KeepingPool()
    with pytest.raises(LookupError, match="no 3"):
        list(pool.map(Multiplier, Job(2), [1, 3], None))
    left = pool.map(Multiplier, Job(2), [1, 2], None)
    next(left)
    left.close()  # its caller failed in the middle of an item
    assert [value for value, _ in pool.map(Multiplier, Job(2), [4], None)] == [8]
    assert Multiplier.made == 3


@pytest.mark.parametrize(
    ("work", "workers", "num_cpus"),
    [
        (None, ONE, 2), (WorkKind.EXTRACTION, None, 2), (WorkKind.EXTRACTION, ONE, 0),
        (WorkKind.TRAINING, ONE, 0), (WorkKind.VERBALIZING, ONE, 2),
    ],
)  # fmt: skip
def test_a_stage_that_does_its_own_work_asks_for_its_own_cores(work, workers, num_cpus):
    """Else it would wait for workers with the cores that they wait for."""
    placement: Placement = replace(
        ONE_CORE_A_STAGE, extraction=replace(ONE_CORE_A_STAGE.extraction, workers=workers)
    )
    stage = Stage(
        kind="toy", label="a", spec=Job(1), run=do_nothing, inputs={}, revision=1, work=work
    )
    assert asked(stage, placement).own.cpus == num_cpus
