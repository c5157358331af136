"""Which stages are handed to Ray, and when: no more than its cores run, and readers first."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from interlingua.cluster.local import local_context
from interlingua.cluster.nodes import Added, Cluster, Node
from interlingua.cluster.schedule import _Schedule
from interlingua.recipes.parts import GROUPS_OF_ONE_CORE, ONE_CORE_A_STAGE
from interlingua.specs.placement import Workers, WorkKind
from interlingua.store.artifact import Stage

ONE = Workers(count=1, cpus=1, gpus=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a toy stage is asked for."""

    number: int
    host_tag: str = "toy"


class FakeRay:
    """Remembers what is submitted, to whom; four CPUs."""

    def __init__(self):
        self.submitted, self.killed, self.num_actors = [], [], 0

    def nodes(self):
        node = {"NodeManagerHostname": "all", "NodeID": "0", "Labels": {}, "Alive": True}
        return [node | {"Resources": {"CPU": 4.0}}]

    def kill(self, actor):
        self.killed.append(actor)

    def remote(self, *arguments, **_):
        return self._actor_class if arguments else lambda _: self._task("task")

    @property
    def _actor_class(self):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._made))

    def _made(self, context):
        self.num_actors += 1
        return SimpleNamespace(build=self._task(f"reader {self.num_actors}"))

    def _task(self, where):
        def options(name, **_):
            return SimpleNamespace(remote=lambda *_: self._submit(where, name))

        return SimpleNamespace(options=options)

    def _submit(self, where, name):
        self.submitted.append((where, name))
        return name


def do_nothing(spec, inputs, out, context):
    return {}


def toy(kind, number, work=None, **inputs):
    return Stage(
        kind=kind, label=f"{number}", spec=Spec(number=number), run=do_nothing, inputs=inputs,
        revision=1, work=work,
    )  # fmt: skip


class Grown(Cluster):
    """Four CPUs, and a node with as many that may be added."""

    def added(self):
        return Added((Node("more", None, 4, 0),))


@pytest.fixture
def scheduled(tmp_path):
    """A schedule of these stages on four CPUs, and the Ray that it asks."""

    def make(stages, placement=ONE_CORE_A_STAGE, is_private=True):
        ray = FakeRay()
        context, cluster = local_context(placement), Cluster(ray, is_private=True)
        schedule = _Schedule(
            ray, stages, tmp_path, context, SimpleNamespace(), cluster if is_private else Grown(ray)
        )
        return schedule, ray

    return make


def end(schedule, name):
    """As if the stage of that name were done."""
    stage = schedule._running.pop(name)
    schedule._readers.note_end(stage, is_failed=False)


def test_no_more_is_handed_to_ray_than_its_cores_run_or_may_run(scheduled):
    stages = [toy("toy", n) for n in range(4)]
    schedule, ray = scheduled(stages)
    schedule._submit_ready()
    assert ray.submitted == [("task", "toy/0"), ("task", "toy/1")]
    end(schedule, "toy/0")
    schedule._submit_ready()
    assert [name for _, name in ray.submitted] == ["toy/0", "toy/1", "toy/2"]

    schedule, ray = scheduled(stages, is_private=False)
    schedule._submit_ready()
    assert len(ray.submitted) == 4


@pytest.mark.parametrize("cpus", [1, 5])
def test_workers_count_and_what_is_alone_always_runs(cpus, scheduled):
    """A stage that asks for more than there is may wait for cores, but not for ever."""
    workers = Workers(count=cpus, cpus=1, gpus=0)
    placement = replace(
        ONE_CORE_A_STAGE, extraction=replace(ONE_CORE_A_STAGE.extraction, workers=workers)
    )
    reading = toy("toy", 0, WorkKind.EXTRACTION)
    schedule, ray = scheduled([reading, toy("toy", 1), toy("toy", 2)], placement)
    schedule._submit_ready()
    # beside one worker there is room for one stage of two CPUs, beside five for none
    assert len(ray.submitted) == (2 if cpus == 1 else 1)


def test_the_splits_of_a_host_go_to_one_reader_one_after_the_other(scheduled):
    hosts = [toy("host", n) for n in range(2)]
    splits = [toy("rows", 10 * n + k, WorkKind.EXTRACTION, up=hosts[n]) for n in (0, 1)
              for k in range(3)]  # fmt: skip
    schedule, ray = scheduled([*splits[:1], *splits[3:], *splits[1:3]])
    done = []
    while schedule._submit_ready() or schedule._running:
        assert len(schedule._running) <= 2
        name = next(iter(schedule._running))
        end(schedule, name)
        done.append(name)
    assert sorted(done) == sorted(stage.name for stage in splits)
    assert ray.num_actors == 2 and len(ray.killed) == 2  # each when no host was left for it
    assert {where for where, name in ray.submitted if name in ("rows/0", "rows/1", "rows/2")} == {
        "reader 1"
    }


