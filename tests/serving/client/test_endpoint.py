"""An endpoint over the platform's own API gives what a backend gives, in the order of the rows."""

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest
from tests.serving.client.served import Endless, wait_until
from tests.serving.fake import HOST, OTHER, WIDTH, FakeBackend, card

from interlingua.core.geometry import near_one
from interlingua.models.bundle.system import Sampling, System
from interlingua.serving.backend import Busy, Limits, Refused
from interlingua.serving.client.endpoint import Endpoint
from interlingua.serving.client.errors import EndpointError, NotOffered

RNG = np.random.default_rng(0)


class Queued(FakeBackend):
    """Takes longer for some requests than for others; refuses more rows than its queue holds."""

    waiting = most_waiting = 0

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
        size = len(h_ND) * sampling.n
        if self.waiting + size > self.card.limits.max_queued_rows:
            raise Busy("the queue is full")
        self.waiting += size
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(0.003 * (len(self.asked) % 3))
        try:
            async for piece in super().verbalize(host, h_ND, sampling, wants_partial=wants_partial):
                yield piece
        finally:
            self.waiting -= size


def places(drawn):
    """What the fake saw in every row."""
    return [[int(one.explanation.split()[1]) for one in samples] for samples in drawn]


def test_it_is_a_system_of_the_first_bundle_or_of_the_one_that_is_named(switch):
    url = switch.of(FakeBackend(), second=FakeBackend(card=card("second")))
    with Endpoint(url + "/") as endpoint:
        system: System = endpoint
        assert list(system.hosts) == [HOST, OTHER]
        assert repr(endpoint) == f"<Endpoint of toy at {url}: {HOST}, {OTHER}>"
        endpoint.verbalize(np.eye(WIDTH), HOST)
        assert switch.posted[-1].content["model"] == "toy"
    Endpoint(url, "second").verbalize(np.eye(WIDTH), HOST)
    assert switch.posted[-1].content["model"] == "second"
    with pytest.raises(ValueError, match=r"model is 'third'; http.* has: toy, second"):
        Endpoint(url, "third")


def test_many_rows_come_in_order_and_fill_half_of_the_queue_at_most(switch):
    backend = Queued(card=card(limits=Limits(max_queued_rows=300)))
    endpoint = Endpoint(switch.of(backend), concurrency=4, patience_s=0)
    found_N = RNG.integers(0, WIDTH, 10_000)
    drawn = endpoint.verbalize(np.eye(WIDTH)[found_N], HOST)
    assert places(drawn) == [[place] for place in found_N]
    assert 37 < backend.most_waiting <= 150
    assert {len(h_ND) for _, h_ND, _ in backend.asked} <= {37, 10_000 % 37}
    assert len({one.client for one in switch.posted}) <= 4


def test_samples_of_a_request_are_as_many_as_run_together(switch):
    backend = FakeBackend()
    endpoint = Endpoint(switch.of(backend))
    drawn = endpoint.verbalize(np.eye(WIDTH)[[2] * 100], HOST, n=3, temperature=1.0)
    assert [[one.explanation for one in samples] for samples in drawn] == [
        [f"place 2 sample {sample}" for sample in range(3)]
    ] * 100
    assert max(len(h_ND) for _, h_ND, _ in backend.asked) == 64 // 3


def test_others_are_answered_while_many_rows_are_drawn(switch):
    url = switch.of(Queued(card=card(limits=Limits(max_queued_rows=512))))
    done: list[int] = []
    many = threading.Thread(
        target=lambda: done.append(
            len(Endpoint(url, patience_s=0).verbalize(np.ones((10_000, WIDTH)), HOST))
        )
    )
    other = Endpoint(url, patience_s=0)
    many.start()
    for _ in range(5):
        assert other.verbalize(np.eye(WIDTH)[:1], HOST)[0][0].explanation == "place 0 sample 0"
    assert not done
    many.join(30)
    assert done == [10_000]


