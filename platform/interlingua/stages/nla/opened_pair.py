"""A pair ready to write and to read texts: in this process, or behind a URL.

h is a raw activation [D] of a host, v its vector in the shared space, a [E] the AR's of a text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from interlingua.models.bundle.drawn import verbalization_of
from interlingua.models.bundle.system import SamplingOptions
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.models.sampling.batched import BatchVerbalizer
from interlingua.serving.client.endpoint import Endpoint
from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import Turn
from interlingua.specs.placement import VerbalizingPlacement
from interlingua.stages.nla.endpoint import endpoint_of
from interlingua.stages.nla.inputs import PairInputs, ReaderInputs, ServedPair
from interlingua.stages.nla.pair import opened_reconstructor_of, opened_space_of, opened_verbalizer
from interlingua.store.artifact import Artifact


class Writer(Protocol):
    """The AV of a pair, for the rows of one host."""

    def verbalize(
        self, h_ND: np.ndarray | None, keys: Sequence[str], turn: Turn
    ) -> list[list[Verbalization]]:
        """The texts of every row; `keys` fix the draws. None: zeros are shown, a time for each."""


class Reader(Protocol):
    """The AR of a pair."""

    def reconstruct(self, texts: Sequence[str | None]) -> np.ndarray:
        """[N, E] of texts; NaN for one that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJob:
    """A pair in use for one host: where it comes from, and where it is."""

    host_tag: str
    pair: PairInputs[Artifact] | ServedPair[Artifact]
    encoders: Mapping[str, Artifact]
    place: VerbalizingPlacement


def writer_of(job: HostJob) -> Writer:
    """The AV of a host."""
    if isinstance(job.pair, ServedPair):
        return _Served(job.host_tag, endpoint_of(job.pair.served, job.place.server))
    return _Here(job, job.pair)


def reader_of(
    pair: ReaderInputs[Artifact] | PairInputs[Artifact] | ServedPair[Artifact],
    place: VerbalizingPlacement,
) -> Reader:
    """The AR."""
    if isinstance(pair, ServedPair):
        return endpoint_of(pair.served, place.server)
    return opened_reconstructor_of(
        pair.trunk, pair.ar, device=place.device, batch_rows=place.batch_rows
    )


class _Here:
    """In this process, from the artifacts of trunk and AV."""

    def __init__(self, job: HostJob, pair: PairInputs[Artifact]) -> None:
        self._job, self._pair = job, pair
        self._space = opened_space_of(pair.av, job.encoders, job.host_tag)
        self._verbalizers: dict[bool, BatchVerbalizer] = {}

    def verbalize(
        self, h_ND: np.ndarray | None, keys: Sequence[str], turn: Turn
    ) -> list[list[Verbalization]]:
        """The texts of every row."""
        if h_ND is None:
            v_NE = torch.zeros(len(keys), self._space.width)
        else:
            v_NE = torch.from_numpy(self._space.v_of(self._job.host_tag, h_ND))
        av = self._verbalizer(is_trained=turn.predictor is not Predictor.UNTRAINED)
        drawn = av.verbalize(self._job.host_tag, v_NE, keys, turn.sampling)
        return [[verbalization_of(one, None) for one in samples] for samples in drawn]

    def _verbalizer(self, *, is_trained: bool) -> BatchVerbalizer:
        # Opened when a block asks: most stages have no turn of the untrained AV.
        if is_trained not in self._verbalizers:
            place = self._job.place
            self._verbalizers[is_trained] = opened_verbalizer(
                self._pair,
                device=place.device,
                batch_rows=place.batch_rows,
                is_trained=is_trained,
            )
        return self._verbalizers[is_trained]


class _Served:
    """Behind a URL; the untrained AV is not there."""

    def __init__(self, host: str, endpoint: Endpoint) -> None:
        self._host, self._endpoint = host, endpoint

    def verbalize(
        self, h_ND: np.ndarray | None, keys: Sequence[str], turn: Turn
    ) -> list[list[Verbalization]]:
        """The texts of every row."""
        if turn.predictor is Predictor.UNTRAINED:
            raise ValueError(f"{self._endpoint!r} does not serve the AV as its training began")
        spec = turn.sampling
        options: SamplingOptions = {
            "n": spec.samples,
            "temperature": spec.temperature,
            "seed": spec.seed,
            "max_new_tokens": spec.max_new_tokens,
            "keys": keys,
        }
        if h_ND is None:
            return self._endpoint.verbalize_zero(len(keys), self._host, **options)
        return self._endpoint.verbalize(h_ND, self._host, **options)
