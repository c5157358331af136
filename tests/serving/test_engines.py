"""Engines give what the models give, whoever else asks meanwhile, and lose nobody."""

import asyncio
import threading
import time

import numpy as np
import pytest
from tests.serving.conftest import run, texts_of

from interlingua.core.geometry import rescale
from interlingua.models.bundle.system import Sampling
from interlingua.models.sampling.session import Session
from interlingua.serving.backend import Busy, Message, NotAvailable, Prompt, Refused, TimedOut
from interlingua.serving.engines.av_engine import MOST_PUT_OFF
from interlingua.serving.engines.batcher import Batcher
from interlingua.serving.engines.host_engine import Ask

pytestmark = pytest.mark.slow

HOST, OTHER = "toy-gpt2-medium", "toy-lfm-7b"
TEXTS = [
    "dear friend, the farmer happily carried a basket. there was rain.",
    "report from Velsk. the guard moored the ship.",
    "the baker sang in the market hall before the storm came.",
]
GREEDY = Sampling(max_new_tokens=16)
DRAWN = Sampling(n=3, temperature=1.0, seed=5, max_new_tokens=12)


def options(sampling):
    return {
        "n": sampling.n, "temperature": sampling.temperature, "seed": sampling.seed,
        "max_new_tokens": sampling.max_new_tokens, "banned": sampling.banned,
        "prefix": sampling.prefix,
    }  # fmt: skip


def raw(drawn):
    return [[one.raw_text for one in row] for row in drawn]


def vectors(nla, host=HOST, count=12):
    rng = np.random.default_rng(0)
    h_ND = nla.read(TEXTS, host).h_ND
    return (
        h_ND[np.arange(count) % len(h_ND)]
        + 0.3 * rng.normal(size=(count, 1)) * h_ND[::-1][np.arange(count) % len(h_ND)]
    )


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN])
def test_many_requests_at_once_get_what_each_gets_alone(sampling, nla, serve):
    """More rows than fit together, of two hosts, so that rows join while others are drawn."""
    backend = serve(max_batch_rows=8)
    asked = [
        (host, vectors(nla, host)[n : n + 2]) for host in (HOST, OTHER) for n in range(0, 12, 2)
    ]

    async def ask():
        return await asyncio.gather(
            *(texts_of(backend, host, h_ND, sampling) for host, h_ND in asked)
        )

    for (host, h_ND), found in zip(asked, run(ask()), strict=True):
        assert found == raw(nla.verbalize(h_ND, host, **options(sampling)))


def test_prefixes_bans_and_lengths_share_a_batch(nla, backend):
    h_1D = vectors(nla, count=1)
    samplings = [
        GREEDY,
        Sampling(max_new_tokens=5),
        Sampling(max_new_tokens=9, prefix="<explanation> a farm"),
        Sampling(max_new_tokens=9, banned=(5, 6, 7)),
        DRAWN,
    ]

    async def ask():
        return await asyncio.gather(*(texts_of(backend, HOST, h_1D, one) for one in samplings))

    for sampling, found in zip(samplings, run(ask()), strict=True):
        assert found == raw(nla.verbalize(h_1D, HOST, **options(sampling)))


def test_pieces_grow_to_the_text(nla, backend):
    h_ND = vectors(nla, count=2)

    async def pieces():
        return [piece async for piece in backend.verbalize(HOST, h_ND, GREEDY)]

    found = run(pieces())
    expected = raw(nla.verbalize(h_ND, HOST, **options(GREEDY)))
    for row in range(2):
        texts = [piece.text for piece in found if piece.row == row]
        assert texts[-1] == expected[row][0] and len(texts) > 4
        assert all(later.startswith(text) for text, later in zip(texts, texts[1:], strict=False))
    ends = [piece for piece in found if piece.done is not None]
    assert len(ends) == 2
    assert all(piece.num_tokens == GREEDY.max_new_tokens and piece.is_cut for piece in ends)


def test_one_who_comes_while_many_run_joins_within_a_few_steps(nla, backend, monkeypatch):
    """A pause for every newcomer by itself would cost those who run more than it saves."""
    h_ND, engine, joins = vectors(nla), backend.av.engine, []
    join, long = Session.join, Sampling(max_new_tokens=200, banned=_enders(nla))

    def joined(self, prompt, v_BD, samples):
        joins.append((engine.num_steps, len(v_BD)))
        return join(self, prompt, v_BD, samples)

    monkeypatch.setattr(Session, "join", joined)

    async def ask():
        stream = backend.verbalize(HOST, h_ND, long)
        await anext(stream)
        late = asyncio.create_task(texts_of(backend, HOST, h_ND[:1], GREEDY))
        await asyncio.sleep(0)
        steps = engine.num_steps
        found = await late
        await stream.aclose()
        return steps, found

    steps, found = run(ask())
    (_, many), (joined_at, one) = joins
    assert (many, one) == (12, 1)
    assert joined_at <= steps + MOST_PUT_OFF + 2
    assert found == raw(nla.verbalize(h_ND[:1], HOST, **options(GREEDY)))


