"""What the two supervised trainings are given: the same inputs, and where a rank works."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.store.artifact import Artifact
from interlingua.store.inputs import Member


class LearningHost(NamedTuple, Generic[Member]):
    """A host that is learned from: rows to learn from, rows of `dev`, the way in."""

    rows: Member
    dev: Member
    encoder: Member


class LearningInputs(NamedTuple, Generic[Member]):
    """The trunk of the model, what it learns to write or to read, and of which hosts, by tag."""

    trunk: Member
    explanations: Member
    dev_explanations: Member
    hosts: Mapping[str, LearningHost[Member]]

    def encoders(self) -> dict[str, Member]:
        """The way in of every host."""
        return {tag: host.encoder for tag, host in self.hosts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """What a rank must know to make its program."""

    spec: Any
    inputs: LearningInputs[Artifact]
    out: Path
    micro_batch_rows: int
    threads: int
    device: str
