"""An NLA behind a URL: a `System`, as one in this process is. Opens no model.

nla = Endpoint("http://127.0.0.1:8000")
nla.verbalize(nla.read(["dear friend, the farmer ..."], "toy-pythia-410m").h_ND, "toy-pythia-410m")

h: raw activations [N, D] of a host; n(h): at the norm sqrt(D).
"""

import os
from collections.abc import Sequence
from typing import Self, Unpack

import numpy as np
from numpy.typing import ArrayLike

from interlingua.models.bundle.system import Activations, OnToken, SamplingOptions
from interlingua.models.bundle.verbalization import RoundTrip, Verbalization
from interlingua.serving.client.detection import server_at
from interlingua.serving.client.server import Scores
from interlingua.serving.client.transport import Transport
from interlingua.serving.client.vectors import rows_of

TOKEN_VARIABLE = "INTERLINGUA_TOKEN"


class Endpoint:
    """A bundle of a server that has this platform's API, or a server of Neuronpedia's protocol.

    Calls are cut into requests that the server's limits allow; `concurrency` of them are under way
    at a time, and results are in the order of the rows. A server that is busy (429, 503), or gone
    after it was there, is asked again for `patience_s` a request; an answer that takes longer than
    `timeout_s` from one part to the next is an error. Ctrl-C, and the first error, end all that the
    server does for a call. `token` is read from INTERLINGUA_TOKEN where none is given.

    Texts are those of the same bundle in this process, and vectors of texts have its bits in fp32,
    but for the order in which other rows of a batch make a model add.
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
        """Raw activations of many texts; with `positions`, a list for each, at those tokens.

        Neuronpedia's protocol reads tokens alone. NotOffered where the host's model is not there.
        """
        return self._server.read(texts, self._known(host), positions)

    def verbalize(
        self,
        activations: ArrayLike,
        host: str,
        *,
        on_token: OnToken | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[list[Verbalization]]:
        """`n` explanations of every row of raw activations, [D] or [N, D].

        `on_token` is called in this thread, as the server streams. Of Neuronpedia's protocol the
        `raw_text` is the explanation and the `log_prob` NaN; it has no seed, no ban, no prefix.
        """
        known = self._known(host)
        h_ND = rows_of(activations, self._server.width(known), known)
        return self._server.verbalize(h_ND, known, sampling, on_token)

    def verbalize_zero(
        self, count: int, host: str, **sampling: Unpack[SamplingOptions]
    ) -> list[list[Verbalization]]:
        """What the AV writes `count` times when it is shown zeros in place of a vector: a control.

        Neuronpedia's protocol has none of it, and NotOffered is raised.
        """
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        return self._server.verbalize_zero(count, self._known(host), sampling)

    def reconstruct(self, texts: Sequence[str | None], host: str | None = None) -> np.ndarray:
        """The vectors that explanations stand for: shared [N, E], or of a host [N, D] as n(h).

        Rows of NaN stand for None. Neuronpedia's protocol has none of it, and NotOffered is raised.
        """
        return self._server.reconstruct(texts, None if host is None else self._known(host))

    def round_trips(
        self, activations: ArrayLike, host: str, **sampling: Unpack[SamplingOptions]
    ) -> list[RoundTrip]:
        """Activations put into words and back: the first sample of each.

        Of Neuronpedia's protocol the numbers are the server's, and `rebuilt_D` is NaN.
        """
        known = self._known(host)
        h_ND = rows_of(activations, self._server.width(known), known)
        return self._server.round_trips(h_ND, known, sampling)

    def score(
        self, explanations: Sequence[str | None], activations: ArrayLike, host: str
    ) -> Scores:
        """How well explanations stand for activations, one for each, as the server's AR has it.

        A text that is None stands for nothing: its cosine is 0, its NMSE 2.
        """
        known = self._known(host)
        h_ND = rows_of(activations, self._server.width(known), known)
        if len(explanations) != len(h_ND):
            raise ValueError(f"{len(explanations)} explanations of {len(h_ND)} activations")
        return self._server.score(explanations, h_ND, known)

    def _known(self, host: str) -> str:
        # A server without a source model does not say whose vectors it explains.
        if not isinstance(host, str) or (self.hosts and host not in self.hosts):
            raise ValueError(f"host is {host!r}; this NLA knows: {', '.join(self.hosts)}")
        return host
