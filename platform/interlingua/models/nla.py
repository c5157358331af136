"""A trained NLA: activations to text and back, from one folder. Needs no Ray.

nla = NLA.load("runs/bundle/world-...")
nla.verbalize(nla.activation("dear friend, the farmer ...", "toy-pythia-410m"), "toy-pythia-410m")

h: a raw activation [D] of a host; n(h): the same at the norm sqrt(D); v: its vector [E] in the
shared space; a: the AR's vector [E] for a text.
"""

import logging
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from interlingua.core.geometry import cosine, nmse, rescale
from interlingua.core.maps import Decoder
from interlingua.core.spans import sentences
from interlingua.models.activations import Reader
from interlingua.models.batched import BatchReconstructor, BatchVerbalizer
from interlingua.models.bundled import (
    checked_contract,
    opened_familiarity,
    opened_maps,
    opened_pair,
)
from interlingua.models.decoding import Decoded
from interlingua.models.hosts import load_tokenizer
from interlingua.models.inputs import position_of, text_of, vector_of
from interlingua.models.reconstructor import Reconstructor
from interlingua.models.verbalization import RoundTrip, Verbalization
from interlingua.models.verbalizer import Verbalizer
from interlingua.specs.extraction import ExtractSpec, Spans, TokenPositions
from interlingua.specs.splits import Split
from interlingua.specs.training import SamplingSpec
from interlingua.store.bundle import (
    TOKENIZER_FOLDER,
    BundledHost,
    Manifest,
    check_models,
    checked_source,
    read_manifest,
)
from interlingua.store.contract.check import verify_width
from interlingua.store.contract.statement import Contract

logger = logging.getLogger(__name__)

GREEDY = SamplingSpec(seed=0, temperature=0.0, samples=1, max_new_tokens=128)
BATCH_ROWS = 256


