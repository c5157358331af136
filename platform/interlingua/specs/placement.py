"""Where a recipe runs: never hashed, for another value gives the same result."""

from dataclasses import dataclass

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_slug,
)

ZERO_STAGES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A pool of worker processes and what each of them takes."""

    count: int
    cpus: float
    gpus: float  # a share where small hosts sit on one device side by side

    def __post_init__(self) -> None:
        check_positive(self, count=self.count)
        check_not_negative(self, cpus=self.cpus, gpus=self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWorkers:
    """The workers of one host that needs others: a large one several devices, a small one a part.

    The device `auto` spreads a model over all that its worker has.
    """

    tag: str
    workers: Workers
    device: str

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionPlacement:
    """How a host's passages are dealt to its workers; `hosts` have workers of their own."""

    workers: Workers
    device: str
    block_passages: int
    batch_tokens: int
    hosts: tuple[HostWorkers, ...] = ()

    def __post_init__(self) -> None:
        check_positive(self, block_passages=self.block_passages, batch_tokens=self.batch_tokens)

    def of_host(self, tag: str) -> tuple[Workers, str]:
        """The workers of a host, and the device that each reads on."""
        own = (host for host in self.hosts if host.tag == tag)
        found = next(own, None)
        return (self.workers, self.device) if found is None else (found.workers, found.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlacement:
    """How a model is trained: its workers, and how ZeRO shares out state among them.

    Stage 0 shares nothing, 1 the optimizer's state, 2 also gradients, 3 also the weights.
    """

    workers: Workers
    device: str
    micro_batch_rows: int
    zero_stage: int
    failures_survived: int

    def __post_init__(self) -> None:
        check_positive(self, micro_batch_rows=self.micro_batch_rows)
        check_one_of(self, ZERO_STAGES, zero_stage=self.zero_stage)
        check_not_negative(self, failures_survived=self.failures_survived)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbalizingPlacement:
    """How explanations are sampled in bulk."""

    workers: Workers
    device: str
    block_rows: int
    batch_rows: int

    def __post_init__(self) -> None:
        check_positive(self, block_rows=self.block_rows, batch_rows=self.batch_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Devices and processes of a run."""

    cpus_per_stage: float
    threads_per_worker: int
    stages_side_by_side: int
    extraction: ExtractionPlacement
    training: TrainingPlacement
    verbalizing: VerbalizingPlacement

    def __post_init__(self) -> None:
        check_positive(
            self,
            cpus_per_stage=self.cpus_per_stage,
            threads_per_worker=self.threads_per_worker,
            stages_side_by_side=self.stages_side_by_side,
        )
