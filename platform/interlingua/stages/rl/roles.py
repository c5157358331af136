"""The roles of reinforcement learning as its loop calls them, and what travels between them.

Ids and small vectors as numpy arrays: no text, no tensor, no gradient. Knows neither who answers
nor where. B activations of one host, N = B x G samples of them, those of an activation together; T
tokens of the longest sample, E the width of the shared space. v is the vector that is explained, a
the AR's vector of a sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from interlingua.models.pair.prompts import IGNORED
from interlingua.sources.source import Truth
from interlingua.stages.sft.engine import Stepped
from interlingua.store.rows.shards import Key

NO_TOKEN = IGNORED  # behind the end of a row of ids; no loss counts it


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Activations of one host to be explained; the names fix the draws of their samples."""

    host_tag: str
    keys: tuple[Key, ...]
    names: tuple[str, ...]
    v_BE: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """Samples as they were drawn, each up to the token that ended it.

    `ar_prompts_NT` are the AR's prompts: a sample that is no explanation (no closing tag, cut off,
    empty, longer than the AR reads) has none.
    """

    host_tag: str
    v_BE: np.ndarray
    ids_NT: np.ndarray
    log_probs_NT: np.ndarray
    ar_prompts_NT: np.ndarray

    @property
    def group_size(self) -> int:
        """Samples of an activation."""
        return len(self.ids_NT) // len(self.v_BE)

    @property
    def mask_NT(self) -> np.ndarray:
        """True where a token was drawn."""
        return np.asarray(self.ids_NT != NO_TOKEN)

    @property
    def num_tokens_N(self) -> np.ndarray:
        """The length of every sample."""
        return np.asarray(self.mask_NT.sum(axis=1))

    @property
    def is_explanation_N(self) -> np.ndarray:
        """True where a sample is an explanation."""
        return np.asarray((self.ar_prompts_NT != NO_TOKEN).any(axis=1))

    @property
    def own_v_NE(self) -> np.ndarray:
        """The vector that every sample explains."""
        return np.repeat(self.v_BE, self.group_size, axis=0)


class Judgement(NamedTuple):
    """The AR's vector of every sample (NaN: none), and AV_init's log-probs of its tokens."""

    a_NE: np.ndarray
    reference_NT: np.ndarray
    seconds_waited: float = 0.0  # for roles that were not ready


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStepped(Stepped):
    """A step of the AV, with |log p - log p as it was sampled| over its tokens, before it.

    Samples are of the very weights that learn from them: what is not 0 is what decoding and
    learning round differently.
    """

    log_ratio_mean: float
    log_ratio_p99: float


class Learner(Protocol):
    """A role whose weights are trained; called by all ranks of the loop alike."""

    def weights(self) -> dict[str, Tensor]:
        """The trained weights by name, in fp32 on the CPU."""

    def save(self, folder: Path) -> None:
        """Write weights and optimizer into an existing folder."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class Verbalizer(Learner, Protocol):
    """The AV that is trained, in the ranks that run the loop."""

    @property
    def rank(self) -> int: ...

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in order."""

    def sample(self, asked: Asked, *, num_samples: int, seed: int) -> Rollouts:
        """Samples at temperature 1 from the weights as they are; the same in every rank."""

    def explanations(self, rollouts: Rollouts) -> list[str | None]:
        """The texts of samples, for people and for the measures of collapse."""

    def step(
        self,
        rollouts: Rollouts,
        *,
        advantages_N: np.ndarray,
        reference_NT: np.ndarray,
        factor: float,
    ) -> PolicyStepped:
        """One step of the policy; it is skipped where its gradient is not finite.

        `advantages_N` are one a sample, `reference_NT` AV_init's log-probs of its tokens, and
        `factor` is the share of the peak learning rate.
        """


class Judge(Protocol):
    """The AR as it is and AV_init, at the same time where they can be."""

    def __call__(self, rollouts: Rollouts) -> Judgement:
        """The AR's vectors and AV_init's log-probs of the samples."""


class Reconstructor(Learner, Protocol):
    """The AR beside the loop."""

    def step(self, rollouts: Rollouts, *, variance: float, factor: float, seed: int) -> Stepped:
        """One step of its supervised loss on the samples that are explanations."""


class Roles(NamedTuple):
    """The roles of a run."""

    av: Verbalizer
    ar: Reconstructor
    judge: Judge


class KnownFacts(NamedTuple):
    """The facts that hold of some rows, and how texts say them."""

    truth: Truth
    by_key: Mapping[Key, Mapping[str, str]]


class Corpus(Protocol):
    """The activations of every step, a function of its number alone, and those of `dev`."""

    @property
    def variances(self) -> Mapping[str, float]:
        """Var of every host's v on `fit`."""

    @property
    def dev(self) -> tuple[Asked, ...]:
        """Rows of `dev` to evaluate on, of every host."""

    @property
    def known(self) -> KnownFacts | None:
        """The facts that hold of the rows of `dev`, where a corpus knows them."""

    def asked(self, step: int) -> Asked:
        """The activations of a step: of one host."""
