"""Stage `activations` of rows that were read elsewhere: a file of vectors, joined to passages.

It writes what the stage that reads a host writes, so that nothing after it knows which of the two
it was. Some rows are compared with those of the host.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.extraction import ExtractSpec, StoredRowsSpec
from interlingua.specs.models import ActivationFile
from interlingua.specs.placement import WorkKind
from interlingua.specs.text.recorded import from_jsonable
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

# What is counted where rows are read here, and is not known of others.
UNKNOWN = {"num_tokens": 0, "num_truncated": 0, "num_read_wider": 0, "num_not_finite": 0}


class StoredRowsInputs(NamedTuple, Generic[Member]):
    """The host whose rows they are, if it is there, and the passages that they are of."""

    host: Member | None
    passages: Member


def stored_rows_stage(
    host: Stage | None, passages: Stage, spec: ExtractSpec, file: ActivationFile
) -> Stage:
    """The rows of a file, of the passages of some splits."""
    shared = {f.name: getattr(spec, f.name) for f in fields(ExtractSpec)}
    return Stage(
        kind="activations",
        label="-".join([spec.host_tag, *spec.splits]),
        spec=StoredRowsSpec(**shared, file=file),
        run=run,
        inputs=StoredRowsInputs(host, passages),
        revision=1,
        device=None if host is None else WorkKind.EXTRACTION,
    )


def run(
    spec: StoredRowsSpec, inputs: StoredRowsInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Check and join, compare with the host, then store what is not stored yet."""
    import torch

    from interlingua.sources.activation_file import check_reading, opened
    from interlingua.sources.fitting_vectors import num_texts_of
    from interlingua.sources.joined_rows import joined
    from interlingua.stages.rows.stored_blocks import (
        check_of_host,
        compared,
        header_of,
        texts_of,
        write_blocks,
    )
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import recorded_access

    torch.set_num_threads(context.placement.threads_per_worker)
    place, path = context.placement.extraction, inputs.passages.path / PASSAGES_NAME
    check_reading(spec.file, spec.read)
    num_texts = num_texts_of(from_jsonable(PassagesSpec, inputs.passages.record.spec))
    vectors = opened(spec.file, spec.block_indices[0])
    if inputs.host is not None:
        check_of_host(spec, inputs.host, vectors)
    with recorded_access(spec.splits, out) as access:
        passages = partial(read_passages, path, spec.splits, access)
        rows = joined(spec.file, vectors, passages, spec.splits, num_texts=num_texts)
        few = rows.some(spec.file.num_compared if inputs.host is not None else 0)
        texts = texts_of(few, passages())
    cosines = compared(spec, inputs.host, vectors, few, texts, place) if texts else {}
    header = header_of(spec, inputs.host, vectors)
    counts = write_blocks(header, vectors, rows, out, place.block_passages)
    return {**UNKNOWN, **rows.counts, **cosines, **counts}