def test_options_arrive_and_vectors_do_bit_for_bit(switch):
    backend = FakeBackend()
    endpoint = Endpoint(switch.of(backend))
    h_ND = RNG.normal(size=(5, WIDTH)) * 10.0 ** RNG.integers(-300, 300, (5, 1))
    options = {
        "n": 2, "temperature": 0.5, "seed": 7, "max_new_tokens": 9, "banned": (1, 2), "prefix": "a",
    }  # fmt: skip
    (one, _), *_ = endpoint.verbalize(h_ND, HOST, **options)
    _, found_ND, sampling = backend.asked[-1]
    assert found_ND.tobytes() == near_one(h_ND).astype(np.float32).tobytes()
    assert sampling == Sampling(**options)
    assert (one.log_prob, one.share_nearer, one.is_unlike) == (-1.5, 0.25, False)
    assert one.num_tokens == 7
    assert one.raw_text == f"<explanation>\n{one.explanation}\n</explanation>"
    endpoint.verbalize(h_ND[0].tolist(), HOST)
    assert backend.asked[-1][2] == Sampling() and len(backend.asked[-1][1]) == 1


def test_activations_at_tokens_and_of_the_whole(switch):
    endpoint = Endpoint(switch.of(FakeBackend(card=card(limits=Limits(max_positions=3)))))
    texts = [" ".join("abcdefgh"[: 1 + number % 8]) for number in range(150)]
    whole = endpoint.read(texts, HOST)
    assert whole.h_ND.dtype == np.float32
    assert whole.h_ND[:, 0].tolist() == [1 + number % 8 for number in range(150)]
    assert [*whole.texts] == [*range(150)] and [*whole.positions] == [None] * 150
    assert len(switch.posted) == 3
    # More than a request has, none, and the last.
    found = endpoint.read(texts[7:10], HOST, [[0, 2, 4, 6, -1], [], [np.int64(-1)]])
    assert [*found.texts] == [0, 0, 0, 0, 0, 2]
    assert [*found.positions] == [0, 2, 4, 6, 7, 1]
    assert found.h_ND[:, 0].tolist() == [0, 2, 4, 6, 7, 1]
    assert endpoint.read([], HOST).h_ND.shape == (0, WIDTH)
    with pytest.raises(NotOffered, match="model of toy-b is not at"):
        endpoint.read(["a"], OTHER)


def test_vectors_of_texts_and_numbers(switch):
    endpoint = Endpoint(switch.of(FakeBackend()))
    found_N = RNG.integers(0, WIDTH, 200)
    texts = [None if number % 9 == 4 else f"place {n}" for number, n in enumerate(found_N)]
    rebuilt_ND = endpoint.reconstruct(texts, HOST)
    for number, (row_D, place) in enumerate(zip(rebuilt_ND, found_N, strict=True)):
        expected_D = np.full(WIDTH, np.nan) if number % 9 == 4 else 2.0 * np.eye(WIDTH)[place]
        np.testing.assert_array_equal(row_D, expected_D)
    assert len(switch.posted) == 3
    assert endpoint.reconstruct([None]).shape == (1, WIDTH)
    assert endpoint.reconstruct([]).shape == (0, WIDTH)
    h_ND = np.eye(WIDTH)[(found_N + np.arange(200) % 2) % WIDTH]
    scores = endpoint.score(texts, h_ND, HOST)
    is_right_N = np.array([text is not None and n % 2 == 0 for n, text in enumerate(texts)])
    np.testing.assert_allclose(scores.cosine_N, is_right_N, atol=1e-12)
    np.testing.assert_allclose(scores.nmse_N, 2.0 * ~is_right_N, atol=1e-12)


