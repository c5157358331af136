"""Clients that ask for everything at once, wrong things among it, and what became of each request.

What is right is what the models say in this process.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

import numpy as np
import psutil
from tests.cluster.programs.marks import MARKED_HOST, MARKED_TEXT, marked_vector

from interlingua.models.bundle.nla import NLA

JSON = {"Content-Type": "application/json"}
SHARES = {"malformed": 0.05, "cancelled": 0.05, "poison": 0.02}  # all others are good
PATIENCE_SECONDS = 150.0
LOST = 0  # the status of a request that nobody answered
TEXTS = [
    "dear friend, the farmer happily carried a basket. there was rain.",
    "report from Velsk. the guard moored the ship.",
    "the baker sang in the market hall before the storm came.",
]
EXPLANATION = "a guard appears. sounds glad."
SHORT = {"max_new_tokens": 16}
DRAWN = {"n": 3, "temperature": 1.0, "seed": 5, "max_new_tokens": 12}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, the status that it must get, and whether an answer of that status is right."""

    path: str
    body: bytes
    status: int = 200
    is_right: Callable[[Any], bool]
    is_stream: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a request; `wrong` says what an answer was instead."""

    kind: str
    status: int
    seconds: float
    wrong: str | None = None


def ask(path: str, is_right: Callable[[Any], bool], *, status: int = 200, **body: Any) -> Ask:
    """A request with a body of JSON."""
    content = json.dumps(body).encode()
    is_stream = body.get("stream", False)
    return Ask(path=path, body=content, status=status, is_right=is_right, is_stream=is_stream)


def good_asks(nla: NLA) -> list[Ask]:
    """Requests of every kind that must be answered as the models do in this process."""
    asks = []
    for host in nla.hosts:
        h_ND = nla.read(TEXTS, host).h_ND
        rows = h_ND.tolist()
        for options in (SHORT, DRAWN):
            texts = raw(nla.verbalize(h_ND, host, **options))
            for n in range(len(rows)):
                one = {"host": host, "activations": rows[n : n + 1], **options}
                asks.append(ask("/v1/verbalize", says(texts[n : n + 1]), **one))
                asks.append(ask("/v1/verbalize", streams(texts[n : n + 1]), stream=True, **one))
            asks.append(ask("/v1/verbalize", says(texts), host=host, texts=TEXTS, **options))
        [rebuilt_D] = nla.reconstruct([EXPLANATION], host)
        cosine = float(rebuilt_D @ h_ND[0] / np.linalg.norm(rebuilt_D) / np.linalg.norm(h_ND[0]))
        scored = {"host": host, "explanations": [EXPLANATION], "activations": rows[:1]}
        asks += [
            ask("/v1/reconstruct", near("vectors", [rebuilt_D]), host=host, texts=[EXPLANATION]),
            ask("/v1/score", has_cosine(cosine), **scored),
            ask("/v1/activations", reads(h_ND[1]), host=host, texts=TEXTS[1:2]),
        ]
    return asks


def malformed_asks(host: str) -> list[Ask]:
    """Requests that name what is wrong with them."""

    def wrong(status: int, path: str = "/v1/verbalize", **body: Any) -> Ask:
        return ask(path, lambda answer: "error" in answer, status=status, **body)

    broken = Ask(path="/v1/score", body=b'{"host":', status=422, is_right=lambda _: True)
    return [
        broken,
        wrong(400),
        wrong(404, model="nobody", host=host, text="rain"),
        wrong(404, "/v1/nothing"),
        wrong(400, host="llama", text="rain"),
        wrong(400, host=host, text="rain", positions=[99]),
        wrong(400, host=host, activations=[[0.0] * 32]),
        wrong(400, host=host, activations=[[1.0, 2.0]]),
        wrong(400, host=host, activations=[[float("nan")] * 32]),
        wrong(400, host=host, text="rain", banned=[999_999]),
        wrong(422, host=host, text="rain", n=0),
        wrong(400, "/v1/reconstruct", host=host, texts=["farmer " * 900]),
    ]


def poison_asks(nla: NLA) -> list[Ask]:
    """Requests that pass every check and break the model of each part."""

    def blames(field: str) -> Callable[[Any], bool]:
        return lambda answer: answer["error"]["field"].startswith(field)

    host, h_1D = MARKED_HOST, marked_vector(nla.maps.width(MARKED_HOST))
    beside_ND = np.concatenate([nla.read(TEXTS[:1], host).h_ND, h_1D])
    vectors, text = blames("activations"), blames("text")
    return [
        ask("/v1/verbalize", vectors, status=400, host=host, activations=h_1D.tolist()),
        ask("/v1/verbalize", vectors, status=400, host=host, activations=beside_ND.tolist()),
        ask("/v1/verbalize", text, status=400, host=host, text=MARKED_TEXT),
        ask("/v1/reconstruct", text, status=400, host=host, texts=[MARKED_TEXT]),
    ]


def raw(drawn: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Texts by row and sample."""
    return [[one.raw_text for one in row] for row in drawn]


