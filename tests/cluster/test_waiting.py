"""What waits for a place says so, and what can never have one is given up; no Ray is needed."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest

from interlingua.cluster.nodes import Added, Cluster, Fit, Node
from interlingua.cluster.placement import (
    DoesNotFit,
    Patience,
    Waiting,
    check_possible,
    wait_for_group,
)
from interlingua.specs.placement import Workers

CARD = (Workers(count=2, cpus=4, gpus=1),)
HEAD = Node("head", None, cpus=8, gpus=0, memory=32 * 2**30)
GPU = Node("gpu", "ar", cpus=16, gpus=2)


class Changing(Cluster):
    """Nodes that a test takes and gives."""

    def __init__(self, alive, added=None):
        self.nodes, self.more = list(alive), added or Added()

    def alive(self):
        return tuple(self.nodes)

    def added(self):
        return self.more


class Clock:
    """A clock that a test moves on."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def spoken(caplog):
    return [record.getMessage() for record in caplog.records]


def stepped(waiting, clock, until):
    """Step once a second."""
    while clock.now < until:
        clock.now += 1
        waiting.step()


def test_what_nobody_can_give_is_refused_at_once_with_what_is_asked_and_there_and_what_to_do():
    with pytest.raises(DoesNotFit) as refused:
        check_possible("av/sft", CARD, Changing([HEAD, replace(GPU, gpus=1)]))
    assert str(refused.value) == (
        "av/sft asks for 2 x (4 CPUs, 1 GPUs), all at once; of 2 nodes the largest is "
        "gpu: 16 CPUs, 1 GPUs, role=ar: ask for less in the placement (--placement, --set "
        "placement.PATH=VALUE), or add nodes that have it"
    )
    small = Added((replace(GPU, name="t4 (to be added)", gpus=1, cpus=2),))
    with pytest.raises(DoesNotFit, match=r"of what may be added the largest is t4 \(to be added\)"):
        check_possible("av/sft", CARD, Changing([HEAD], small))


def test_what_may_be_added_is_waited_for_and_said_every_half_minute(caplog, clock):
    cluster = Changing([HEAD], Added((GPU,)))
    check_possible("av/sft", CARD, cluster)
    waiting = Waiting("av/sft", CARD, cluster, clock=clock)
    stepped(waiting, clock, 95)
    assert spoken(caplog) == [
        "av/sft waits for 2 x (4 CPUs, 1 GPUs), for which nodes may be added; "
        f"{seconds} s so far" for seconds in (30, 60, 90)
    ]  # fmt: skip


def test_where_nobody_knows_what_may_be_added_it_is_waited_for(caplog, clock):
    cluster = Changing([HEAD], Added(is_known=False))
    check_possible("av/sft", CARD, cluster)
    stepped(Waiting("av/sft", CARD, cluster, clock=clock), clock, 200)
    assert len(spoken(caplog)) == 6


def test_in_the_middle_of_a_run_a_node_that_is_lost_for_good_is_said_within_a_minute(caplog, clock):
    cluster = Changing([HEAD, GPU])
    waiting = Waiting("av/sft", CARD, cluster, clock=clock)
    stepped(waiting, clock, 31)
    assert "which others have now" in spoken(caplog)[0]
    cluster.nodes.remove(GPU)
    lost_at = clock.now
    with pytest.raises(DoesNotFit, match="av/sft asks for 2 x"):
        stepped(waiting, clock, 1000)
    assert clock.now - lost_at <= 60


def test_a_node_that_comes_back_in_time_is_no_reason_to_give_up(clock):
    cluster = Changing([HEAD])
    waiting = Waiting("av/sft", CARD, cluster, clock=clock)
    stepped(waiting, clock, 50)
    cluster.nodes.append(GPU)
    stepped(waiting, clock, 300)
    cluster.nodes.remove(GPU)
    stepped(waiting, clock, 335)
    with pytest.raises(DoesNotFit):
        stepped(waiting, clock, 500)