def test_whole_texts_that_wait_together_are_read_together_and_fail_alone(nla, backend):
    engine = backend.parts[0]._engine
    asks = [Ask(host=OTHER, prompt=Prompt(text=text), whole=True) for text in TEXTS]
    chat = Prompt(messages=(Message(role="user", content="rain"),))
    together = engine._run(asks)
    futures = [engine.submit(ask) for ask in (*asks, Ask(host=OTHER, prompt=chat, whole=True))]
    for found in (together, [future.result(30) for future in futures[:-1]]):
        h_ND = np.concatenate([one.h_ND for one in found])
        np.testing.assert_allclose(h_ND, nla.read(TEXTS, OTHER).h_ND, rtol=1e-5, atol=1e-6)
    with pytest.raises(Refused, match="a whole chat") as refused:
        futures[-1].result(30)
    assert refused.value.field == "messages"


def test_a_request_that_goes_away_frees_its_place(nla, serve):
    backend = serve(max_batch_rows=1)
    h_1D = vectors(nla, count=1)
    endless = Sampling(max_new_tokens=400, banned=_enders(nla))

    async def ask():
        stream = backend.verbalize(HOST, h_1D, endless)
        await anext(stream)
        waiting = asyncio.create_task(texts_of(backend, HOST, h_1D, GREEDY))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        steps = backend.av.engine.num_steps
        await stream.aclose()
        found = await asyncio.wait_for(waiting, 30)
        assert backend.av.engine.num_steps - steps < 60
        return found

    assert run(ask()) == raw(nla.verbalize(h_1D, HOST, **options(GREEDY)))