def test_round_trips_where_a_text_has_no_explanation_rebuild_nothing(switch):
    class Odd(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            async for piece in super().verbalize(host, h_ND, sampling, wants_partial=False):
                if piece.row == 1:
                    done = type(piece.done)(None, "<explanation>\nand", float("-inf"), None)
                    piece = type(piece)(row=1, sample=0, text=done.raw_text, done=done)
                yield piece

    endpoint = Endpoint(switch.of(Odd()))
    first, second = endpoint.round_trips([[3, 0, 0, 0], [1, 0, 0, 0]], HOST)
    assert (first.cosine, first.nmse) == (1, 0)
    np.testing.assert_array_equal(first.rebuilt_D, [2, 0, 0, 0])
    np.testing.assert_allclose(first.activation_D, [2, 0, 0, 0])
    assert second.verbalization.explanation is None and np.isnan(second.verbalization.log_prob)
    assert np.isnan(second.rebuilt_D).all()
    assert (second.cosine, second.nmse) == (0, 2)


def test_what_is_drawn_is_streamed_to_whoever_watches(switch):
    seen = []
    endpoint = Endpoint(switch.of(FakeBackend(card=card(limits=Limits(max_batch_rows=2)))))
    h_ND = np.eye(WIDTH)[[3, 0, 1]]
    drawn = endpoint.verbalize(h_ND, HOST, on_token=lambda *one: seen.append(one))
    assert places(drawn) == [[3], [0], [1]] and len(switch.posted) == 2
    assert drawn == endpoint.verbalize(h_ND, HOST)
    for row, (one,) in enumerate(drawn):
        own = [text for number, sample, text in seen if (number, sample) == (row, 0)]
        assert own == [one.raw_text[:20], one.raw_text]
    assert len({one.client for one in switch.posted[:2]}) == 1


def test_rows_that_end_in_any_order_are_put_in_theirs(switch):
    class Backwards(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            pieces = [one async for one in super().verbalize(host, h_ND, sampling)]
            for piece in reversed([one for one in pieces if wants_partial or one.done]):
                yield piece

    endpoint = Endpoint(switch.of(Backwards()))
    for watch in (None, lambda *one: None):
        drawn = endpoint.verbalize(np.eye(WIDTH), HOST, n=2, temperature=1.0, on_token=watch)
        assert [[one.explanation for one in samples] for samples in drawn] == [
            [f"place {row} sample {sample}" for sample in range(2)] for row in range(WIDTH)
        ]


def test_an_error_in_a_stream_is_raised_and_one_of_the_watcher_ends_it(switch):
    class Breaking(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            async for piece in super().verbalize(host, h_ND, sampling):
                yield piece
                raise Refused("activations", "the model fails on this activation")

    endpoint = Endpoint(switch.of(Breaking()))
    with pytest.raises(EndpointError, match="fails on this activation") as raised:
        endpoint.verbalize(np.eye(WIDTH), HOST, on_token=lambda *one: None)
    assert raised.value.field == "activations"
    backend = Endless()

    def watch(*one):
        raise RuntimeError("enough")

    endpoint = Endpoint(switch.of(backend))
    with pytest.raises(RuntimeError, match="enough"):
        endpoint.verbalize(np.eye(WIDTH), HOST, on_token=watch)
    wait_until(lambda: backend.cancelled == 1)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda one: one.verbalize(np.eye(WIDTH), "llama"), "host is 'llama'; this NLA knows: toy"),
        (lambda one: one.reconstruct(["a"], "llama"), "host is 'llama'"),
        (lambda one: one.verbalize(np.ones((2, 5)), HOST), "activations is 5 wide; .*are 4 wide"),
        (lambda one: one.verbalize([[1, 2, 3, np.nan]], HOST), "row 0 of activations holds 1 val"),
        (lambda one: one.verbalize(np.zeros((1, 4)), HOST), "row 0 of activations is zero"),
        (lambda one: one.verbalize([["a"]], HOST), "activations is of <U1"),
        (lambda one: one.verbalize([[1, 2], [3]], HOST), "activations is a list; it must be"),
        (lambda one: one.verbalize(np.ones((1, 1, 4)), HOST), r"the shape \(1, 1, 4\)"),
        (lambda one: one.verbalize(np.eye(4), HOST, n=2), "n is 2 at temperature 0"),
        (lambda one: one.read("a text", HOST), "texts is a str; give a list of texts"),
        (lambda one: one.read(["a", 3], HOST), r"texts\[1\] is a int"),
        (lambda one: one.read(["a"], HOST, [[0], [1]]), "positions are of 2 texts; there are 1"),
        (lambda one: one.read(["a"], HOST, [["b"]]), "position is 'b'; it must be a whole number"),
        (lambda one: one.score(["a"], np.eye(4), HOST), "1 explanations of 4 activations"),
    ],
)
def test_what_is_wrong_is_said_before_it_is_sent(switch, call, expected):
    endpoint = Endpoint(switch.of(FakeBackend()))
    with pytest.raises(ValueError, match=expected):
        call(endpoint)
    assert not switch.posted


def test_nothing_heavy_is_imported():
    program = (
        "import sys, interlingua.serving.client.endpoint as e; "
        "print({'torch', 'ray', 'fastapi', 'pydantic', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
