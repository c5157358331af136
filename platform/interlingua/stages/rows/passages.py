"""Stage `passages`: the texts of a world, each with its id, split, facts and mentions."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from interlingua.specs.world import PassagesSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, count_by_split, write_passages
from interlingua.store.rows.splits import passage_id, split_of
from interlingua.world.text import Telling, tellings


def run(
    spec: PassagesSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, float]:
    """Write the passages; the metrics count them by split."""
    path = out / PASSAGES_NAME
    told = (_passage(telling, spec) for telling in tellings(spec.world, 0, spec.num_passages))
    write_passages(path, unique(told), split_spec=spec.split)
    return {f"passages/{split}": count for split, count in count_by_split(path).items()}


def unique(passages: Iterable[Passage]) -> Iterator[Passage]:
    """Each passage once: ids are content hashes, so a text told twice is one passage."""
    seen: set[str] = set()
    for passage in passages:
        if passage.passage_id not in seen:
            seen.add(passage.passage_id)
            yield passage


def _passage(telling: Telling, spec: PassagesSpec) -> Passage:
    identity = passage_id(telling.text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=split_of(identity, spec.split),
        text=telling.text,
        facts=telling.facts.as_strings(),
        mentions=telling.mentions,
    )