def says(texts: Sequence[Sequence[str]]) -> Callable[[Any], bool]:
    """Whether an answer has these texts, and no other."""
    return lambda answer: (
        [[one["raw_text"] for one in row["explanations"]] for row in answer["data"]] == texts
    )


def streams(texts: Sequence[Sequence[str]]) -> Callable[[Any], bool]:
    """Whether frames end with these texts."""

    def is_right(frames: Any) -> bool:
        ends = {(one["index"], one["sample"]): one for one in frames if one.get("done")}
        found = [[ends[r, n]["raw_text"] for n in range(len(row))] for r, row in enumerate(texts)]
        return found == texts

    return is_right


def near(name: str, rows: Sequence[np.ndarray]) -> Callable[[Any], bool]:
    """Whether the vectors of an answer are these."""
    return lambda answer: np.allclose(answer[name], rows, atol=1e-4)


def reads(h_D: np.ndarray) -> Callable[[Any], bool]:
    """Whether the one activation of an answer is this one."""
    return lambda answer: np.allclose(answer["data"][0]["activations"], [h_D], atol=1e-4)


def has_cosine(cosine: float) -> Callable[[Any], bool]:
    """Whether the one score of an answer is this one."""
    return lambda answer: abs(answer["data"][0]["cosine"] - cosine) < 1e-5


class Load:
    """Clients in threads of their own, until a time; then what became of their requests."""

    def __init__(self, nla: NLA, port: int, *, num_clients: int = 64, seed: int = 0) -> None:
        self._port = port
        good = good_asks(nla)
        self._asks = {
            "good": good,
            "malformed": malformed_asks(MARKED_HOST),
            "cancelled": good,
            "poison": poison_asks(nla),
        }
        self._num_clients, self._seed = num_clients, seed
        self.outcomes: list[Outcome] = []  # a list's append is atomic

    def run(self, seconds: float) -> list[Outcome]:
        """All clients at once for this long; returns when the last request is answered."""
        self.seconds = seconds
        deadline = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._client, args=(number, deadline), daemon=True)
            for number in range(self._num_clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 2 * PATIENCE_SECONDS)
            assert not thread.is_alive()
        return self.outcomes

    def _client(self, number: int, deadline: float) -> None:
        rng = random.Random(f"{self._seed} {number}")
        connection = Connection(self._port)
        while time.monotonic() < deadline:
            draw, kind = rng.random(), "good"
            for name, share in SHARES.items():
                if 0 <= draw < share:
                    kind = name
                draw -= share
            asked = rng.choice(self._asks[kind])
            started = time.monotonic()
            if kind == "cancelled":
                connection.leave(asked, rng.uniform(0, 0.2))
                self.outcomes.append(Outcome(kind=kind, status=499, seconds=0.0))
                continue
            status, wrong = connection.answered(asked)
            seconds = time.monotonic() - started
            self.outcomes.append(Outcome(kind=kind, status=status, seconds=seconds, wrong=wrong))
        connection.close()


