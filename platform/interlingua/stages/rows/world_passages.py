"""The texts of a world as passages: each with its id, split, facts and mentions."""

from collections.abc import Iterable, Iterator

from interlingua.specs.world import PassagesSpec
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id, split_of
from interlingua.world.text import Telling, tellings


def world_passages(spec: PassagesSpec) -> Iterator[Passage]:
    """Every passage once."""
    return unique(_passage(telling, spec) for telling in tellings(spec.world, 0, spec.num_passages))


def unique(passages: Iterable[Passage]) -> Iterator[Passage]:
    """Each passage once: ids are content hashes, so that a text that comes twice is one passage."""
    seen: set[str] = set()
    for passage in passages:
        if passage.passage_id not in seen:
            seen.add(passage.passage_id)
            yield passage


def _passage(telling: Telling, spec: PassagesSpec) -> Passage:
    # Every passage is a document of its own: nothing else shares its text.
    identity = passage_id(telling.text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=split_of(identity, spec.split),
        text=telling.text,
        facts=telling.as_strings(),
        mentions=telling.mentions,
    )
