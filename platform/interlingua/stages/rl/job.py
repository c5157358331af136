"""What reinforcement learning is given: the pair, its hosts, and where a role works."""

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
    """A host that is learned from.

    Rows to ask about, rows of `fit` for their variance, rows of `dev`, and the way in.
    """

    rows: Member
    fit: Member
    dev: Member
    encoder: Member


class RlInputs(NamedTuple, Generic[Member]):
    """The pair as its training so far left it, and the hosts by tag.

    `passages` tell what is true of a row; without them what is named is not checked on `dev`.
    """

    pair: PairInputs[Member]
    passages: Member | None
    hosts: Mapping[str, RlHost[Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RlJob:
    """What a process must know to play its role."""

    spec: RlTraining
    inputs: RlInputs[Artifact]
    out: Path
    micro_batch_rows: int
    batch_rows: int
    threads: int
    device: str
