"""A server that has Neuronpedia's NLA protocol, of whomever.

It knows one host, explains vectors, and scores texts against vectors; it gives no vectors of texts.
h: raw activations [N, D] of that host.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from interlingua.core.geometry import rescale
from interlingua.models.bundle.system import Activations, OnToken, Sampling, SamplingOptions
from interlingua.models.bundle.verbalization import RoundTrip, Verbalization
from interlingua.serving.client.batches import Cost, in_parts, parts_of
from interlingua.serving.client.errors import EndpointError, NotOffered
from interlingua.serving.client.readings import Ask, Found, activations_of, asks_of
from interlingua.serving.client.server import NOTHING, Scores
from interlingua.serving.client.stopping import Stop
from interlingua.serving.client.transport import Transport

PROTOCOL = "Neuronpedia's protocol"
ANY_SIZE = 2**62  # bytes; that protocol has no limit of them


class Described(NamedTuple):
    """A description, and how near its reconstruction is, where the server could tell."""

    text: str
    cosine: float | None
    nmse: float | None

    @property
    def verbalization(self) -> Verbalization:
        """As an AV's; what was drawn around it, and how probable it was, is not said."""
        return Verbalization(self.text or None, self.text, float("nan"), None)


class NeuronpediaServer:
    """Such a server, as its status describes it."""

    digest = None  # that protocol does not say which weights it serves

    def __init__(self, transport: Transport, status: Mapping[str, Any], concurrency: int) -> None:
        limits = status["limits"]
        self._transport = transport
        self._source: str | None = status.get("source_model")
        self._width: int | None = status.get("d_model")
        self._has_ar = bool(status.get("reconstructor_available"))
        self._most_rows: int = min(limits["max_describe_batch"], status["max_concurrent"])
        # More at once it would turn away: it has no queue.
        self._concurrency = max(1, min(concurrency, status["max_describe_requests"]))

    def __repr__(self) -> str:
        return f"{self._source or 'an NLA'} at {self._transport.url}, in {PROTOCOL}"

    @property
    def hosts(self) -> Sequence[str]:
        """The one source model, where the server has it."""
        return () if self._source is None else (self._source,)

    def width(self, host: str) -> int | None:
        """The width of its activations, where the server says it."""
        return self._width

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None
    ) -> Activations:
        """The activations of texts at tokens."""
        if self._source is None:
            raise NotOffered(f"{self!r}, has no source model, so that it reads no texts")
        if positions is None:
            raise NotOffered(
                f"positions is missing; {self!r}, reads tokens, and no text as a whole"
            )
        asks = asks_of(texts, positions, ANY_SIZE)

        def call(part: slice, stop: Stop) -> list[Found]:
            (ask,) = asks[part]
            answer = self._answer("/extract", {"text": ask.text}, stop)
            return [self._read(ask, _of(answer, "tokens", self._transport.url))]

        numbers = [ask.number for ask in asks]
        found = in_parts(call, _alone(len(asks)), self._concurrency, numbers)
        return activations_of(found, host, self._width or 0)

    def verbalize(
        self, h_ND: np.ndarray, host: str, options: SamplingOptions, on_token: OnToken | None
    ) -> list[list[Verbalization]]:
        """Descriptions of activations; streamed where somebody watches, one after the other."""
        found = self._described(h_ND, options, on_token)
        return [[one.verbalization for one in samples] for samples in found]

    def verbalize_zero(
        self, count: int, host: str, options: SamplingOptions
    ) -> list[list[Verbalization]]:
        """Nothing: a vector of zeros is refused."""
        raise NotOffered(f"{self!r}, takes no zeros in place of a vector")

    def reconstruct(self, texts: Sequence[str | None], host: str | None) -> np.ndarray:
        """Nothing: there is no way to ask for it."""
        raise NotOffered(
            f"{self!r}, gives no vectors of texts; `score` holds texts against vectors"
        )

    def score(self, explanations: Sequence[str | None], h_ND: np.ndarray, host: str) -> Scores:
        """The numbers that the server computes, of one text a request."""
        self._check_ar()
        places = [place for place, text in enumerate(explanations) if text is not None]

        def call(part: slice, stop: Stop) -> list[tuple[float, float]]:
            (place,) = places[part]
            fields = {"description": explanations[place], "activation": h_ND[place].tolist()}
            answer = self._answer("/score", fields, stop)
            names = ("cosine_similarity", "mse")
            cosine, nmse = (_of(answer, name, self._transport.url) for name in names)
            return [(cosine, nmse)]

        numbers_N2 = np.tile(NOTHING, (len(explanations), 1))
        if places:
            parts = _alone(len(places))
            numbers_N2[places] = in_parts(call, parts, self._concurrency, places)
        return Scores(cosine_N=numbers_N2[:, 0], nmse_N=numbers_N2[:, 1])

    def round_trips(self, h_ND: np.ndarray, host: str, options: SamplingOptions) -> list[RoundTrip]:
        """The first sample of each, with the server's numbers; vectors that it keeps are NaN."""
        self._check_ar()
        n_ND = rescale(h_ND)
        return [
            RoundTrip(
                verbalization=one.verbalization,
                activation_D=n_D,
                rebuilt_D=np.full(len(n_D), np.nan),
                cosine=NOTHING[0] if one.cosine is None else one.cosine,
                nmse=NOTHING[1] if one.nmse is None else one.nmse,
            )
            for (one, *_), n_D in zip(self._described(h_ND, options, None), n_ND, strict=True)
        ]

    def _described(
        self, h_ND: np.ndarray, options: SamplingOptions, on_token: OnToken | None
    ) -> list[list[Described]]:
        sampling = self._sampling(options)
        fields = {
            "temperature": sampling.temperature,
            "max_new_tokens": sampling.max_new_tokens,
            "stream": on_token is not None,
        }

        def call(part: slice, stop: Stop) -> list[list[Described]]:
            body = json.dumps({**fields, "activations": h_ND[part].tolist()}).encode()
            # Samples of one request could be alike, where the server draws by a request's seed.
            drawn = [
                self._streamed(body, part.start, sample, on_token, stop)
                if on_token is not None
                else self._results(body, part.stop - part.start, stop)
                for sample in range(sampling.n)
            ]
            return [list(samples) for samples in zip(*drawn, strict=True)]

        most = Cost(self._most_rows, ANY_SIZE)
        parts = parts_of([Cost(1, 0)] * len(h_ND), most)
        if on_token is None:
            return in_parts(call, parts, self._concurrency, range(len(h_ND)))
        # A text that ended does not say of which row it is: there must be one alone.
        return in_parts(call, _alone(len(h_ND)), 1, range(len(h_ND)))

    def _results(self, body: bytes, count: int, stop: Stop) -> list[Described]:
        url = self._transport.url
        results = _of(self._transport.ask("/describe", body, stop), "results", url)
        if len(results) != count:
            message = f"{count} activations were sent, and {len(results)} descriptions came"
            raise EndpointError(f"{url}/describe", message)
        return [_described_in(result, url) for result in results]

    def _streamed(
        self, body: bytes, row: int, sample: int, on_token: OnToken, stop: Stop
    ) -> list[Described]:
        url = self._transport.url
        found: list[Described] = []
        with closing(self._transport.events("/describe", body, stop)) as events:
            for frame in events:
                if "description" in frame:
                    found.append(_described_in(frame, url))
                    on_token(row, sample, found[-1].text)
                else:
                    on_token(row, sample, _of(frame, "text", url))
        if len(found) != 1:
            raise EndpointError(f"{url}/describe", f"{len(found)} descriptions came of one row")
        return found

    def _sampling(self, options: SamplingOptions) -> Sampling:
        sampling = Sampling(**options)
        refused = {
            "banned": len(sampling.banned) > 0,
            "prefix": sampling.prefix != "",
            "keys": len(sampling.keys) > 0 and sampling.temperature > 0,
            # A greedy text has no draws, so that a seed changes nothing of it.
            "seed": "seed" in options and sampling.temperature > 0,
        }
        if names := ", ".join(name for name, is_refused in refused.items() if is_refused):
            raise NotOffered(f"{names}: {self!r}, has no such field; leave it out")
        return sampling

    def _check_ar(self) -> None:
        if not self._has_ar:
            raise NotOffered(f"{self!r}, has no reconstructor, so that it scores no texts")

    def _answer(self, path: str, fields: Mapping[str, Any], stop: Stop) -> Any:
        return self._transport.ask(path, json.dumps(fields).encode(), stop)

    def _read(self, ask: Ask, tokens: Sequence[Mapping[str, Any]]) -> Found:
        by_position = {token["position"]: token["activation"] for token in tokens}
        count = 1 + max(by_position, default=-1)
        places = [place + count if place < 0 else place for place in ask.positions or ()]
        for place, given in zip(places, ask.positions or (), strict=True):
            if place not in by_position:
                raise ValueError(
                    f"position is {given}; {self._source} reads text {ask.number} as {count} tokens"
                )
        rows = [by_position[place] for place in places]
        return Found(number=ask.number, positions=places, h_ND=np.array(rows, np.float32))


def status_of(answer: Any) -> Mapping[str, Any] | None:
    """The status of such a server; None: it is that of something else."""
    match answer:
        case {
            "verbalizer_model": _,
            "limits": {"max_describe_batch": int()},
            "max_concurrent": int(),
            "max_describe_requests": int(),
        }:
            found: Mapping[str, Any] = answer
            return found
    return None


def _described_in(result: Mapping[str, Any], url: str) -> Described:
    text = _of(result, "description", url)
    return Described(text, result.get("cosine_similarity"), result.get("mse"))


def _of(answer: object, name: str, url: str) -> Any:
    if not isinstance(answer, Mapping) or name not in answer:
        raise EndpointError(url, f"an answer has no `{name}`, which {PROTOCOL} has")
    return answer[name]


def _alone(count: int) -> list[slice]:
    return [slice(place, place + 1) for place in range(count)]
