"""The inputs of reinforcement learning (the pair, its hosts), and the job that a role gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple

from interlingua.specs.rl import RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.nla.inputs import PairInputs
from interlingua.store.artifact import Artifact
from interlingua.store.inputs import Member

READ = frozenset((Split.RL, Split.FIT, Split.DEV))


class RlHost(NamedTuple, Generic[Member]):
    """A host of the space.

    Rows to ask about, rows of `fit` for the variance, rows of `dev`, and the encoder.
    """

    rows: Member
    fit: Member
    dev: Member
    encoder: Member


class RlInputs(NamedTuple, Generic[Member]):
    """The pair as its training so far left it, and the hosts by tag.

    `passages` have the true facts of a row; without them no precision is measured on `dev`.
    """

    pair: PairInputs[Member]
    passages: Member | None
    hosts: Mapping[str, RlHost[Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RlJob:
    """All that a process needs to open its role; it travels to other processes."""

    spec: RlTraining
    inputs: RlInputs[Artifact]
    out: Path
    micro_batch_rows: int
    batch_rows: int
    threads: int
    device: str
