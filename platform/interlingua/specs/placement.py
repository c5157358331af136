"""Where a recipe runs: never hashed, for another value gives the same result."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_positive


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
class ExtractionPlacement:
    """How a host's passages are dealt to its workers."""

    workers: Workers
    device: str
    block_passages: int
    batch_tokens: int

    def __post_init__(self) -> None:
        check_positive(self, block_passages=self.block_passages, batch_tokens=self.batch_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Devices and processes of a run."""

    cpus_per_stage: float
    threads_per_worker: int
    stages_side_by_side: int
    extraction: ExtractionPlacement

    def __post_init__(self) -> None:
        check_positive(
            self,
            cpus_per_stage=self.cpus_per_stage,
            threads_per_worker=self.threads_per_worker,
            stages_side_by_side=self.stages_side_by_side,
        )
