"""An NLA behind a URL: a `System`, as one in this process is. Opens no model.

nla = Endpoint("http://127.0.0.1:8000")
nla.verbalize(nla.read(["dear friend, the farmer ..."], "toy-pythia-410m").h_ND, "toy-pythia-410m")

h: raw activations [N, D] of a host; n(h): at the norm sqrt(D).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Self, Unpack

import numpy as np
from numpy.typing import ArrayLike

from interlingua.models.bundle.display import Place
from interlingua.models.bundle.system import Activations, OnToken, SamplingOptions, given
from interlingua.models.bundle.verbalization import RoundTrips, Verbalizations
from interlingua.serving.client.detection import server_at
from interlingua.serving.client.server import Scores
from interlingua.serving.client.transport import Transport
from interlingua.serving.client.vectors import rows_of

TOKEN_VARIABLE = "INTERLINGUA_TOKEN"


class Endpoint:
    """A bundle of a server that has this platform's API, or a server of Neuronpedia's protocol.

    Calls are cut into requests that the server's limits allow, and results are in the order of the
    rows. Ctrl-C, and the first error, end all that the server does for a call. Texts are those of
    the same bundle in this process, and vectors of texts have its bits in fp32, but for the order
    in which other rows of a batch make a model add.

    Args:
        url: of the server.
        model: the name of a bundle there; the server's first without it.
        token: where the server wants one; without it what INTERLINGUA_TOKEN has.
        concurrency: how many requests are under way at a time.
        patience_s: how long a request is tried again while the server is busy (429, 503), or gone
            after it was there.
        timeout_s: the longest wait from one part of an answer to the next.

    Raises:
        EndpointError: from every call, where the server refuses, is gone, or is too late.
        NotOffered: from calls that the server's protocol has not.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        token: str | None = None,
        concurrency: int = 4,
        patience_s: float = 300.0,
        timeout_s: float = 300.0,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; it must be at least 1")
        if token is None:
            token = os.environ.get(TOKEN_VARIABLE)
        self._transport = Transport(url, token, patience_s=patience_s, timeout_s=timeout_s)
        self._server = server_at(self._transport, model, concurrency)

    def __repr__(self) -> str:
        return f"<Endpoint of {self._server!r}: {', '.join(self.hosts)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections that are kept for the next call."""
        self._transport.close()

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of its hosts; of Neuronpedia's protocol, the source model if there is one."""
        return self._server.hosts

    @property
    def digest(self) -> str | None:
        """The digest of the bundle's manifest; None where the server does not state it."""
        return self._server.digest

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None = None
    ) -> Activations:
        """Raw activations of many texts.

        Args:
            texts: what the host reads.
            host: its tag.
            positions: of every text its tokens; without it one row a text, as in training, which
                Neuronpedia's protocol has not.
        """
        found = self._server.read(texts, self._known(host), positions)
        # Which characters a token is, an answer with vectors does not say.
        return replace(found, places=[Place(texts[number]) for number in found.texts])

    def verbalize(
        self,
        activations: ArrayLike | Activations,
        host: str | None = None,
        *,
        on_token: OnToken | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> Verbalizations:
        """`n` explanations of every activation: a list of samples for each.

        Of Neuronpedia's protocol the `raw_text` is the explanation and the `log_prob` NaN; a seed,
        a ban or a prefix it has not.

        Args:
            activations: [D] or [N, D], or what `read` returned.
            host: whose activations they are.
            on_token: called in this thread, with row, sample and the text so far, as it streams.
            **sampling: the fields of `Sampling`; greedy without them.
        """
        known, h_ND, places = self._vectors(activations, host)
        rows = self._server.verbalize(h_ND, known, sampling, on_token)
        return Verbalizations(rows, places, known)

    def verbalize_zero(
        self, count: int, host: str, **sampling: Unpack[SamplingOptions]
    ) -> Verbalizations:
        """What the AV writes when it is shown zeros in place of a vector: a control.

        Neuronpedia's protocol has none of it.

        Args:
            count: how many times.
            host: in whose prompt.
            **sampling: the fields of `Sampling`; greedy without them.
        """
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        known = self._known(host)
        return Verbalizations(self._server.verbalize_zero(count, known, sampling), host=known)

    def reconstruct(self, texts: Sequence[str | None], host: str | None = None) -> np.ndarray:
        """The vectors that explanations stand for: shared [N, E], or of a host [N, D].

        Neuronpedia's protocol has none of it.

        Args:
            texts: explanations; None gives a row of NaN.
            host: whose space the vectors are in; without it the shared one.

        Returns:
            Rows of the norm sqrt(E) or, of a host, in units of n(h), of the norm sqrt(D).
        """
        return self._server.reconstruct(texts, None if host is None else self._known(host))

    def round_trips(
        self,
        activations: ArrayLike | Activations,
        host: str | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> RoundTrips:
        """Activations put into words and back: the first sample of each.

        Of Neuronpedia's protocol the numbers are the server's, and `rebuilt_D` is NaN.

        Args:
            activations: [D] or [N, D], or what `read` returned.
            host: whose activations they are.
            **sampling: the fields of `Sampling`; greedy without them.
        """
        known, h_ND, places = self._vectors(activations, host)
        trips = self._server.round_trips(h_ND, known, sampling)
        if places:
            trips = [replace(one, place=place) for one, place in zip(trips, places, strict=True)]
        return RoundTrips(trips)

    def score(
        self, explanations: Sequence[str | None], activations: ArrayLike, host: str
    ) -> Scores:
        """How well explanations stand for activations, as the server's AR has it.

        Args:
            explanations: one for each activation; None stands for nothing: cosine 0, NMSE 2.
            activations: [D] or [N, D].
            host: whose activations they are.
        """
        known = self._known(host)
        h_ND = rows_of(activations, self._server.width(known), known)
        if len(explanations) != len(h_ND):
            raise ValueError(f"{len(explanations)} explanations of {len(h_ND)} activations")
        return self._server.score(explanations, h_ND, known)

    def _vectors(
        self, activations: ArrayLike | Activations, host: str | None
    ) -> tuple[str, np.ndarray, Sequence[Place]]:
        vectors, named, places = given(activations, host)
        known = self._known(named)
        return known, rows_of(vectors, self._server.width(known), known), places

    def _known(self, host: str | None) -> str:
        # A server without a source model does not say whose vectors it explains.
        if not isinstance(host, str) or (self.hosts and host not in self.hosts):
            raise ValueError(f"host is {host!r}; this NLA knows: {', '.join(self.hosts)}")
        return host
