"""Stage `passages`: the texts of a corpus, each with its id, its document and its split."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.text.typed import variant_name
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage

SHAPED_NAME, SHARDS_NAME = "shaped.parquet", "shards.json"


def passages_stage(spec: PassagesSpec) -> Stage:
    """The texts of a corpus."""
    label = variant_name(type(spec.corpus)).removesuffix("_corpus")
    return Stage(kind="passages", label=label, spec=spec, run=run, inputs={}, revision=2)


def run(
    spec: PassagesSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Write the passages; the metrics count them by split, and what was left out by reason."""
    import json

    from interlingua.sources.duplicates import without_near_duplicates
    from interlingua.sources.shaping import check_splits, shaped
    from interlingua.sources.source import corpus_of
    from interlingua.store.atomic import write_atomically
    from interlingua.store.rows.passages import (
        PASSAGES_NAME,
        all_passages,
        count_by_split,
        write_passages,
    )

    corpus, counts, path = corpus_of(spec.corpus), Counter[str](), out / PASSAGES_NAME
    if spec.near_duplicates is None:
        write_passages(path, shaped(corpus.records(), spec, counts), split_spec=spec.split)
    else:
        # Read twice, from one file: the source itself may be far away.
        every = out / SHAPED_NAME
        write_passages(every, shaped(corpus.records(), spec, counts), split_spec=spec.split)
        again = partial(all_passages, every)
        found = without_near_duplicates(again, spec.near_duplicates, counts)
        write_passages(path, found, split_spec=spec.split)
        every.unlink()
    if shards := corpus.shards():
        with write_atomically(out / SHARDS_NAME) as file:
            file.write(json.dumps(shards, indent=1).encode())
    by_split = count_by_split(path)
    check_splits(spec, by_split)
    return {**{f"passages/{split}": count for split, count in by_split.items()}, **counts}
