"""A server that has the platform's own API.

h: raw activations [N, D] of a host; n(h): at the norm sqrt(D).
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from interlingua.core.geometry import near_one, rescale
from interlingua.models.bundle.system import Activations, OnToken, Sampling, SamplingOptions
from interlingua.models.bundle.verbalization import RoundTrip, Verbalization, round_trips_of
from interlingua.serving.client.batches import Cost, in_parts, parts_of
from interlingua.serving.client.errors import NotOffered
from interlingua.serving.client.readings import Found, activations_of, asks_of
from interlingua.serving.client.server import NOTHING, Scores
from interlingua.serving.client.stopping import Stop
from interlingua.serving.client.transport import Transport
from interlingua.serving.client.vectors import decoded, texts_of
from interlingua.serving.http.wire import LITTLE_FP32, encoded

Fields = Mapping[str, Any]
OVERHEAD_BYTES = 65_536  # of a body, beside its rows
BASE64 = 4 / 3


class OwnServer:
    """One bundle of such a server, as its list of models describes it.

    The requests of a call that are under way together fill at most half of the server's queue.
    """

    def __init__(
        self, transport: Transport, name: str, card: Mapping[str, Any], concurrency: int
    ) -> None:
        self._transport, self._name, self._concurrency = transport, name, concurrency
        self._hosts: Mapping[str, Fields] = {one["tag"]: one for one in card["hosts"]}
        self._shared_width: int = card["width"]
        self.digest: str | None = card.get("digest")
        self._limits: Mapping[str, int] = card["limits"]

    def __repr__(self) -> str:
        return f"{self._name} at {self._transport.url}"

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of the bundle's hosts."""
        return tuple(self._hosts)

    def width(self, host: str) -> int:
        """The width of a host's activations."""
        width: int = self._hosts[host]["width"]
        return width

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None
    ) -> Activations:
        """The activations of texts: at tokens, or as in training."""
        if not self._hosts[host]["is_here"]:
            raise NotOffered(f"the model of {host} is not at {self!r}, so that it reads no texts")
        most = self._most(samples=1)
        asks = asks_of(texts, positions, min(self._limits["max_positions"], most.rows))
        width = self.width(host)

        def call(part: slice, stop: Stop) -> list[Found]:
            own = asks[part]
            fields: dict[str, Any] = {"host": host, "texts": [ask.text for ask in own]}
            if positions is not None:
                fields["positions"] = [ask.positions for ask in own]
            answers = self._answer("activations", {**fields, "vector_form": "base64"}, stop)["data"]
            return [
                Found(
                    number=ask.number,
                    positions=answer["positions"],
                    h_ND=decoded(answer["activations"], width),
                )
                for ask, answer in zip(own, answers, strict=True)
            ]

        costs = [
            Cost(1 if ask.positions is None else len(ask.positions), _size(ask.text))
            for ask in asks
        ]
        numbers = [ask.number for ask in asks]
        found = in_parts(call, parts_of(costs, most), self._concurrency, numbers)
        return activations_of(found, host, width)

    def verbalize(
        self, h_ND: np.ndarray, host: str, options: SamplingOptions, on_token: OnToken | None
    ) -> list[list[Verbalization]]:
        """Texts of activations; streamed where somebody watches, one request after the other."""
        sampling = Sampling(**options)
        keys = sampling.keys_of(len(h_ND)) if sampling.keys else ()
        sent_ND = near_one(h_ND).astype(LITTLE_FP32)
        fields = {**_fields(sampling), "host": host, "stream": on_token is not None}

        def call(part: slice, stop: Stop) -> list[list[Verbalization]]:
            sent = {"activations": encoded(sent_ND[part], "base64"), "keys": list(keys[part])}
            if on_token is not None:
                return self._streamed({**fields, **sent}, part, on_token, stop)
            return self._drawn({**fields, **sent}, stop)

        longest = max(map(_size, keys), default=0)
        costs = [Cost(1, _row_bytes(sent_ND) + longest)] * len(sent_ND)
        concurrency = self._concurrency if on_token is None else 1
        parts = parts_of(costs, self._most(samples=sampling.n))
        return in_parts(call, parts, concurrency, range(len(sent_ND)))

    def verbalize_zero(
        self, count: int, host: str, options: SamplingOptions
    ) -> list[list[Verbalization]]:
        """Texts of zeros in place of vectors."""
        sampling = Sampling(**options)
        keys = sampling.keys_of(count) if sampling.keys else ()
        fields = {**_fields(sampling), "host": host}

        def call(part: slice, stop: Stop) -> list[list[Verbalization]]:
            sent = {"zero_vectors": part.stop - part.start, "keys": list(keys[part])}
            return self._drawn({**fields, **sent}, stop)

        costs = [Cost(1, max(map(_size, keys), default=0))] * count
        parts = parts_of(costs, self._most(samples=sampling.n))
        return in_parts(call, parts, self._concurrency, range(count))

    def reconstruct(self, texts: Sequence[str | None], host: str | None) -> np.ndarray:
        """The vectors of texts; rows of NaN for none."""
        places, written = _there(texts, "texts")
        width = self._shared_width if host is None else self.width(host)

        def call(part: slice, stop: Stop) -> list[np.ndarray]:
            fields = {"texts": written[part], "host": host, "vector_form": "base64"}
            return list(decoded(self._answer("reconstruct", fields, stop)["vectors"], width))

        costs = [Cost(1, _size(text)) for text in written]
        parts = parts_of(costs, self._most(samples=1))
        rebuilt_ND = np.full((len(texts), width), np.nan)
        if places:
            rebuilt_ND[places] = np.stack(in_parts(call, parts, self._concurrency, places))
        return rebuilt_ND

    def score(self, explanations: Sequence[str | None], h_ND: np.ndarray, host: str) -> Scores:
        """The numbers that the server computes."""
        places, written = _there(explanations, "explanations")
        sent_ND = near_one(h_ND[places]).astype(LITTLE_FP32)

        def call(part: slice, stop: Stop) -> list[tuple[float, float]]:
            fields = {
                "host": host,
                "explanations": written[part],
                "activations": encoded(sent_ND[part], "base64"),
            }
            answers = self._answer("score", fields, stop)["data"]
            return [(answer["cosine"], answer["nmse"]) for answer in answers]

        row_bytes = _row_bytes(sent_ND)
        costs = [Cost(1, row_bytes + _size(text)) for text in written]
        parts = parts_of(costs, self._most(samples=1))
        numbers_N2 = np.tile(NOTHING, (len(explanations), 1))
        if places:
            numbers_N2[places] = in_parts(call, parts, self._concurrency, places)
        return Scores(cosine_N=numbers_N2[:, 0], nmse_N=numbers_N2[:, 1])

    def round_trips(self, h_ND: np.ndarray, host: str, options: SamplingOptions) -> list[RoundTrip]:
        """The first sample of each."""
        drawn = [samples[0] for samples in self.verbalize(h_ND, host, options, None)]
        rebuilt_ND = self.reconstruct([one.explanation for one in drawn], host)
        n_ND = rescale(near_one(h_ND).astype(np.float32))
        return round_trips_of(drawn, n_ND, rebuilt_ND)

    def _most(self, *, samples: int) -> Cost:
        """Of one request: what one forward of the server takes, and no more than our share."""
        limits = self._limits
        share = limits["max_queued_rows"] // (2 * self._concurrency * samples)
        rows = min(limits["max_rows"], limits["max_batch_rows"] // samples, share)
        return Cost(max(1, rows), limits["max_body_bytes"] - OVERHEAD_BYTES)

    def _drawn(self, fields: Fields, stop: Stop) -> list[list[Verbalization]]:
        return [_verbalizations(row) for row in self._answer("verbalize", fields, stop)["data"]]

    def _answer(self, route: str, fields: Fields, stop: Stop) -> Any:
        return self._transport.ask(f"/v1/{route}", self._body(fields), stop)

    def _body(self, fields: Fields) -> bytes:
        return json.dumps({"model": self._name, **fields}).encode()

    def _streamed(
        self, fields: Fields, part: slice, on_token: OnToken, stop: Stop
    ) -> list[list[Verbalization]]:
        found: dict[int, dict[int, Verbalization]] = {}
        with closing(self._transport.events("/v1/verbalize", self._body(fields), stop)) as events:
            next(events)  # which rows are coming
            for frame in events:
                row, sample = frame["index"], frame["sample"]
                if frame["done"]:
                    found.setdefault(row, {})[sample] = _verbalization(frame)
                text = frame["raw_text"] if frame["done"] else frame["text"]
                on_token(part.start + row, sample, text)
        return [[found[row][sample] for sample in sorted(found[row])] for row in sorted(found)]


def _fields(sampling: Sampling) -> Fields:
    return {
        "n": sampling.n,
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "max_new_tokens": sampling.max_new_tokens,
        "banned": [int(token) for token in sampling.banned],
        "prefix": sampling.prefix,
    }


def _verbalizations(row: Fields) -> list[Verbalization]:
    samples = sorted(row["explanations"], key=lambda one: one["sample"])
    return [_verbalization(one) for one in samples]


def _verbalization(one: Fields) -> Verbalization:
    log_prob = math.nan if one["log_prob"] is None else one["log_prob"]
    return Verbalization(
        one["explanation"], one["raw_text"], log_prob, one["share_nearer"], one["num_tokens"]
    )


def _there(texts: Sequence[str | None], name: str) -> tuple[list[int], list[str]]:
    """The texts that are there, and their places among all."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"{name} is a {type(texts).__name__}; give a list of texts")
    written = {place: text for place, text in enumerate(texts) if text is not None}
    return list(written), texts_of(list(written.values()), name)


def _size(text: str) -> int:
    return len(json.dumps(text))


def _row_bytes(sent_ND: np.ndarray) -> int:
    return math.ceil(sent_ND.shape[1] * LITTLE_FP32.itemsize * BASE64)