class Connection:
    """One connection that is used for one request after the other, and opened again when closed."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def answered(self, asked: Ask) -> tuple[int, str | None]:
        """Status, and what was wrong with the answer; a stream's error counts as its status."""
        try:
            self._http.request("POST", asked.path, asked.body, JSON)
            response = self._http.getresponse()
            status, content = response.status, response.read()
        except (OSError, HTTPException) as error:
            self.close()
            return LOST, f"{asked.path}: {type(error).__name__}: {error}"
        try:
            answer = (
                frames_of(content) if asked.is_stream and status == 200 else json.loads(content)
            )
            if asked.is_stream and status == 200 and "error" in answer[-1]:
                status = 503 if answer[-1]["error"]["type"] == "not_available" else 500
            is_right = status == asked.status and asked.is_right(answer)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            is_right = False
        return status, None if is_right else f"{asked.path} {asked.body[:80]!r}: {content[:300]!r}"

    def leave(self, asked: Ask, seconds: float) -> None:
        """Ask, and close the connection after a while, or after the first frame of a stream."""
        with suppress(OSError, HTTPException):  # nobody waits for an answer here
            self._http.request("POST", asked.path, asked.body, JSON)
            if asked.is_stream:
                self._http.getresponse().readline()
            else:
                time.sleep(seconds)
            self._http.sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        """The next request opens it again."""
        self._http.close()


def explained(
    port: int, num_parallel: int, num_words: int, num_positions: int | None, max_new_tokens: int
) -> list[int]:
    """The statuses of as many requests at once to explain tokens of a prompt; all for None."""
    text = " ".join(["farmer", "rain", "harbor", "song"][n % 4] for n in range(num_words))
    positions = None if num_positions is None else list(range(num_positions))
    asked = ask(
        "/explain", lambda _: True, text=text, positions=positions, max_new_tokens=max_new_tokens
    )
    with ThreadPoolExecutor(num_parallel) as pool:
        answers = pool.map(lambda _: Connection(port).answered(asked), range(num_parallel))
        return [status for status, _ in answers]


def frames_of(content: bytes) -> list[Any]:
    """The frames of a stream that came to its end."""
    frames = [one.removeprefix(b"data: ") for one in content.split(b"\n\n") if one]
    if frames[-1] != b"[DONE]":
        raise ValueError("the stream has no end")
    return [json.loads(one) for one in frames[:-1]]


def counts(outcomes: Sequence[Outcome]) -> dict[str, dict[int, int]]:
    """How many requests of each kind got each status."""
    found = {kind: Counter[int]() for kind in ("good", *SHARES)}
    for one in outcomes:
        found[one.kind][one.status] += 1
    return {kind: dict(sorted(statuses.items())) for kind, statuses in found.items()}


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Requests, statuses and latencies in a line."""
    p50, p99 = np.percentile([one.seconds for one in outcomes if one.kind == "good"], [50, 99])
    rate = len(outcomes) / seconds
    return (
        f"{len(outcomes)} requests, {rate:.0f}/s; {counts(outcomes)}; "
        f"p50 {p50:.3f} s, p99 {p99:.3f} s"
    )


class Memory:
    """The resident bytes of a server's replicas, once a second while the block runs."""

    def __init__(self, replicas: Callable[[], dict[int, str]]) -> None:
        self._replicas = replicas
        self.samples: dict[tuple[str, int], list[tuple[float, int]]] = {}  # by part and process
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def growth(self, warm_seconds: float, window_seconds: float) -> dict[tuple[str, int], float]:
        """Of every replica that was there so long, by how much it grew after it was warm."""
        found = {}
        for replica, samples in self.samples.items():
            begin, end = samples[0][0] + warm_seconds, samples[-1][0] - window_seconds
            early = [size for at, size in samples if begin <= at < begin + window_seconds]
            late = [size for at, size in samples if at >= end]
            if early and end > begin + window_seconds:
                found[replica] = float(np.median(late) / np.median(early) - 1)
        return found

    def _watch(self) -> None:
        while not self._is_over.wait(1.0):
            for pid, part in self._replicas().items():
                with suppress(psutil.NoSuchProcess):
                    size = psutil.Process(pid).memory_info().rss
                    self.samples.setdefault((part, pid), []).append((time.monotonic(), size))