def test_a_full_queue_is_said_at_once_and_what_is_in_it_is_answered(nla, serve):
    backend = serve(max_batch_rows=1, max_queued_rows=2)
    h_1D = vectors(nla, count=1)
    slow = Sampling(max_new_tokens=100, banned=_enders(nla))

    async def ask():
        tasks = [asyncio.create_task(texts_of(backend, HOST, h_1D, slow)) for _ in range(8)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(ask())
    busy = [one for one in found if isinstance(one, Busy)]
    assert busy and len(busy) <= 6
    assert all(len(one) == 1 for one in found if not isinstance(one, Busy))


def test_a_request_that_takes_too_long_ends(nla, serve):
    backend = serve(timeout_s=0.05)
    slow = Sampling(max_new_tokens=1000, banned=_enders(nla))
    with pytest.raises(TimedOut):
        run(texts_of(backend, HOST, vectors(nla, count=4), slow))
    deadline = time.monotonic() + 10
    while backend.av.engine.num_running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def break_session(monkeypatch, where, target_D, is_asked):
    """Raise for a vector as it begins, or at a step; until all have asked none begins."""
    marked, join, step = set(), Session.join, Session.step

    def joined(self, prompt, v_BD, samples):
        is_asked.wait(60)
        for place, v_D in enumerate(v_BD):
            if np.allclose(v_D, target_D, atol=1e-6):
                if where == "join":
                    raise RuntimeError("no kernel for this")
                marked.add(id(samples[place]))
        return join(self, prompt, v_BD, samples)

    def stepped(self):
        if any(id(sample) in marked and not sample.has_ended for sample in self._samples):
            raise RuntimeError("no kernel for this")
        return step(self)

    monkeypatch.setattr(Session, "join", joined)
    monkeypatch.setattr(Session, "step", stepped)


@pytest.mark.parametrize("where", ["join", "step"])
def test_what_breaks_the_model_fails_alone(where, nla, backend, monkeypatch):
    """One row raises, as a kernel might: as it begins or at a step; all others come out right."""
    h_ND, other_ND, poison = vectors(nla), vectors(nla, OTHER, 4), 5
    target_D = nla.maps.v_of(HOST, h_ND[poison : poison + 1])[0]
    engine, is_asked = backend.av.engine, threading.Event()
    break_session(monkeypatch, where, target_D, is_asked)

    async def ask():
        mine = [texts_of(backend, HOST, h_D[None], GREEDY) for h_D in h_ND]
        others = [texts_of(backend, OTHER, h_D[None], DRAWN) for h_D in other_ND]
        answers = asyncio.gather(*mine, *others, return_exceptions=True)
        while engine.num_waiting + engine.num_running < len(mine) + len(others):
            await asyncio.sleep(0.001)
        is_asked.set()
        return await answers

    found = run(asyncio.wait_for(ask(), 60))
    monkeypatch.undo()
    # Fifteen of them one by one would take twice as many.
    assert engine.num_steps < 8 * GREEDY.max_new_tokens
    expected = raw(nla.verbalize(h_ND, HOST, **options(GREEDY)))
    expected += raw(nla.verbalize(other_ND, OTHER, **options(DRAWN)))
    assert len(found) == len(expected)
    for place, one in enumerate(found):
        if place == poison:
            assert isinstance(one, Refused) and one.field == "activations"
            assert "no kernel for this" in str(one)
        else:
            assert one == [expected[place]], place


def test_what_can_never_run_is_refused_before_it_is_queued(nla, serve):
    backend = serve(max_batch_rows=4, max_batch_tokens=200)
    h_1D = vectors(nla, count=1)
    for sampling, field in (
        (Sampling(n=5, temperature=1.0), "n"),
        (Sampling(max_new_tokens=200), "max_new_tokens"),
        (Sampling(banned=(-1,)), "banned"),
        (Sampling(prefix="</explanation>"), "prefix"),
    ):
        with pytest.raises(Refused) as refused:
            run(texts_of(backend, HOST, h_1D, sampling))
        assert refused.value.field == field
    with pytest.raises(Refused, match="this NLA knows"):
        run(texts_of(backend, "llama", h_1D, GREEDY))


def test_a_server_that_closes_answers_what_it_took_in(nla, serve):
    backend = serve(max_batch_rows=2)
    h_ND = vectors(nla, count=6)

    async def ask():
        task = asyncio.create_task(texts_of(backend, HOST, h_ND, GREEDY))
        await asyncio.sleep(0)
        closing = threading.Thread(target=backend.close)
        closing.start()
        found = await task
        closing.join()
        with pytest.raises(Busy, match="shutting down"):
            await texts_of(backend, HOST, h_ND, GREEDY)
        return found

    assert run(ask()) == raw(nla.verbalize(h_ND, HOST, **options(GREEDY)))


def test_texts_are_read_as_in_process(nla, backend):
    async def ask():
        whole = [backend.read(HOST, Prompt(text=text), None, whole=True) for text in TEXTS]
        at = backend.read(HOST, Prompt(text=TEXTS[0]), [3, -1])
        every = backend.read(OTHER, Prompt(text=TEXTS[1]), None)
        return await asyncio.gather(*whole, at, every)

    *whole, at, every = run(ask())
    np.testing.assert_allclose(
        np.concatenate([one.h_ND for one in whole]),
        nla.read(TEXTS, HOST).h_ND,
        rtol=1e-5,
        atol=1e-6,
    )
    expected = nla.read(TEXTS[:1], HOST, [[3, -1]])
    np.testing.assert_allclose(at.h_ND, expected.h_ND, rtol=1e-5, atol=1e-6)
    assert at.positions == tuple(expected.positions)
    assert len(every.h_ND) == len(every.tokens) == every.positions[-1] + 1
    # Tokens say what they are of the text, one after the other; the first is the host's own.
    assert every.tokens[0].text == "<s>"
    shown = "".join(token.text for token in every.tokens[1:])
    assert shown.replace(" ", "") == TEXTS[1].replace(" ", "")


def test_a_text_is_read_as_a_whole_also_where_nobody_else_asks(nla, backend):
    found = run(backend.read(HOST, Prompt(text=TEXTS[0]), None, whole=True))
    np.testing.assert_allclose(found.h_ND, nla.read(TEXTS[:1], HOST).h_ND, rtol=1e-5, atol=1e-6)
    assert found.positions == (None,)
    tokens = run(backend.tokenize(HOST, Prompt(text=TEXTS[0])))
    assert tokens.tokens == found.tokens and tokens.h_ND.shape == (0, 32)


def long_and_cut(backend, host):
    """A text of more tokens than a host reads, and as much of it as the host reads."""
    most = backend.card.hosts[host].max_tokens
    long = " ".join(TEXTS * (most // 16))
    tokens = run(backend.tokenize(host, Prompt(text=long))).tokens
    cut = long[: tokens[most - 1].end]
    (*_, same) = of_cut = run(backend.tokenize(host, Prompt(text=cut))).tokens
    assert [one.id for one in of_cut] == [one.id for one in tokens[:most]]
    assert (same.position, len(tokens) > 2 * most) == (most - 1, True)
    return Prompt(text=long), Prompt(text=cut), len(tokens)


@pytest.mark.parametrize("host", [HOST, OTHER])
def test_of_a_long_text_its_beginning_is_read_as_if_nothing_stood_behind_it(host, backend):
    long, cut, num_tokens = long_and_cut(backend, host)
    most = backend.card.hosts[host].max_tokens
    places = [most - 1, 0, 7, 7 - num_tokens, most - 1 - num_tokens]

    found = run(backend.read(host, long, places))
    alone = run(backend.read(host, cut, [most - 1, 0, 7, 7, most - 1]))
    np.testing.assert_array_equal(found.h_ND, alone.h_ND)
    assert found.positions == alone.positions == (most - 1, 0, 7, 7, most - 1)
    assert len(found.tokens) == num_tokens and found.text == long.text

    async def ask():
        asked = [backend.read(host, one, [3, 7]) for one in (Prompt(text=TEXTS[0]), long, cut)]
        return await asyncio.gather(*asked)

    _, of_long, of_cut = run(ask())
    np.testing.assert_allclose(of_long.h_ND, of_cut.h_ND, atol=1e-6)


def test_positions_that_a_host_does_not_read_are_refused_with_its_limit(backend):
    long, _, num_tokens = long_and_cut(backend, HOST)
    most = backend.card.hosts[HOST].max_tokens
    for position in (most, -1, most - num_tokens, num_tokens - 1):
        with pytest.raises(Refused, match=f"reads the first {most}") as refused:
            run(backend.read(HOST, long, [0, position]))
        assert refused.value.field == "positions"
        assert str(position) in str(refused.value)
    for position in (num_tokens, -num_tokens - 1):
        with pytest.raises(Refused, match=f"as {num_tokens} tokens"):
            run(backend.read(HOST, long, [position]))
    with pytest.raises(Refused, match=f"the first {most}") as refused:
        run(backend.read(HOST, long, None))
    assert refused.value.field == "text"


def test_what_cannot_be_read_is_refused_with_its_field(backend):
    for prompt, positions, field in (
        (Prompt(text="rain"), [99], "positions"),
        (Prompt(text="rain"), [-99], "positions"),
        (Prompt(text="farmer " * 20_000), None, "text"),
        (Prompt(text=""), None, "text"),
    ):
        with pytest.raises(Refused) as refused:
            run(backend.read(HOST, prompt, positions))
        assert refused.value.field == field

    async def complete():
        return [piece async for piece in backend.complete(HOST, Prompt(text="rain"), GREEDY)]

    with pytest.raises(NotAvailable, match="is cut behind its block"):
        run(complete())


def test_explanations_are_rebuilt_as_in_process(nla, backend):
    texts = ["about a farm.", "a guard appears. sounds glad."]

    async def ask():
        return await asyncio.gather(
            backend.reconstruct(texts, HOST),
            backend.reconstruct(texts[:1], None),
            backend.reconstruct(["farmer " * 3000], HOST),
            return_exceptions=True,
        )

    of_host, shared, too_long = run(ask())
    np.testing.assert_allclose(of_host, nla.reconstruct(texts, HOST), atol=1e-5)
    np.testing.assert_allclose(shared, nla.reconstruct(texts[:1]), atol=1e-5)
    assert isinstance(too_long, Refused) and too_long.field == "texts"


def test_a_card_has_what_scores_need_and_where_the_models_are(nla, backend):
    assert backend.card.devices == {"hosts": "cpu", "av": "cpu", "ar": "cpu"}
    card = backend.card.hosts[HOST]
    assert card.width == 32 and card.num_blocks >= card.block_index + 1 and card.is_here
    assert 0 < card.variance < 1
    assert card.others_KD.shape[1] == 32
    np.testing.assert_allclose(np.square(card.others_KD).sum(1), 32, rtol=1e-4)
    np.testing.assert_allclose(rescale(card.others_KD), card.others_KD, rtol=1e-4)


def test_items_of_a_batch_fail_alone_and_in_their_own_words():
    runs = []

    def run_items(items):
        runs.append(list(items))
        if "bad" in items:
            raise RuntimeError("no kernel for this")
        if "wrong" in items:
            raise Refused("word", "wrong it is")
        return [item.upper() for item in items]

    batcher = Batcher("test", run_items, field="words", budget=10, max_waiting=100)
    gate = batcher.submit("first", cost=10, timeout_s=10)
    futures = [batcher.submit(item, cost=2, timeout_s=10) for item in ("a", "bad", "b", "wrong")]
    assert gate.result(10) == "FIRST"
    assert futures[0].result(10) == "A" and futures[2].result(10) == "B"
    for future, field, message in (
        (futures[1], "words", "RuntimeError: no kernel for this"),
        (futures[3], "word", "wrong it is"),
    ):
        with pytest.raises(Refused, match=message) as refused:
            future.result(10)
        assert refused.value.field == field
    batcher.close()


def _enders(nla):
    """Ids that could end a text: without them it goes on to its last token."""
    ending = nla.av.decoder.ending
    return tuple(np.flatnonzero(ending._is_end_V | ending._may_close_V).tolist())
