"""A model that fails on all that is asked is not the fault of any client: that is a 503."""

import asyncio
import threading
import time

import numpy as np
import pytest
from tests.serving.conftest import run, texts_of

from interlingua.models.bundle.system import Sampling
from interlingua.models.sampling.session import Session
from interlingua.serving.backend import NotAvailable, Refused
from interlingua.serving.engines.batcher import Batcher

HOST = "toy-gpt2-medium"
GREEDY = Sampling(max_new_tokens=8)


def batcher_that_raises(errors):
    """Answers an item that has no error with itself; all of a batch wait for the first to begin."""
    started = threading.Event()

    def run_items(items):
        started.wait(10)
        for item in items:
            if item in errors:
                raise errors[item]
        return items

    batcher = Batcher("test", run_items, field="words", budget=10, max_waiting=100)
    gate = batcher.submit("gate", cost=10, timeout_s=10)
    return batcher, lambda: (started.set(), gate.result(10))


OOM, ODD = RuntimeError("out of memory"), KeyError("odd")


@pytest.mark.parametrize(
    ("errors", "kinds"),
    [
        ({"a": OOM, "b": OOM, "c": OOM}, [NotAvailable] * 3),
        ({"a": OOM, "b": OOM}, [Refused, Refused, str]),  # the model works
        ({"a": OOM, "b": ODD, "c": OOM}, [Refused] * 3),  # each for a reason of its own
        ({"a": OOM, "b": Refused("x", "no"), "c": OOM}, [Refused] * 3),
        ({"a": Refused("x", "no"), "b": Refused("x", "no"), "c": OOM}, [Refused] * 3),
    ],
)
def test_items_that_all_fail_alike_are_not_at_fault(errors, kinds):
    batcher, begin = batcher_that_raises(errors)
    futures = [batcher.submit(item, cost=1, timeout_s=10) for item in "abc"]
    begin()
    found = [future.exception(10) or future.result() for future in futures]
    batcher.close()
    assert [type(one) for one in found] == kinds
    assert ("out of memory" in str(found[0])) == (errors["a"] is OOM)


def test_an_item_that_fails_with_nobody_beside_it_may_be_at_fault():
    batcher, begin = batcher_that_raises({"a": OOM})
    begin()
    future = batcher.submit("a", cost=1, timeout_s=10)
    assert isinstance(future.exception(10), Refused)
    batcher.close()


@pytest.fixture
def broken(monkeypatch):
    """Let sessions fail on samples from the moment that it is set; they wait for it."""
    fails_on, may_begin, join = [lambda v_D: True], threading.Event(), Session.join

    def joined(self, prompt, v_BD, samples):
        may_begin.wait(60)
        if any(fails_on[0](v_D) for v_D in v_BD):
            raise RuntimeError("no kernel for this")
        return join(self, prompt, v_BD, samples)

    monkeypatch.setattr(Session, "join", joined)
    return fails_on, may_begin


async def together(backend, may_begin, requests):
    """The answers to requests that wait while another one runs, and so are drawn in one batch."""
    engine, num_rows = backend.av.engine, sum(map(len, requests))
    may_begin.clear()
    first = asyncio.create_task(texts_of(backend, HOST, requests[0][:1], GREEDY))
    while not engine.num_running:
        await asyncio.sleep(0.001)
    answers = asyncio.gather(
        *(texts_of(backend, HOST, h_ND, GREEDY) for h_ND in requests), return_exceptions=True
    )
    while engine.num_waiting < num_rows:
        await asyncio.sleep(0.001)
    may_begin.set()
    await asyncio.wait_for(asyncio.gather(first, return_exceptions=True), 60)
    return await asyncio.wait_for(answers, 60)


def rows(nla, count):
    h_ND = nla.read(["dear friend, the farmer sings.", "it was late."], HOST).h_ND
    return [h_ND[n % 2 : n % 2 + 1] * (1 + n) for n in range(count)]


@pytest.mark.slow
def test_an_av_that_fails_on_every_row_is_not_available(nla, backend, broken):
    fails_on, may_begin = broken
    found = run(together(backend, may_begin, rows(nla, 5)))
    assert [type(one) for one in found] == [NotAvailable] * 5
    assert "no kernel for this" in str(found[0])
    [one] = run(together(backend, may_begin, [np.concatenate(rows(nla, 4))]))
    assert isinstance(one, NotAvailable)  # rows of one request
    [one] = run(together(backend, may_begin, rows(nla, 1)))
    assert isinstance(one, Refused)  # with nobody beside it nothing is known
    fails_on[0] = lambda v_D: False
    [texts] = run(together(backend, may_begin, rows(nla, 1)))
    assert len(texts) == 1


@pytest.mark.slow
@pytest.mark.parametrize("good", [0, 2])
def test_where_one_row_is_drawn_those_that_fail_are_at_fault(nla, backend, broken, good):
    """Whether it comes before those that fail, or behind them."""
    fails_on, may_begin = broken
    texts = ["dear friend, the farmer sings.", "it was late.", "the baker sang."]
    requests = [h_D[None] for h_D in nla.read(texts, HOST).h_ND]
    good_D = nla.maps.v_of(HOST, requests[good])[0]
    fails_on[0] = lambda v_D: not np.allclose(v_D, good_D, atol=1e-6)
    found = run(together(backend, may_begin, requests))
    assert [type(one) for one in found] == [list if n == good else Refused for n in range(3)]


@pytest.mark.slow
def test_a_row_that_failed_alone_waits_for_nobody_who_left(nla, backend, broken):
    """The first of two fails alone while the second, which is to be tried next, is cancelled."""
    fails_on, may_begin = broken
    engine, loops, tries = backend.av.engine, [], []

    async def ask():
        loops.append(asyncio.get_running_loop())
        h_ND = np.concatenate(rows(nla, 2))
        other = asyncio.create_task(texts_of(backend, HOST, h_ND[:1], GREEDY))
        while not engine.num_running:
            await asyncio.sleep(0.001)
        asked = [asyncio.create_task(texts_of(backend, HOST, h_D[None], GREEDY)) for h_D in h_ND]
        while engine.num_waiting < 2:
            await asyncio.sleep(0.001)

        def fail(v_D):
            tries.append(v_D)
            if len(tries) == 3:  # the first one that is tried by itself
                loops[0].call_soon_threadsafe(asked[1].cancel)
                while engine.num_waiting and not asked[1].done():
                    time.sleep(0.001)
            return True

        fails_on[0] = fail
        may_begin.set()
        return await asyncio.wait_for(asyncio.gather(other, *asked, return_exceptions=True), 30)

    _, first, second = run(ask())
    assert isinstance(first, Refused) and isinstance(second, asyncio.CancelledError)
    assert len(tries) == 3
