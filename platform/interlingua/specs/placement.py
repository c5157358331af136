"""The placement of a recipe: never hashed, and recorded in every artifact.

Another placement reads the same rows in the same order and draws alike; its sums are rounded
elsewhere, so that numbers agree to rounding, not to the bit (docs/architecture.md, What and where).
"""

from dataclasses import dataclass
from enum import StrEnum

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_slug,
    check_url,
)

ZERO_STAGES = (0, 1, 2, 3)
# Under stage 3 every token that is sampled would gather all weights.
SAMPLING_ZERO_STAGES = (None, 0, 1, 2)


class WorkKind(StrEnum):
    """The kind of work that a stage hands out to workers of its own."""

    EXTRACTION = "extraction"
    TRAINING = "training"
    VERBALIZING = "verbalizing"
    REINFORCING = "reinforcing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A pool of worker processes and what each of them takes.

    `node_label` is the value of the label `role` of their nodes; None takes any node. `memory` is
    what Ray sets aside for each, in bytes; None takes what is estimated for the stage.
    """

    count: int
    cpus: float
    gpus: float  # a share where small hosts sit on one device side by side
    node_label: str | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, count=self.count)
        check_not_negative(self, cpus=self.cpus, gpus=self.gpus, memory=self.memory or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWorkers:
    """The workers of one host that is read in a place of its own: a large one, say, on two cards.

    None takes what holds for all hosts. The device `auto` spreads a model over all that its worker
    has.
    """

    tag: str
    workers: Workers | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionPlacement:
    """The workers that read a host's passages; `hosts` lists the hosts with another place.

    Without workers the stage's own process reads: small models are read before a worker is up.
    """

    workers: Workers | None
    device: str
    block_passages: int  # of a shard, which is redone whole after a failure
    batch_tokens: int  # of a forward: long texts make smaller batches
    hosts: tuple[HostWorkers, ...] = ()

    def __post_init__(self) -> None:
        check_positive(self, block_passages=self.block_passages, batch_tokens=self.batch_tokens)
        if self.workers is None and any(host.workers for host in self.hosts):
            raise ValueError(
                "ExtractionPlacement.workers is none, but hosts have workers of their own; give "
                "the other hosts workers, too"
            )
        for tag in ("", *(host.tag for host in self.hosts)):
            _check_device(self, *self.of_host(tag))

    def of_host(self, tag: str) -> tuple[Workers | None, str]:
        """The workers of a host, and the device that each reads on."""
        own = next((host for host in self.hosts if host.tag == tag), None)
        if own is None:
            return self.workers, self.device
        return own.workers or self.workers, own.device or self.device


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlacement:
    """The workers that train a model, and the stage of ZeRO that shares out state among them.

    Stage 0 shares nothing, 1 the optimizer's state, 2 also gradients, 3 also the weights. Without
    workers the stage's own process trains, by plain torch: a small model is trained before a group
    is up.
    """

    workers: Workers | None
    device: str
    micro_batch_rows: int  # of a backward; the batch of a step is the spec's
    zero_stage: int
    failures_survived: int

    def __post_init__(self) -> None:
        check_positive(self, micro_batch_rows=self.micro_batch_rows)
        check_one_of(self, ZERO_STAGES, zero_stage=self.zero_stage)
        check_not_negative(self, failures_survived=self.failures_survived)
        _check_device(self, self.workers, self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlacement:
    """The address of a server, and which of its bundles is meant; None is its first."""

    url: str
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbalizingPlacement:
    """The workers that sample explanations in bulk; without, the stage's own process does.

    What is asked of a pair that is served goes to `server`.
    """

    workers: Workers | None
    device: str
    block_rows: int
    batch_rows: int
    server: ServerPlacement | None = None

    def __post_init__(self) -> None:
        check_positive(self, block_rows=self.block_rows, batch_rows=self.batch_rows)
        _check_device(self, self.workers, self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """Reinforcement learning in the stage's own process, all roles on one device.

    AV_init is the AV with the weights of its start switched in: no second trunk.
    """

    device: str
    micro_batch_rows: int
    batch_rows: int  # that are run forward at once

    def __post_init__(self) -> None:
        check_positive(self, micro_batch_rows=self.micro_batch_rows, batch_rows=self.batch_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenPlacement:
    """The workers of a role that never learns, each with a whole copy, and a part of the rows."""

    workers: Workers
    device: str
    batch_rows: int  # that are run forward at once

    def __post_init__(self) -> None:
        _check_role(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerPlacement:
    """The workers of a role that learns; `zero_stage` None steps by plain torch, on one of them."""

    workers: Workers
    device: str
    batch_rows: int  # that are run forward at once
    micro_batch_rows: int  # that are learnt from at once
    zero_stage: int | None

    def __post_init__(self) -> None:
        _check_role(self)
        check_positive(self, micro_batch_rows=self.micro_batch_rows)
        check_one_of(self, SAMPLING_ZERO_STAGES, zero_stage=self.zero_stage)
        if self.zero_stage is None and self.workers.count > 1:
            raise ValueError(
                f"LearnerPlacement.workers.count is {self.workers.count}, but zero_stage is none: "
                "plain torch steps on one worker; allowed for several: 0, 1, 2"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeGroups:
    """Reinforcement learning with a placement group for each role: no device holds two of them.

    A role that does not answer for `patience_seconds` is taken for dead. Every death of any role
    counts towards `failures_survived`.
    """

    av: LearnerPlacement
    av_init: FrozenPlacement
    ar: LearnerPlacement
    patience_seconds: float
    failures_survived: int

    def __post_init__(self) -> None:
        check_positive(self, patience_seconds=self.patience_seconds)
        check_not_negative(self, failures_survived=self.failures_survived)

    def roles(self) -> dict[str, FrozenPlacement | LearnerPlacement]:
        """The placement of every role, by name."""
        return {"av": self.av, "av_init": self.av_init, "ar": self.ar}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingPlacement:
    """An OpenAI-compatible endpoint, and what may be asked of it.

    `key_variable` names the variable of the environment that holds the key; the key itself stands
    nowhere. A budget is of a root, all its stages and runs together, and None is no limit; prices
    are in US dollars for a million tokens.
    """

    url: str = ""
    key_variable: str | None = None
    concurrency: int = 16
    requests_per_minute: int | None = None
    timeout_seconds: float = 120.0
    max_tokens: int | None = None  # of prompts and answers together
    max_dollars: float | None = None
    prompt_price: float | None = None
    answer_price: float | None = None
    repeats_lost: bool = False  # asks again what was in flight when the process died: paid twice

    def __post_init__(self) -> None:
        check_url(self, url=self.url)
        check_positive(self, concurrency=self.concurrency, timeout_seconds=self.timeout_seconds)
        for name in ("requests_per_minute", "max_tokens", "max_dollars"):
            if (value := getattr(self, name)) is not None:
                check_positive(self, **{name: value})
        for name in ("prompt_price", "answer_price"):
            if (value := getattr(self, name)) is not None:
                check_not_negative(self, **{name: value})
        if self.max_dollars is not None and None in (self.prompt_price, self.answer_price):
            raise ValueError(
                f"TeachingPlacement.max_dollars is {self.max_dollars}, which needs prompt_price "
                "and answer_price, in dollars for a million tokens"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Devices and processes of a run.

    A stage that uses a GPU in its own process takes `gpus_per_stage`: a share lets several sit on
    one card. `name` is that of recipes/placements.py, for the record.
    """

    name: str = "own"
    cpus_per_stage: float
    gpus_per_stage: float = 1.0
    memory_per_stage: int | None = None  # bytes of a stage's own process; None: as estimated
    threads_per_worker: int
    stages_side_by_side: int
    extraction: ExtractionPlacement
    training: TrainingPlacement
    verbalizing: VerbalizingPlacement
    reinforcing: Single | ThreeGroups
    teaching: TeachingPlacement = TeachingPlacement()

    def __post_init__(self) -> None:
        check_positive(
            self,
            cpus_per_stage=self.cpus_per_stage,
            gpus_per_stage=self.gpus_per_stage,
            threads_per_worker=self.threads_per_worker,
            stages_side_by_side=self.stages_side_by_side,
        )


def _check_role(role: FrozenPlacement | LearnerPlacement) -> None:
    check_positive(role, batch_rows=role.batch_rows)
    _check_device(role, role.workers, role.device)


def _check_device(owner: object, workers: Workers | None, device: str) -> None:
    """Raise where workers are to use a device that they do not ask Ray for."""
    if workers is not None and device != "cpu" and not workers.gpus:
        raise ValueError(
            f"{type(owner).__name__}.device is {device}, but workers.gpus is 0: Ray hides every "
            "device from them"
        )
