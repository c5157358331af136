"""The inputs of the two supervised trainings, and the job that a rank gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.store.artifact import Artifact
from interlingua.store.inputs import Member


class LearningHost(NamedTuple, Generic[Member]):
    """A host: rows to learn from, rows of `dev`, and its encoder."""

    rows: Member
    dev: Member
    encoder: Member


class LearningInputs(NamedTuple, Generic[Member]):
    """The trunk of the model, the explanations that it learns from, and the hosts by tag.

    The anchor is always among the hosts, because it makes the space; whether it is learned from
    the spec says.

    `start` is the training that it goes on from, `start_model` a model in the trunk's place; None
    is the trunk itself.
    """

    trunk: Member
    explanations: Member
    dev_explanations: Member
    hosts: Mapping[str, LearningHost[Member]]
    start: Member | None = None
    start_model: Member | None = None

    def encoders(self) -> dict[str, Member]:
        """The encoder of every host."""
        return {tag: host.encoder for tag, host in self.hosts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """All that a rank needs to make its program; it travels to other processes."""

    spec: Any
    inputs: LearningInputs[Artifact]
    out: Path
    micro_batch_rows: int
    threads: int
    device: str