class NLA:
    """A pair of models with the maps of its hosts; made by `load`."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        contract: Contract,
        pair: tuple[Verbalizer, Reconstructor],
        device: str,
    ) -> None:
        self.manifest, self.contract = manifest, contract
        self.verbalizer, self.reconstructor = pair
        self._folder, self._device = folder, device
        tokenizer = load_tokenizer(str(folder / TOKENIZER_FOLDER))
        self._av = BatchVerbalizer(
            self.verbalizer, tokenizer, contract, device=device, batch_rows=BATCH_ROWS
        )
        self._ar = BatchReconstructor(
            self.reconstructor, tokenizer, contract, device=device, batch_rows=BATCH_ROWS
        )
        self.space, self.decoders = opened_maps(folder, manifest)
        self._familiarity = opened_familiarity(folder, manifest)
        self._readers: dict[str, Reader] = {}

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Open the bundle in a folder, once all of it is proved; models go to torch's `device`.

        Every file of the bundle, of the trunk and of the hosts that are there must have its
        recorded hash, and tokenizer, markers, widths and weights must fit; the first thing that
        does not is an error that names it. A host whose folder is not there cannot be read, but
        vectors of it that were read elsewhere are explained all the same.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        # All files are proved before the first weight is opened: a wrong trunk opens without an
        # error and gives fluent texts about other vectors.
        check_models(folder, manifest)
        contract = checked_contract(folder, manifest)
        pair = opened_pair(folder, manifest, contract, device)
        verify_width(contract, pair[1].width)
        return cls(folder, manifest, contract, pair, device)

    def activation(
        self,
        text: str,
        host: str,
        position: int | None = None,
        *,
        span: tuple[int, int] | None = None,
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
        bundled, text = self._host(host), text_of(text)
        reader = self._reader(host)
        num_tokens = reader.num_tokens(text)
        is_cut = num_tokens > bundled.max_tokens
        read = f"{host} reads the first {bundled.max_tokens} of this text's {num_tokens} tokens"
        if position is not None:
            position = position_of(position)
            # From the end of a cut text a negative position would count from where it was cut.
            if is_cut and not 0 <= position < bundled.max_tokens:
                raise ValueError(f"position is {position}; {read}")
            return reader.at(text, position)
        if span is None and isinstance(bundled.read, Spans):
            (*_, span) = sentences(text) or [(0, 0)]
        if span is not None:
            return reader.over(text, span)
        if isinstance(bundled.read, TokenPositions):
            raise ValueError(f"this NLA explains single tokens of {host}; give a position")
        if is_cut:
            logger.warning("%s: what is behind them is not explained", read)
        return self._pooled(text, host)

    def verbalize(
        self, h_D: ArrayLike | Tensor, host: str, sampling: SamplingSpec = GREEDY
    ) -> Verbalization:
        """The AV's explanation of any raw vector of a host's width.

        `h_D` is a tensor of any float dtype, an array or a list: one vector [D], because one
        explanation is handed out. Only its direction counts; a zero vector, which has none, and
        values that are not finite are refused.

        Greedy where no `sampling` is given, which may ask for one sample only.

        >>> h_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
        >>> one = nla.verbalize(h_D, "toy-gpt2-medium")
        >>> one.explanation is None or one.explanation in one.raw_text
        True
        >>> nla.verbalize(4 * h_D, "toy-gpt2-medium") == nla.verbalize(
        ...     h_D, "toy-gpt2-medium"
        ... )
        True
        """
        if sampling.samples != 1:
            raise ValueError(
                f"sampling.samples is {sampling.samples}; one explanation is handed out here, "
                "`sample` hands out all of them"
            )
        (verbalization,) = self.sample(h_D, host, sampling)
        return verbalization

    def sample(
        self, h_D: ArrayLike | Tensor, host: str, sampling: SamplingSpec
    ) -> list[Verbalization]:
        """The AV's `sampling.samples` explanations of a raw vector; arguments as in `verbalize`.

        Seed and number of a sample fix it: the first is what one sample alone would be.

        >>> h_D = nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
        >>> sampling = SamplingSpec(seed=0, temperature=1.0, samples=4, max_new_tokens=20)
        >>> len(nla.sample(h_D, "toy-gpt2-medium", sampling))
        4
        """
        width = len(self._decoder(host).mean_D)
        h_1D = vector_of(h_D, width, host)[None]
        v_1E = torch.from_numpy(self.space.v_of(host, h_1D))
        share = None
        if host in self._familiarity:
            share = float(self._familiarity[host].share_nearer(rescale(h_1D))[0])
        # One key for all vectors: a vector and a seed give the same texts at every call.
        (drawn,) = self._av.verbalize(host, v_1E, ["0"], sampling)
        return [_verbalization(one, share) for one in drawn]

    def reconstruct(self, text: str, host: str | None = None) -> np.ndarray:
        """The vector that an explanation stands for: shared [E], or of a host [D].

        Shared vectors have the norm sqrt(E); those of a host are in the units of n(h), the host's
        activations at the norm sqrt(D).

        >>> round(float(np.linalg.norm(nla.reconstruct("about a farm.")) ** 2)) == nla.space.width
        True
        >>> rebuilt_D = nla.reconstruct("about a farm.", "toy-gpt2-medium")
        """
        decoder = None if host is None else self._decoder(host)
        # A decoder was fitted on n(a): at another norm its prediction would be off by a factor.
        a_1E = rescale(self._ar.reconstruct([text_of(text)]))
        return a_1E[0] if decoder is None else decoder(a_1E)[0]

    def round_trip(
        self,
        text: str,
        host: str,
        position: int | None = None,
        sampling: SamplingSpec = GREEDY,
        *,
        span: tuple[int, int] | None = None,
    ) -> RoundTrip:
        """A host's activation, put into words and back; arguments as in the methods above.

        Where the AV did not close its tag there is nothing to rebuild, and the mean stands for it.

        >>> trip = nla.round_trip("dear friend, there was rain.", "toy-gpt2-medium")
        >>> bool(np.isclose(trip.nmse, 2 * (1 - trip.cosine)))
        True
        """
        h_D = self.activation(text, host, position, span=span)
        verbalization = self.verbalize(h_D, host, sampling)
        rebuilt_D = self._decoder(host).mean_D
        if verbalization.explanation is not None:
            rebuilt_D = self.reconstruct(verbalization.explanation, host)
        h_1D = rescale(h_D[None])
        return RoundTrip(
            verbalization=verbalization,
            activation_D=h_1D[0],
            rebuilt_D=rebuilt_D,
            cosine=float(cosine(rebuilt_D[None], h_1D)[0]),
            nmse=float(nmse(rebuilt_D[None], h_1D)[0]),
        )

    def _host(self, host: str) -> BundledHost:
        if not isinstance(host, str) or host not in self.manifest.hosts:
            raise ValueError(f"host is {host!r}; this NLA knows: {', '.join(self.manifest.hosts)}")
        return self.manifest.hosts[host]

    def _pooled(self, text: str, host: str) -> np.ndarray:
        rows = self._reader(host).rows([("0" * 16, text)])  # any id: a mean draws no positions
        if not rows.positions:
            raise ValueError(
                f"{text!r} is too short for {host}: its first token is dropped before pooling"
            )
        pooled_D: np.ndarray = rows.vectors_by_block[self._host(host).block_index][0]
        return pooled_D

    def _decoder(self, host: str) -> Decoder:
        self._host(host)
        return self.decoders[host]

    def _reader(self, host: str) -> Reader:
        bundled = self._host(host)
        # At its first text: vectors that were read elsewhere are explained without the host.
        if host not in self._readers:
            self._readers[host] = Reader(
                # Once more: it may have come, or changed, since the bundle was opened.
                checked_source(f"the host {host}", bundled.model, self._folder),
                ExtractSpec(
                    host_tag=host,
                    block_indices=(bundled.block_index,),
                    read=bundled.read,
                    max_tokens=bundled.max_tokens,
                    dtype=bundled.dtype,
                    splits=(Split.TEST,),  # a spec must name one; a text by itself is of none
                ),
                revision=bundled.model.revision,
                device=self._device,
                batch_tokens=8192,
            )
        return self._readers[host]


def _verbalization(decoded: Decoded, share_nearer: float | None) -> Verbalization:
    # The sum over all ids, the one that ended the text among them: log p of the whole text.
    log_prob = sum(decoded.log_probs)
    return Verbalization(decoded.explanation, decoded.text, log_prob, share_nearer)