def test_what_has_its_host_open_goes_before_what_matters_more(scheduled):
    """Else the reader would hold its cores and do nothing."""
    host = toy("host", 0)
    first, second = (toy("rows", n, WorkKind.EXTRACTION, up=host) for n in (1, 2))
    urgent = [toy("toy", n) for n in range(3)]
    schedule, ray = scheduled([first, *urgent, second])
    schedule._submit_ready()
    assert [name for _, name in ray.submitted] == ["rows/1", "toy/0"]
    end(schedule, "rows/1")
    schedule._submit_ready()
    assert [name for _, name in ray.submitted][2:] == ["rows/2"]
    assert ray.killed == []


def test_a_reader_that_is_free_takes_the_next_host_or_ends(scheduled):
    hosts = [toy("host", n) for n in range(2)]
    first, second = (toy("rows", n, WorkKind.EXTRACTION, up=hosts[n]) for n in range(2))
    others = [toy("toy", n) for n in range(2)]
    schedule, ray = scheduled([first, others[0], second, others[1]])
    schedule._submit_ready()
    end(schedule, "rows/0")
    schedule._submit_ready()
    assert ray.submitted[-1] == ("reader 1", "rows/1") and ray.killed == []
    end(schedule, "rows/1")
    schedule._submit_ready()
    assert ray.submitted[-1] == ("task", "toy/1") and len(ray.killed) == 1


def test_behind_a_failure_the_next_split_has_a_new_reader(scheduled):
    host = toy("host", 0)
    first, second = (toy("rows", n, WorkKind.EXTRACTION, up=host) for n in (1, 2))
    schedule, ray = scheduled([first, second])
    schedule._submit_ready()
    schedule._readers.note_end(schedule._running.pop("rows/1"), is_failed=True)
    schedule._submit_ready()
    assert ray.submitted == [("reader 1", "rows/1"), ("reader 2", "rows/2")]
    assert len(ray.killed) == 1


@pytest.mark.parametrize(("count", "num_running"), [(1, 2), (2, 2), (3, 1)])
def test_a_training_group_is_let_in_whole_beside_a_pool_of_readers(count, num_running, scheduled):
    two = Workers(count=2, cpus=1, gpus=0)
    placement = replace(
        ONE_CORE_A_STAGE,
        extraction=replace(ONE_CORE_A_STAGE.extraction, workers=two),
        training=replace(ONE_CORE_A_STAGE.training, workers=replace(two, count=count)),
    )
    stages = [toy("rows", 0, WorkKind.EXTRACTION), toy("av", 1, WorkKind.TRAINING)]
    schedule, ray = scheduled(stages, placement)
    schedule._submit_ready()
    assert len(ray.submitted) == num_running


def test_three_roles_wait_for_a_training_group_and_are_not_begun_by_parts(scheduled):
    groups = GROUPS_OF_ONE_CORE
    placement = replace(groups, training=replace(groups.training, workers=replace(ONE, count=2)))
    stages = [toy("av", 0, WorkKind.TRAINING), toy("rl", 1, WorkKind.REINFORCING)]
    schedule, ray = scheduled(stages, placement)
    schedule._submit_ready()
    assert [name for _, name in ray.submitted] == ["av/0"]
    end(schedule, "av/0")
    schedule._submit_ready()
    assert [name for _, name in ray.submitted] == ["av/0", "rl/1"]


def test_what_an_open_reader_holds_is_nobody_elses(scheduled):
    """Also between two of its stages: who was let in beside it would wait for its workers."""
    host, pool = toy("host", 0), Workers(count=3, cpus=1, gpus=0)
    extraction = replace(ONE_CORE_A_STAGE.extraction, workers=pool)
    schedule, _ = scheduled(
        [toy("rows", n, WorkKind.EXTRACTION, up=host) for n in (1, 2)],
        replace(ONE_CORE_A_STAGE, extraction=extraction),
    )
    schedule._submit_ready()
    end(schedule, "rows/1")
    schedule._running["other"] = toy("other", 4)
    assert not schedule._fits_beside(toy("toy", 5))
    assert schedule._fits_beside(toy("rows", 2, WorkKind.EXTRACTION, up=host)) is False
    del schedule._running["other"]
    assert schedule._fits_beside(toy("rows", 2, WorkKind.EXTRACTION, up=host))
