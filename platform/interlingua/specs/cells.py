"""Spec of what the cells of a sweep are compared by. Knows no sweep."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_one_of
from interlingua.specs.injection import Centring
from interlingua.specs.splits import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSpec:
    """The rows on which the AVs of several settings and seeds are compared.

    `seed` chooses whose vector stands in for a row's own, alike in all cells.
    """

    split: Split
    anchor: str
    centring: Centring
    host_tags: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_not_negative(self, seed=self.seed)
