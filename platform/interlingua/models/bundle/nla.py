"""A trained NLA: activations to text and back, from one folder. Needs no Ray.

h: raw activations [N, D] of a host; n(h): the same at the norm sqrt(D); v: vectors [E] in the
shared space; a: the AR's vectors [E] for texts.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from interlingua.core.geometry import rescale
from interlingua.core.spans import Span
from interlingua.models.bundle.drawn import drawn_rows
from interlingua.models.bundle.host_maps import hosts_html
from interlingua.models.bundle.inputs import text_of, texts_of, vectors_of
from interlingua.models.bundle.proved import ProvedBundle
from interlingua.models.bundle.system import (
    Activations,
    Likelihoods,
    OnToken,
    Sampling,
    SamplingOptions,
)
from interlingua.models.bundle.verbalization import (
    RoundTrip,
    RoundTrips,
    Verbalizations,
    round_trips_of,
)


class NLA:
    """A pair of models with the maps of its hosts; made by `load`. A `System` of this process."""

    def __init__(self, bundle: ProvedBundle) -> None:
        self.manifest, self.contract = bundle.manifest, bundle.contract
        self.av, self.ar = bundle.av(), bundle.ar()
        self.maps, self.readers = bundle.maps(), bundle.readers()

    def __repr__(self) -> str:
        return f"<NLA of {len(self.hosts)} hosts: {', '.join(self.hosts)}>"

    def _repr_html_(self) -> str:
        return hosts_html(self.manifest, {tag: self.maps.width(tag) for tag in self.hosts})

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of its hosts."""
        return self.maps.hosts

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", dtype: str | None = None) -> Self:
        """The NLA in a folder, once all of it is proved.

        A host whose folder is not there cannot be read, but vectors of it that were read elsewhere
        are explained all the same.

        Args:
            path: the folder of the bundle, `runs/bundle/NAME-HASH`.
            device: torch's name of where the models go.
            dtype: in which AV and AR run ("bfloat16"); by default that of their training.

        Raises:
            NotABundle: the folder holds none.
            BundleDamaged: a file of it, of the trunk or of a host has not its recorded hash.
            ContractMismatch: tokenizer, markers, widths or weights do not fit.
        """
        return cls(ProvedBundle.of(path, device, dtype=dtype))

    def activation(
        self, text: str, host: str, position: int | None = None, *, span: Span | None = None
    ) -> np.ndarray:
        """The raw activation [D] of one text, read as in training (`manifest.hosts[host].read`).

        That is the mean over its tokens or, for an NLA of sentences, over its last sentence. Behind
        the host's `max_tokens` nothing is read: a mean is then over the beginning, with a warning.

        Args:
            text: what the host reads.
            host: its tag.
            position: a token instead, from 0 or, where it is negative, from the end.
            span: characters instead, the second not included: the mean over their tokens.

        Raises:
            ValueError: the host is unknown, or nothing stands at that position or span.

        Examples:
            >>> h_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
            >>> last_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium", -1)
            >>> h_D.shape == last_D.shape
            True
        """
        return self.readers.activation(text, self.maps.known(host), position, span)

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None = None
    ) -> Activations:
        """Raw activations of many texts, with where each was read.

        Args:
            texts: what the host reads.
            host: its tag.
            positions: of every text its tokens; without it one row a text, as in training.

        Raises:
            ValueError: the host is unknown, or a position is, or is needed and missing.

        Examples:
            >>> texts = ["dear friend, there was rain.", "the farmer carried a basket."]
            >>> nla.read(texts, "toy-gpt2-medium")
            <Activations of toy-gpt2-medium: 2 rows, 32 wide>
            >>> at = nla.read(texts, "toy-gpt2-medium", positions=[[-1], [0, 1, 2]])
            >>> at.texts
            [0, 1, 1, 1]
        """
        return self.readers.read(texts, self.maps.known(host), positions)

    def verbalize(
        self,
        activations: ArrayLike | Tensor | Activations | None = None,
        host: str | None = None,
        *,
        texts: Sequence[str] | None = None,
        on_token: OnToken | None = None,
        progress: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> Verbalizations:
        """The AV's `n` explanations of every activation: a list of samples for each.

        Args:
            activations: [D] or [N, D], or what `read` returned; only directions count.
            host: whose activations they are.
            texts: read by the host, instead of activations.
            on_token: called with row, sample and the text so far.
            progress: whether a terminal or a notebook shows how far it is.
            **sampling: the fields of `Sampling`; greedy without them.

        Raises:
            ValueError: not one of activations and texts is given, or a value is of no use.

        Examples:
            >>> texts = ["dear friend, there was rain.", "the farmer carried a basket."]
            >>> [[one], [other]] = nla.verbalize(texts=texts, host="toy-gpt2-medium")  # greedy
            >>> drawn = nla.verbalize(nla.read(texts, "toy-gpt2-medium"), n=3, temperature=1.0)
            >>> [len(samples) for samples in drawn]
            [3, 3]
        """
        if texts is not None and activations is None:
            activations = self.read(texts, self.maps.known(host))
        elif texts is not None or activations is None:
            raise ValueError("give activations or texts, one of the two")
        known, h_ND, places = self.maps.vectors(activations, host)
        v_NE, shares = self.maps.v_of(known, h_ND), self.maps.shares_nearer(known, h_ND)
        asked = Sampling(**sampling)
        rows = drawn_rows(self.av, known, v_NE, asked, shares, on_token=on_token, progress=progress)
        return Verbalizations(rows, places, known)

    def verbalize_zero(
        self, count: int, host: str | None = None, **sampling: Unpack[SamplingOptions]
    ) -> Verbalizations:
        """What the AV writes when it is shown zeros in place of a vector: a control.

        Whatever these texts are right about, they did not have from an activation.

        Args:
            count: how many times.
            host: in whose prompt.
            **sampling: the fields of `Sampling`; greedy without them.

        Raises:
            ValueError: the count is below 1, or the host is unknown.

        Examples:
            >>> [[one]] = nla.verbalize_zero(1, "toy-gpt2-medium")
        """
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        known, v_NE = self.maps.known(host), torch.zeros(count, self.maps.space.width)
        rows = drawn_rows(self.av, known, v_NE, Sampling(**sampling), [None] * count)
        return Verbalizations(rows, host=known)

    def reconstruct(self, texts: Sequence[str | None], host: str | None = None) -> np.ndarray:
        """The vectors that explanations stand for: shared [N, E], or of a host [N, D].

        Args:
            texts: explanations; None, as where the AV did not close its tag, gives a row of NaN.
            host: whose space the vectors are in; without it the shared one.

        Returns:
            Rows of the norm sqrt(E) or, of a host, in units of n(h), of the norm sqrt(D).

        Raises:
            ValueError: the host is unknown, or a text is none or too long for the AR.

        Examples:
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

        Args:
            activations: [N, D] of the host.
            texts: one for each, as the AV learned to write it: its tags and its end are added.
            host: whose activations they are.

        Raises:
            ValueError: there is not one text for each activation.

        Examples:
            >>> h_ND = nla.read(["there was rain.", "a basket."], "toy-gpt2-medium").h_ND
            >>> found = nla.nll(h_ND, ["about the weather.", "about a basket."], "toy-gpt2-medium")
            >>> per_token_N = found.nll_N / found.num_tokens_N
        """
        h_ND = vectors_of(activations, self.maps.width(self.maps.known(host)), host)
        if len(texts_of(texts)) != len(h_ND):
            raise ValueError(f"{len(texts)} texts of {len(h_ND)} activations; give one of each")
        return Likelihoods(*self.av.nll(host, self.maps.v_of(host, h_ND), texts))

    def round_trips(
        self,
        activations: ArrayLike | Tensor | Activations,
        host: str | None = None,
        *,
        progress: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> RoundTrips:
        """Activations put into words and back: the first sample of each.

        Args:
            activations: [D] or [N, D], or what `read` returned.
            host: whose activations they are.
            progress: whether a terminal or a notebook shows how far it is.
            **sampling: the fields of `Sampling`; greedy without them.

        Raises:
            ValueError: the host is unknown, or the activations are not of it.

        Examples:
            >>> read = nla.read(["there was rain.", "a basket."], "toy-gpt2-medium")
            >>> [one, other] = nla.round_trips(read)
            >>> bool(np.isclose(one.nmse, 2 * (1 - one.cosine)))
            True
        """
        known, h_ND, places = self.maps.vectors(activations, host)
        samples = self.verbalize(h_ND, known, progress=progress, **sampling)
        drawn, n_ND = [first for first, *_ in samples], rescale(h_ND)
        rebuilt_ND = self.reconstruct([one.explanation for one in drawn], known)
        mean_D = self.maps.mean_D(known)
        return round_trips_of(drawn, n_ND, rebuilt_ND, mean_D=mean_D, places=places)

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

        Args:
            text: what the host reads, as `activation` does.
            host: its tag.
            position: a token.
            span: characters.
            **sampling: the fields of `Sampling`; greedy without them.

        Raises:
            ValueError: the host is unknown, or nothing stands at that position or span.

        Examples:
            >>> trip = nla.round_trip("dear friend, there was rain.", "toy-gpt2-medium")
            >>> -1 <= trip.cosine <= 1
            True
        """
        h_D = self.activation(text, host, position, span=span)
        (trip,) = self.round_trips(h_D, host, **sampling)
        return replace(trip, place=self.readers.place(text, host, position, span))
