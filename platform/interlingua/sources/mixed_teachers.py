"""Several teachers in one corpus: each explains the passages that are drawn for it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from interlingua.core.keyed import keyed_random
from interlingua.sources.source import Explained, Site, Teacher, teacher_of
from interlingua.specs.splits import Split
from interlingua.specs.teachers import MixedTeachers
from interlingua.store.rows.passages import Passage


def opened(spec: MixedTeachers) -> Teacher:
    """The teachers."""
    return _Mixed(spec)


class _Mixed:
    def __init__(self, spec: MixedTeachers) -> None:
        self._spec = spec
        self._teachers = {part.tag: teacher_of(part.teacher) for part in spec.parts}
        every = (one.prepares_on for one in self._teachers.values())
        self.prepares_on: tuple[Split, ...] = tuple(dict.fromkeys(s for on in every for s in on))

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Nothing is prepared."""

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """The texts of each passage's own teacher, named by its tag."""
        found = []
        for passage, site in asked:
            tag = self._tag_of(passage.passage_id)
            [texts] = self._teachers[tag].explain([(passage, site)], num_samples)
            found.append([(tag, text) for _, text in texts])
        return found

    def counts(self) -> Mapping[str, int]:
        """What all of them met."""
        return sum((Counter(one.counts()) for one in self._teachers.values()), Counter())

    def _tag_of(self, passage_id: str) -> str:
        lot = keyed_random("whose", self._spec.seed, passage_id).random()
        for part in self._spec.parts:
            if (lot := lot - part.share) < 0:
                return part.tag
        return self._spec.parts[-1].tag
