"""Several teachers in one corpus, each of passages of its own. Knows none of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlingua.core.keyed import keyed_random
from interlingua.sources.source import Explained, Site, teacher_of
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ChatTeacher, MixedTeachers
from interlingua.store.rows.passages import Passage


def opened(spec: MixedTeachers, **given: Any) -> "Mixed":
    """The teachers of all parts; what is given is for those that ask an endpoint."""
    return Mixed(spec, given)


class Mixed:
    """Asks of each passage the one teacher whose it is, by a draw that goes by passage alone."""

    prepares_on: tuple[Split, ...] = ()

    def __init__(self, spec: MixedTeachers, given: Mapping[str, Any]) -> None:
        self._spec, self._counts = spec, Counter[str]()
        self._teachers = {
            part.tag: teacher_of(
                part.teacher, **(given if isinstance(part.teacher, ChatTeacher) else {})
            )
            for part in spec.parts
        }

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Nothing: no teacher that may be a part sees a passage before it explains it."""

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """The explanations of every site by the teacher of its passage, who is asked once."""
        owners = [self.tag_of(passage.passage_id) for passage, _ in asked]
        found: list[list[Explained]] = [[] for _ in asked]
        for tag, teacher in self._teachers.items():
            own = [index for index, owner in enumerate(owners) if owner == tag]
            texts = teacher.explain([asked[index] for index in own], num_samples) if own else []
            for index, explained in zip(own, texts, strict=True):
                found[index] = explained
            self._counts[f"{tag}/num_sites"] += len(own)
        return found

    def tag_of(self, passage_id: str) -> str:
        """The part that explains a passage."""
        draw = keyed_random("mixed teachers", self._spec.seed, passage_id).random()
        for part in self._spec.parts:
            draw -= part.share
            if draw < 0:
                return part.tag
        return self._spec.parts[-1].tag  # the shares may sum to a hair less than 1

    def counts(self) -> Mapping[str, Any]:
        """The sums of all teachers' numbers, and what is no number by part."""
        counts: dict[str, Any] = dict(self._counts)
        for tag, teacher in self._teachers.items():
            for name, value in teacher.counts().items():
                if isinstance(value, int | float):
                    counts[name] = counts.get(name, 0) + value
                else:
                    counts[f"{tag}/{name}"] = value
        return counts
