"""A recipe: everything that one experiment computes. Knows neither stages nor files."""

from dataclasses import dataclass

from interlingua.specs.checks import check_slug
from interlingua.specs.placement import Placement
from interlingua.specs.world import PassagesSpec, WorldHostSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One experiment, complete. `anchor` is the host under the AV and AR, too."""

    name: str
    passages: PassagesSpec
    hosts: tuple[WorldHostSpec, ...]
    anchor: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    placement: Placement

    def __post_init__(self) -> None:
        check_slug(self, name=self.name)
        tags = [host.tag for host in self.hosts]
        if len(set(tags)) < len(tags):
            raise ValueError(f"Recipe.hosts names a tag twice: {', '.join(tags)}")
        parts = [self.anchor, *self.trained, *self.held_out]
        if sorted(parts) != sorted(tags):
            raise ValueError(
                f"Recipe.anchor, trained and held_out are {', '.join(parts)}; "
                f"together they must name every host once: {', '.join(tags)}"
            )

    def roles(self) -> dict[str, str]:
        """What every host is for, by tag."""
        trained = dict.fromkeys(self.trained, "trained")
        return {self.anchor: "anchor", **trained, **dict.fromkeys(self.held_out, "held out")}
