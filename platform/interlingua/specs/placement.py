"""Where a recipe runs: never hashed, for another value gives the same result."""

from dataclasses import dataclass

from interlingua.specs.checks import check_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Devices and processes of a run."""

    cpus_per_stage: float
    threads_per_worker: int

    def __post_init__(self) -> None:
        check_positive(
            self, cpus_per_stage=self.cpus_per_stage, threads_per_worker=self.threads_per_worker
        )
