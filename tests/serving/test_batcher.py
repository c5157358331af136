"""Items that come while a model is busy share its next run; who comes alone waits for nobody."""

import threading
import time

import pytest

from interlingua.serving.engines.batcher import GATHER_SHARE, Batcher

RUN_S = 0.6


@pytest.fixture
def runs():
    """A batcher whose runs take their time, and what was run when."""
    found = []

    def run(items):
        found.append((time.monotonic(), list(items)))
        time.sleep(RUN_S)
        return items

    batcher = Batcher("slow", run, field="item", budget=4, max_waiting=100)
    yield batcher, found
    batcher.close()


def submit(batcher, item):
    return batcher.submit(item, cost=1, timeout_s=30)


def begun(batcher, found):
    """The first item, once it runs."""
    first = submit(batcher, "a")
    while not found:
        time.sleep(0.001)
    return first


def test_who_comes_a_moment_later_is_in_the_same_run_where_runs_follow_each_other(runs):
    batcher, found = runs
    first = begun(batcher, found)
    second = submit(batcher, "b")  # waits while the first runs
    first.result()
    timer = threading.Timer(GATHER_SHARE * RUN_S / 10, submit, (batcher, "c"))
    timer.start()
    second.result()
    timer.join()
    assert [items for _, items in found] == [["a"], ["b", "c"]]


def test_who_comes_when_nothing_runs_begins_at_once(runs):
    batcher, found = runs
    for item in "ab":
        asked = time.monotonic()
        submit(batcher, item).result()
        assert found[-1][0] - asked < GATHER_SHARE * RUN_S
        time.sleep(1.1 * RUN_S)
    assert len(found) == 2


def test_a_full_run_waits_for_nobody(runs):
    batcher, found = runs
    first = begun(batcher, found)
    others = [submit(batcher, item) for item in "bcde"]
    first.result()
    ended = time.monotonic()
    others[-1].result()
    assert found[-1][1] == list("bcde") and found[-1][0] - ended < GATHER_SHARE * RUN_S
