"""Round trips that are streamed: their frames, when they come, and who stops them."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from tests.serving.asgi import Answer
from tests.serving.fake import HOST, FakeBackend, card
from tests.serving.shared import client

from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Busy, Limits, Piece
from interlingua.serving.own.answers import RoundTripped

ASKED: dict[str, Any] = {
    "host": HOST, "activations": [[0, 3.0, 0, 0], [0, 0, 1.0, 0], [1.0, 0, 0, 0]], "stream": True,
}  # fmt: skip
SOON_S = 20


def streamed(backend: FakeBackend, **changes: Any) -> Answer:
    return client(backend).request("POST", "/v1/roundtrip", json=ASKED | changes)


def piece(row: int, text: str | None = "at 1", *, is_done: bool = True) -> Piece:
    done = Verbalization(text, "raw", -1.0) if is_done else None
    return Piece(row=row, sample=0, text="raw", done=done)


def ended(answer: Answer) -> list[int]:
    """The rows of the round trips, in the order in which they came."""
    return [frame["index"] for frame in answer.events()[1:] if frame.get("done")]


@dataclass
class Counts(FakeBackend):
    """Counts the texts of each call of the AR."""

    counts: list[int] = field(default_factory=list)

    async def reconstruct(self, texts, host):
        self.counts.append(len(texts))
        return await super().reconstruct(texts, host)


def test_a_stream_opens_as_one_of_texts_does() -> None:
    answer = streamed(FakeBackend(), n=2, temperature=1)
    texts = client(FakeBackend()).request(
        "POST", "/v1/verbalize", json=ASKED | {"n": 2, "temperature": 1}
    )
    assert answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.events()[:2] == texts.events()[:2]
    assert answer.events()[0]["total"] == 6
    partial = [frame for frame in answer.events()[1:] if not frame["done"]]
    assert partial == [frame for frame in texts.events()[1:] if not frame["done"]]


@pytest.mark.parametrize("more", [{}, {"rebuilt": True}, {"rebuilt": True, "vector_form": "npy"}])
def test_the_last_frames_are_the_answer_without_a_stream(more) -> None:
    _, *frames = streamed(FakeBackend(), n=3, temperature=1, **more).events()
    asked = {"n": 3, "temperature": 1, "stream": False} | more
    whole = streamed(FakeBackend(), **asked).json()["data"]
    finals = [frame for frame in frames if frame.pop("done")]
    assert len(finals) == 9
    for frame in finals:
        assert whole[frame.pop("index")]["explanations"][frame["sample"]] == frame
        assert TypeAdapter(RoundTripped).validate_python(frame) == frame
        assert ("rebuilt" in frame) == bool(more)


def test_what_the_ar_made_is_in_the_frame_of_its_text() -> None:
    class Named(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            for row, text in enumerate(("at 1", None, "at 3")):
                yield piece(row, text)

    _, *frames = streamed(Named(), rebuilt=True, vector_form="base64").events()
    right, none, wrong = sorted(frames, key=lambda frame: frame["index"])
    assert (right["cosine"], right["nmse"], right["denominator"]) == (1, 0, 0.875)
    assert np.frombuffer(b64decode(right["rebuilt"]["base64"]), "<f4").tolist() == [0, 2, 0, 0]
    assert (none["explanation"], none["cosine"], none["nmse"]) == (None, 0, 2)
    assert "rebuilt" not in none
    assert (wrong["cosine"], wrong["fve_centred_train"]) == (0, 1 - 2 / 0.875)


def test_texts_that_end_in_one_step_are_rebuilt_together() -> None:
    class Steps(Counts):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield piece(0, is_done=False)
            await asyncio.sleep(0)
            for row in (2, 0, 1):
                yield piece(row)

    backend = Steps()
    assert ended(streamed(backend)) == [2, 0, 1]
    assert backend.counts == [3]


def test_no_more_texts_are_rebuilt_at_once_than_a_request_may() -> None:
    backend = Counts(card=card(limits=Limits(max_rows=3)))
    assert len(ended(streamed(backend, n=4, temperature=1))) == 12
    assert max(backend.counts) <= 3 and sum(backend.counts) == 12


def test_the_numbers_of_a_text_do_not_wait_for_the_others() -> None:
    """Row 0 is answered while row 1 is drawn, and rows 1 and 2 while row 1 is rebuilt."""
    is_answered = asyncio.Event()

    class Waits(Counts):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield piece(0)
            await is_answered.wait()
            yield piece(1)
            while len(self.counts) < 2:
                await asyncio.sleep(0)
            yield piece(2)
            has_ended.set()

        async def reconstruct(self, texts, host):
            found = await super().reconstruct(texts, host)
            if len(self.counts) == 2:
                await has_ended.wait()  # of the texts, while this one is rebuilt
            return found

    def watch(answer: Answer) -> bool:
        if b'"done": true' in answer.body:
            is_answered.set()
        return False

    async def check() -> None:
        asked = client(backend).arequest("POST", "/v1/roundtrip", json=ASKED, leave_if=watch)
        answer = await asyncio.wait_for(asked, SOON_S)
        assert ended(answer) == [0, 1, 2]

    has_ended, backend = asyncio.Event(), Waits()
    asyncio.run(check())
    assert backend.counts == [1, 1, 1]


@pytest.mark.parametrize(
    ("error", "kind"), [(Busy("a replica died"), "busy"), (RuntimeError("secret"), "internal")]
)
def test_an_error_of_either_model_is_the_last_event(error, kind) -> None:
    class Av(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield piece(0, is_done=False)
            raise error

    class Ar(FakeBackend):
        async def reconstruct(self, texts, host):
            raise error

    for backend in (Av(), Ar()):
        answer = streamed(backend)
        assert answer.status == 200 and answer.is_whole
        _, partial, *_, last = answer.events()
        assert partial["done"] is False
        assert last["error"]["type"] == kind and last.keys() == {"error"}
        assert b"secret" not in answer.body


def test_what_is_rebuilt_when_the_av_fails_is_answered_before_the_error() -> None:
    class Fails(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield piece(0)
            await is_answered.wait()
            raise Busy

    def watch(answer: Answer) -> bool:
        if b'"done": true' in answer.body:
            is_answered.set()
        return False

    async def check() -> Answer:
        asked = client(Fails()).arequest("POST", "/v1/roundtrip", json=ASKED, leave_if=watch)
        return await asyncio.wait_for(asked, SOON_S)

    is_answered = asyncio.Event()
    _, first, last = asyncio.run(check()).events()
    assert (first["index"], first["cosine"]) == (0, 1) and last["error"]["type"] == "busy"


def test_an_error_before_the_first_event_has_a_status() -> None:
    class Fails(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            raise Busy
            yield

    class Unread(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield piece(0)

        async def reconstruct(self, texts, host):
            raise Busy

    assert streamed(Fails()).status == streamed(Unread()).status == 429
    assert streamed(FakeBackend(), n=2).json()["error"]["field"] == "n"


@dataclass
class Endless(FakeBackend):
    """One text ends and the other never does; with `waits_in_ar` the AR never answers."""

    waits_in_ar: bool = False
    cancelled_ar: int = 0

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True) -> AsyncIterator[Piece]:
        try:
            yield piece(1, is_done=False)
            yield piece(0)
            await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def reconstruct(self, texts, host):
        if self.waits_in_ar:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled_ar += 1
                raise
        return await super().reconstruct(texts, host)


@pytest.mark.parametrize("waits_in_ar", [False, True])
@pytest.mark.parametrize("how", ["client", "server"])
def test_who_leaves_stops_both_models(how, waits_in_ar) -> None:
    async def check() -> None:
        backend, is_there = Endless(waits_in_ar=waits_in_ar), asyncio.Event()
        num_frames = 2 if waits_in_ar else 3  # the opening, what is so far, and the one that ended

        def watch(answer: Answer) -> bool:
            if len(answer.chunks) == num_frames:
                is_there.set()
            return how == "client" and is_there.is_set()

        asked = client(backend).arequest("POST", "/v1/roundtrip", json=ASKED, leave_if=watch)
        task = asyncio.ensure_future(asked)
        await asyncio.wait_for(is_there.wait(), SOON_S)
        if how == "server":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            answer = await asyncio.wait_for(task, SOON_S)
            assert answer.status == 200 and not answer.is_whole
        assert backend.cancelled == 1
        assert backend.cancelled_ar == waits_in_ar
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())


def test_a_client_that_leaves_before_the_first_event_stops_the_av() -> None:
    class Waits(Endless):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            begun.set()
            try:
                await asyncio.Event().wait()
                yield piece(0)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    async def check() -> None:
        backend = Waits()
        asked = client(backend).arequest(
            "POST", "/v1/roundtrip", json=ASKED, leave_if=lambda _: begun.is_set()
        )
        await asyncio.wait_for(asked, SOON_S)
        assert backend.cancelled == 1 and len(asyncio.all_tasks()) == 1

    begun = asyncio.Event()
    asyncio.run(check())


@pytest.mark.slow
def test_a_bundle_gives_the_numbers_that_it_gives_without_a_stream(backend) -> None:
    asked = {
        "host": "toy-gpt2-medium", "texts": ["dear friend, the farmer sings.", "it was late."],
        "n": 3, "temperature": 1, "max_new_tokens": 40, "rebuilt": True,
    }  # fmt: skip
    whole = client(backend).request("POST", "/v1/roundtrip", json=asked).json()["data"]
    answer = client(backend).request("POST", "/v1/roundtrip", json=asked | {"stream": True})
    finals = [frame for frame in answer.events()[1:] if frame["done"]]
    assert len(finals) == 6
    for frame in finals:
        there = whole[frame["index"]]["explanations"][frame["sample"]]
        assert frame["raw_text"] == there["raw_text"]
        rebuilt, rebuilt_there = frame.pop("rebuilt", None), there.pop("rebuilt", None)
        assert (rebuilt is None) == (rebuilt_there is None) == (there["explanation"] is None)
        np.testing.assert_allclose(rebuilt or 0, rebuilt_there or 0, atol=1e-5)
        for name, value in there.items():
            assert frame[name] == (pytest.approx(value, abs=1e-5) if value is not None else None)
