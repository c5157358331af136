"""Spec of a sweep's results: what was compared, and what it was named before. Knows no recipe."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSpec:
    """A weighted sum of settings, named before anything was run."""

    name: str
    settings: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A cell without rows: `stopped` by the scheduler, or `failed` with its cause."""

    name: str
    state: str
    cause: str

    def __post_init__(self) -> None:
        check_one_of(self, ("stopped", "failed"), state=self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """The settings in their order with the label of every axis, the contrasts, and who is missing.

    `seed` resamples passages; it is no seed of a cell.
    """

    name: str
    recipe: str
    axes: tuple[str, ...]
    settings: tuple[tuple[str, ...], ...]  # the setting's name, then a label an axis
    seeds: tuple[int, ...]
    contrasts: tuple[ContrastSpec, ...]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    seed: int

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed)