def test_how_often_it_is_said_can_be_chosen(caplog, clock):
    patience = Patience(voice_seconds=5, check_seconds=1, never_seconds=2)
    cluster = Changing([HEAD], Added((GPU,)))
    waiting = Waiting("av/sft", CARD, cluster, patience, clock)
    stepped(waiting, clock, 21)
    assert len(spoken(caplog)) == 4
    cluster.more = Added()
    with pytest.raises(DoesNotFit):
        stepped(waiting, clock, 30)


def test_a_label_and_memory_are_part_of_what_is_asked(caplog, clock):
    worker = Workers(count=1, cpus=0, gpus=1, node_label="av", memory=3 * 2**30)
    with pytest.raises(DoesNotFit, match=r"1 x \(1 GPUs, 3.0 GiB\) on nodes with role=av; of 1"):
        check_possible("role av", (worker,), Changing([GPU]))
    av = replace(GPU, label="av")
    check_possible("role av", (worker,), Changing([av]))
    with pytest.raises(DoesNotFit):
        check_possible("role av", (worker,), Changing([replace(av, memory=2 * 2**30)]))
    assert Changing([av]).fit([(worker,), (replace(worker, node_label=None),)]) is Fit.NOW


class Group:
    """A placement group that is ready after so many seconds."""

    def __init__(self, clock, ready_at):
        self._clock, self._ready_at = clock, ready_at

    def wait(self, seconds):
        self._clock.now += seconds
        return self._clock.now >= self._ready_at


def test_a_group_is_waited_for_as_long_as_a_node_may_still_come(caplog, clock):
    waiting = Waiting("role ar", CARD, Changing([HEAD], Added((GPU,))), clock=clock)
    wait_for_group(Group(clock, 400), waiting, seconds=120)
    assert len(spoken(caplog)) == 13


def test_a_group_whose_place_others_have_is_waited_for_so_long_and_no_longer(clock):
    waiting = Waiting("role ar", CARD, Changing([GPU]), clock=clock)
    with pytest.raises(DoesNotFit, match="no place became free: role ar waits for 2 x"):
        wait_for_group(Group(clock, 400), waiting, seconds=120)
    assert 120 < clock.now < 125


def test_without_an_end_a_group_whose_place_others_have_is_waited_for(caplog, clock):
    waiting = Waiting("role ar", CARD, Changing([GPU]), clock=clock)
    wait_for_group(Group(clock, 4000), waiting)
    assert len(spoken(caplog)) > 100


def test_actors_of_a_pool_that_find_no_place_say_so(monkeypatch, caplog):
    from interlingua.cluster import extraction, placement

    monkeypatch.setattr(
        placement, "PATIENCE", Patience(voice_seconds=0, check_seconds=0, never_seconds=0)
    )
    monkeypatch.setattr(extraction, "Cluster", lambda ray: Changing([HEAD], Added((GPU,))))
    polls = iter([[], [], ["first"]])
    ray = SimpleNamespace(wait=lambda *_, **__: (next(polls), []))
    actor = SimpleNamespace(ready=SimpleNamespace(remote=lambda: "first"))
    pool = extraction._Actors(ray, lambda: actor, Workers(count=4, cpus=4, gpus=1))
    pool._start()
    assert pool._next_finished() == "first"
    assert len(spoken(caplog)) == 2
    assert spoken(caplog)[0].startswith("a worker process waits for 1 x (4 CPUs, 1 GPUs)")
    assert caplog.records[0].levelno == logging.WARNING
    monkeypatch.setattr(extraction, "Cluster", lambda ray: Changing([HEAD]))
    lost = extraction._Actors(
        SimpleNamespace(wait=lambda *_, **__: ([], [])),
        lambda: actor,
        Workers(count=4, cpus=4, gpus=1),
    )
    lost._start()
    with pytest.raises(DoesNotFit, match="a worker process asks for 1 x"):
        lost._next_finished()
