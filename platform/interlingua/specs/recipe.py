"""A recipe: everything that one experiment computes. Knows neither stages nor files."""

from dataclasses import dataclass

from interlingua.specs.checks import check_positive, check_slug
from interlingua.specs.extraction import Pooled, TokenPositions
from interlingua.specs.placement import Placement
from interlingua.specs.training import ArSpec, AvSpec, SamplingSpec
from interlingua.specs.world import PassagesSpec, TeacherSpec, WorldHostSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What a model is taught from: so many explanations of every activation."""

    teacher: TeacherSpec
    samples: int

    def __post_init__(self) -> None:
        check_positive(self, samples=self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """How the trained AV is made to speak: sampled for the decoders, and both ways on `dev`."""

    sampled: SamplingSpec
    greedy: SamplingSpec
    dev_rows: int

    def __post_init__(self) -> None:
        check_positive(self, dev_rows=self.dev_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One experiment, complete. `anchor` is the host under the AV and AR, too.

    A recipe without trained and held-out hosts is a single-host NLA: its shared space is the
    anchor's own.
    """

    name: str
    passages: PassagesSpec
    hosts: tuple[WorldHostSpec, ...]
    anchor: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    read: Pooled | TokenPositions
    av_lessons: Lessons
    ar_lessons: Lessons
    accepts_mixed_teachers: bool
    av: AvSpec
    ar: ArSpec
    speaking: Speaking
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

    def learning_tags(self) -> tuple[str, ...]:
        """The hosts whose activations the pair learns from: the anchor and the trained ones."""
        return (self.anchor, *self.trained)

    def roles(self) -> dict[str, str]:
        """What every host is for, by tag."""
        trained = dict.fromkeys(self.trained, "trained")
        return {self.anchor: "anchor", **trained, **dict.fromkeys(self.held_out, "held out")}
