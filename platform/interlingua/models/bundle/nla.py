"""A trained NLA: activations to text and back, from one folder. Needs no Ray.

nla = NLA.load("runs/bundle/world-...")
nla.verbalize(texts=["dear friend, the farmer ..."], host="toy-pythia-410m")

h: raw activations [N, D] of a host; n(h): the same at the norm sqrt(D); v: vectors [E] in the
shared space; a: the AR's vectors [E] for texts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from interlingua.core.geometry import rescale
from interlingua.core.spans import Span
from interlingua.models.bundle.inputs import text_of, texts_of, vectors_of
from interlingua.models.bundle.proved import ProvedBundle
from interlingua.models.bundle.system import (
    Activations,
    Likelihoods,
    OnToken,
    Sampling,
    SamplingOptions,
)
from interlingua.models.bundle.verbalization import RoundTrip, Verbalization, round_trips_of
from interlingua.models.sampling.decoding import OnDrawn
from interlingua.models.sampling.ending import Decoded
from interlingua.specs.training import SamplingSpec


class NLA:
    """A pair of models with the maps of its hosts; made by `load`. A `System` of this process."""

    def __init__(self, bundle: ProvedBundle) -> None:
        self.manifest, self.contract = bundle.manifest, bundle.contract
        self.av, self.ar = bundle.av(), bundle.ar()
        self.maps, self.readers = bundle.maps(), bundle.readers()

    def __repr__(self) -> str:
        return f"<NLA of {len(self.hosts)} hosts: {', '.join(self.hosts)}>"

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of its hosts."""
        return self.maps.hosts

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", dtype: str | None = None) -> Self:
        """Open the bundle in a folder, once all of it is proved; models go to torch's `device`.

        AV and AR run in `dtype` ("bfloat16"), by default in that of their training.

        Every file of the bundle, of the trunk and of the hosts that are there must have its
        recorded hash, and tokenizer, markers, widths and weights must fit; the first thing that
        does not is an error that names it. A host whose folder is not there cannot be read, but
        vectors of it that were read elsewhere are explained all the same.
        """
        return cls(ProvedBundle.of(path, device, dtype=dtype))

    def activation(
        self, text: str, host: str, position: int | None = None, *, span: Span | None = None
    ) -> np.ndarray:
        """The raw activation [D] of a host, read as in training (`manifest.hosts[host].read`).

        The mean over a text's tokens or, for an NLA of sentences, over its last one. A position
        counts tokens from 0, or from the end where it is negative; a span is of characters, the
        second not included. Behind `manifest.hosts[host].max_tokens` nothing is read: a mean is
        over the beginning of a longer text, with a warning, and a position there is refused.

        >>> h_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
        >>> last_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium", position=-1)
        >>> h_D.shape == last_D.shape
        True
        """
        return self.readers.activation(text, self.maps.known(host), position, span)

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None = None
    ) -> Activations:
        """Raw activations of many texts; with `positions`, a list for each, at those tokens.

        >>> texts = ["dear friend, there was rain.", "the farmer carried a basket."]
        >>> nla.read(texts, "toy-gpt2-medium").h_ND.shape[0]
        2
        >>> at = nla.read(texts, "toy-gpt2-medium", positions=[[-1], [0, 1, 2]])
        >>> at.texts
        [0, 1, 1, 1]
        """
        return self.readers.read(texts, self.maps.known(host), positions)

    def verbalize(
        self,
        activations: ArrayLike | Tensor | None = None,
        host: str | None = None,
        *,
        texts: Sequence[str] | None = None,
        on_token: OnToken | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[list[Verbalization]]:
        """The AV's `n` explanations of every activation, or of every text that a host reads.

        `activations`: a tensor, an array or a list, [D] or [N, D]; only directions count.

        >>> h_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
        >>> [[one]] = nla.verbalize(h_D, "toy-gpt2-medium")  # greedy
        >>> texts = ["dear friend, there was rain.", "the farmer carried a basket."]
        >>> drawn = nla.verbalize(texts=texts, host="toy-gpt2-medium", n=3, temperature=1.0)
        """
        host, asked = self.maps.known(host), Sampling(**sampling)
        if (activations is None) == (texts is None):
            raise ValueError("give activations or texts, one of the two")
        if texts is not None:
            activations = self.read(texts, host).h_ND
        assert activations is not None
        h_ND = vectors_of(activations, self.maps.width(host), host)
        shares = self.maps.shares_nearer(host, h_ND)
        return self._drawn(host, self.maps.v_of(host, h_ND), shares, asked, on_token)

    def verbalize_zero(
        self, count: int, host: str | None = None, **sampling: Unpack[SamplingOptions]
    ) -> list[list[Verbalization]]:
        """What the AV writes when it is shown zeros in place of a vector: a control.

        Whatever these texts are right about, they did not have from an activation.

        >>> [[one]] = nla.verbalize_zero(1, "toy-gpt2-medium")
        """
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        v_NE = torch.zeros(count, self.maps.space.width)
        return self._drawn(self.maps.known(host), v_NE, [None] * count, Sampling(**sampling), None)

    def reconstruct(self, texts: Sequence[str | None], host: str | None = None) -> np.ndarray:
        """The vectors that explanations stand for: shared [N, E], or of a host [N, D].

        Shared vectors have the norm sqrt(E); those of a host are in the units of n(h), the host's
        activations at the norm sqrt(D). Rows of NaN stand for None, as where the AV did not close
        its tag.

        >>> a_NE = nla.reconstruct(["about a farm.", None])
        >>> round(float(np.linalg.norm(a_NE[0]) ** 2)) == nla.maps.space.width
        True
        >>> bool(np.isnan(a_NE[1]).all())
        True
        >>> rebuilt_ND = nla.reconstruct(["about a farm."], "toy-gpt2-medium")
        """
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise ValueError(f"texts is a {type(texts).__name__}; give a list of texts")
        known = None if host is None else self.maps.known(host)
        a_NE = self.ar.reconstruct([None if text is None else text_of(text) for text in texts])
        is_there_N = ~np.isnan(a_NE).any(axis=1)
        width = a_NE.shape[1] if known is None else self.maps.width(known)
        rebuilt_ND = np.full((len(a_NE), width), np.nan)
        rebuilt_ND[is_there_N] = self.maps.of_host(a_NE[is_there_N], known)
        return rebuilt_ND

    def nll(self, activations: ArrayLike | Tensor, texts: Sequence[str], host: str) -> Likelihoods:
        """How probable the AV finds each text as the explanation of the activation in its row.

        The text as the AV learned to write it: within its tags, and ended.

        >>> h_ND = nla.read(["there was rain.", "a basket."], "toy-gpt2-medium").h_ND
        >>> found = nla.nll(h_ND, ["about the weather.", "about a basket."], "toy-gpt2-medium")
        >>> per_token_N = found.nll_N / found.num_tokens_N
        """
        h_ND = vectors_of(activations, self.maps.width(self.maps.known(host)), host)
        if len(texts_of(texts)) != len(h_ND):
            raise ValueError(f"{len(texts)} texts of {len(h_ND)} activations; give one of each")
        return Likelihoods(*self.av.nll(host, self.maps.v_of(host, h_ND), texts))

    def round_trips(
        self, activations: ArrayLike | Tensor, host: str, **sampling: Unpack[SamplingOptions]
    ) -> list[RoundTrip]:
        """Activations put into words and back: the first sample of each.

        >>> h_ND = nla.read(["there was rain.", "a basket."], "toy-gpt2-medium").h_ND
        >>> [one, other] = nla.round_trips(h_ND, "toy-gpt2-medium")
        >>> bool(np.isclose(one.nmse, 2 * (1 - one.cosine)))
        True
        """
        drawn = [samples[0] for samples in self.verbalize(activations, host, **sampling)]
        n_ND = rescale(vectors_of(activations, self.maps.width(host), host))
        rebuilt_ND = self.reconstruct([one.explanation for one in drawn], host)
        return round_trips_of(drawn, n_ND, rebuilt_ND)

    def round_trip(
        self,
        text: str,
        host: str,
        position: int | None = None,
        *,
        span: Span | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> RoundTrip:
        """A host's activation of one text, put into words and back.

        >>> trip = nla.round_trip("dear friend, there was rain.", "toy-gpt2-medium")
        >>> -1 <= trip.cosine <= 1
        True
        """
        h_D = self.activation(text, host, position, span=span)
        (trip,) = self.round_trips(h_D, host, **sampling)
        return trip

    def _drawn(
        self,
        host: str,
        v_NE: Tensor,
        shares: Sequence[float | None],
        asked: Sampling,
        on_token: OnToken | None,
    ) -> list[list[Verbalization]]:
        drawn = self.av.verbalize(
            host,
            v_NE,
            asked.keys_of(len(v_NE)),
            spec_of(asked),
            banned=asked.banned,
            prefix=asked.prefix,
            on_drawn=None if on_token is None else _by_row(on_token, asked.n),
        )
        return [
            [verbalization_of(sample, share) for sample in samples]
            for samples, share in zip(drawn, shares, strict=True)
        ]


def spec_of(sampling: Sampling) -> SamplingSpec:
    """The same for a sampler, without what is no distribution: bans, the prefix and keys."""
    return SamplingSpec(
        seed=sampling.seed,
        temperature=sampling.temperature,
        samples=sampling.n,
        max_new_tokens=sampling.max_new_tokens,
    )


def verbalization_of(decoded: Decoded, share_nearer: float | None) -> Verbalization:
    """What a sample says of an activation."""
    # The sum over all ids, the one that ended the text among them: log p of the whole text.
    log_prob = sum(decoded.log_probs)
    return Verbalization(
        decoded.explanation, decoded.text, log_prob, share_nearer, len(decoded.ids)
    )


def _by_row(on_token: OnToken, num_samples: int) -> OnDrawn:
    return lambda number, decoded: on_token(*divmod(number, num_samples), decoded.text)
