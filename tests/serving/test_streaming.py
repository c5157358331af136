"""Streams: their frames, what is refused before them and in them, and clients that leave."""

import asyncio
import json
from typing import Any

import pytest
from tests.serving.asgi import Answer, scope
from tests.serving.fake import HOST, FakeBackend
from tests.serving.shared import client

from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Busy, Piece

ASKED: dict[str, Any] = {
    "host": HOST, "activations": [[0, 3.0, 0, 0], [0, 0, 1.0, 0]], "stream": True,
}  # fmt: skip


def streamed(backend: FakeBackend, **changes: Any) -> Answer:
    return client(backend).request("POST", "/v1/verbalize", json=ASKED | changes)


def test_frames_of_a_stream() -> None:
    answer = streamed(FakeBackend(), n=2, temperature=1)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.body.endswith(b"data: [DONE]\n\n")
    opening, *frames = answer.events()
    assert (opening["model"], opening["host"], opening["total"]) == ("toy", HOST, 4)
    assert [row["index"] for row in opening["data"]] == [0, 1]
    partial, final = frames[:2]
    assert partial == {"index": 0, "sample": 0, "text": "<explanation>\nplace ", "done": False}
    assert final == {
        "index": 0, "sample": 0, "done": True, "explanation": "place 1 sample 0",
        "raw_text": "<explanation>\nplace 1 sample 0\n</explanation>",
        "log_prob": -1.5, "num_tokens": 7, "share_nearer": 0.25, "is_unlike": False,
    }  # fmt: skip
    assert [(one["index"], one["sample"]) for one in frames if one["done"]] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip


def test_the_last_frames_are_the_answer_without_a_stream() -> None:
    _, *frames = streamed(FakeBackend(), n=3, temperature=1).events()
    whole = streamed(FakeBackend(), n=3, temperature=1, stream=False).json()["data"]
    for frame in frames:
        if frame.pop("done"):
            row, sample = frame.pop("index"), frame["sample"]
            assert whole[row]["explanations"][sample] == frame


def test_a_stream_of_texts_says_of_what_its_rows_are() -> None:
    asked = {"host": HOST, "text": "a bb", "positions": "all", "stream": True}
    opening, *_ = client(FakeBackend()).request("POST", "/v1/verbalize", json=asked).events()
    assert opening["data"] == [
        {"index": 0, "text_index": 0, "position": 0, "token": "a"},
        {"index": 1, "text_index": 0, "position": 1, "token": "bb"},
    ]


def test_line_breaks_of_any_kind_end_no_frame() -> None:
    class Breaks(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            text = "a\n\nb\r\nc\x85d\u2028e\ud800"
            for row in range(2):
                yield Piece(row=row, sample=0, text=text, done=Verbalization(text, text, 0.0))

    answer = streamed(Breaks())
    assert answer.body.isascii()
    assert answer.events()[1]["explanation"] == "a\n\nb\r\nc\x85d\u2028e\ud800"
    assert streamed(Breaks(), stream=False).json()["data"][0]["explanations"][0]["raw_text"]


@pytest.mark.parametrize(
    ("error", "kind"), [(Busy("a replica died"), "busy"), (RuntimeError("secret"), "internal")]
)
def test_an_error_behind_the_first_frame_is_the_last_one(error, kind) -> None:
    class Breaks(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            yield Piece(row=0, sample=0, text="a")
            raise error

    answer = streamed(Breaks())
    assert answer.status == 200 and answer.is_whole
    _, partial, last = answer.events()
    assert partial["text"] == "a"
    assert last["error"]["type"] == kind and last.keys() == {"error"}
    assert b"secret" not in answer.body


def test_nothing_is_sent_before_there_is_a_piece() -> None:
    class Waits(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            assert not sent()
            yield Piece(row=0, sample=0, text="a")
            raise Busy

    def sent() -> bool:
        return bool(answers and answers[0].status)

    answers: list[Answer] = []

    def watch(answer: Answer) -> bool:
        answers.append(answer)
        return False

    answer = asyncio.run(
        client(Waits()).arequest("POST", "/v1/verbalize", json=ASKED, leave_if=watch)
    )
    assert answer.status == 200


class Endless(FakeBackend):
    """After its first pieces it waits for ever."""

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
        try:
            for number in range(3):
                yield Piece(row=0, sample=0, text="a" * number)
                await asyncio.sleep(0)  # as between two steps
            await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


@pytest.mark.parametrize("num_frames", [1, 2, 4])
def test_a_client_that_leaves_ends_the_stream_at_its_source(num_frames) -> None:
    async def check() -> None:
        backend = Endless()
        answer = await client(backend).arequest(
            "POST",
            "/v1/verbalize",
            json=ASKED,
            leave_if=lambda answer: len(answer.chunks) >= num_frames,
        )
        assert backend.cancelled == 1  # now, not when the loop ends or memory is cleared
        assert answer.status == 200 and not answer.is_whole
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())


@pytest.mark.parametrize("route", ["verbalize", "roundtrip"])
def test_a_client_that_reads_no_more_ends_the_stream_at_its_source(route) -> None:
    """It leaves while a frame is on its way, so that the source waits for nothing itself."""

    async def check() -> None:
        backend = Endless()
        asgi = client(backend)
        frames, is_stuck = [], asyncio.Event()
        body = [{"type": "http.request", "body": json.dumps(ASKED).encode(), "more_body": False}]

        async def receive() -> dict[str, Any]:
            if body:
                return body.pop()
            await is_stuck.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            frames.append(message)
            if len(frames) == 3:
                is_stuck.set()
                await asyncio.Event().wait()

        headers = {"content-type": "application/json"}
        await asgi.app(scope("POST", f"/v1/{route}", headers), receive, send)
        assert backend.cancelled == 1
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())


def test_a_stream_that_the_server_cancels_ends_at_its_source() -> None:
    async def check() -> None:
        backend, seen = Endless(), asyncio.Event()

        def watch(answer: Answer) -> bool:
            if len(answer.chunks) == 4:
                seen.set()
            return False

        asked = client(backend).arequest("POST", "/v1/verbalize", json=ASKED, leave_if=watch)
        task = asyncio.ensure_future(asked)
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert backend.cancelled == 1
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())


def test_a_stream_that_ends_is_not_cancelled() -> None:
    backend = FakeBackend()
    assert streamed(backend).is_whole
    assert backend.cancelled == 0
