"""What is served, by how many processes, and how much of it at once. Knows no Ray."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interlingua.serving.backend import Limits
from interlingua.serving.own.app import Settings

HOSTS, AV, AR, INGRESS = "hosts", "av", "ar", "ingress"
PARTS = (HOSTS, AV, AR)
MOST_OPEN = 4  # bundles a replica, and evaluations with all their rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Resources and numbers of the replicas of one deployment."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    least: int = 1
    most: int = 1
    target_ongoing: float = 8.0  # requests a replica, above which there is to be one more
    device: str = "cpu"
    num_threads: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"replicas are {self.least} to {self.most}; give 1 or more, the least of them first"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSpec:
    """What is served, by what, and how much of it at once."""

    bundles: Mapping[str, str]  # name -> folder; the first is the default
    limits: Limits = Limits()
    settings: Settings = field(default_factory=Settings)
    parts: Mapping[str, Replicas] = field(default_factory=dict)  # hosts, av, ar, ingress
    most_open: int = MOST_OPEN
    evaluations: Mapping[str, str] = field(default_factory=dict)  # name -> folder

    def __post_init__(self) -> None:
        if self.most_open < 1:
            raise ValueError(f"most_open is {self.most_open}; at least one bundle must be open")
        if unknown := self.parts.keys() - {*PARTS, INGRESS}:
            raise ValueError(
                f"{', '.join(sorted(unknown))}: no part of a server; there are "
                f"{', '.join((*PARTS, INGRESS))}"
            )

    def replicas(self, part: str) -> Replicas:
        """Those of a part, as asked for or the usual ones."""
        usual = Replicas(num_cpus=0.1) if part == INGRESS else Replicas()
        return self.parts.get(part, usual)

    def within(self, num_cpus: float) -> "ServeSpec":
        """The spec with smaller shares of CPUs where all its replicas together want more of them.

        A replica for which there is no CPU would wait forever; on one machine they share the cores.
        """
        wanted = {part: self.replicas(part) for part in (*PARTS, INGRESS)}
        share = num_cpus / sum(replicas.most * replicas.num_cpus for replicas in wanted.values())
        if share >= 1:
            return self
        parts = {  # Ray counts ten thousandths; rounded up they would not fit
            part: replace(
                replicas, num_cpus=math.floor(share * replicas.num_cpus * 10_000) / 10_000
            )
            for part, replicas in wanted.items()
        }
        return replace(self, parts=parts)
