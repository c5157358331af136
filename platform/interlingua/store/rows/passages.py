"""Passages on disk: one parquet file, streamed both ways, read by split only.

Knows neither where texts come from nor what a fact means.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import REMEDY, naming
from interlingua.store.rows.splits import SplitAccess, splitter

PASSAGES_NAME = "passages.parquet"
SPLIT_SPEC_KEY = b"interlingua.split_spec"
MENTION = pa.struct([("fact", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
SCHEMA = pa.schema(
    [
        ("passage_id", pa.string()),
        ("document_id", pa.string()),
        ("split", pa.string()),
        ("text", pa.string()),
        ("facts", pa.map_(pa.string(), pa.string())),
        ("mentions", pa.list_(MENTION)),
        ("row_id", pa.string()),
    ]
)


class CorruptPassages(RuntimeError):
    """A passages file contradicts itself."""


@dataclass(frozen=True, slots=True)
class Mention:
    """The place in the text where a fact is mentioned: characters start to end."""

    fact: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text with what is known about it; its split is that of its document."""

    passage_id: str
    document_id: str
    split: Split
    text: str
    facts: Mapping[str, str]
    mentions: tuple[Mention, ...]
    row_id: str = ""  # what its source calls it


def write_passages(
    path: Path,
    passages: Iterable[Passage],
    *,
    split_spec: SplitSpec,
    rows_per_group: int = 4096,
) -> None:
    """Stream the passages into one file that appears when it is whole; memory holds one group."""
    stamped = SCHEMA.with_metadata({SPLIT_SPEC_KEY: json.dumps(asdict(split_spec))})
    rows, split_of = iter(passages), splitter(split_spec)
    with (
        write_atomically(path) as file,
        pq.ParquetWriter(file, stamped, write_page_checksum=True) as writer,
    ):
        while group := list(islice(rows, rows_per_group)):
            writer.write_table(_checked_table(group, split_of, stamped))


def read_passages(path: Path, splits: Iterable[Split], access: SplitAccess) -> Iterator[Passage]:
    """The passages of these splits in file order, noted as consumed one by one."""
    # No generator itself: a split that is not permitted is refused here, not at the first row.
    asked = frozenset(splits)
    access.permit(asked)
    return _consuming(path, asked, access)


def documents_of(
    path: Path, passage_ids: Iterable[str], split: Split, access: SplitAccess
) -> dict[str, str]:
    """The document of each of these passages, which are noted as consumed; reads no text."""
    access.permit([split])
    left = dict.fromkeys(passage_ids)
    found: dict[str, str] = {}
    columns = ["passage_id", "document_id", "split"]
    with naming(path, CorruptPassages), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=columns):
            lists = (batch[name].to_pylist() for name in columns)
            for passage_id, document_id, own in zip(*lists, strict=True):
                if own == split and passage_id in left:
                    access.consume(passage_id, split)
                    found[passage_id] = document_id
    if missing := [passage_id for passage_id in left if passage_id not in found]:
        raise CorruptPassages(
            f"{path} lacks {len(missing)} passages of {split} that rows are of, the first "
            f"{missing[0]}: the rows are of other passages; build them again from this file"
        )
    return found


def count_by_split(path: Path) -> dict[Split, int]:
    """The number of passages of each split of the file; reads no text."""
    counts: Counter[Split] = Counter()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["split"]):
            counts.update(map(Split, batch["split"].to_pylist()))
    return dict(counts)


def all_passages(path: Path) -> Iterator[Passage]:
    """The passages of every split in file order, for the stage that wrote them: no one consumes."""
    return _stored(path, frozenset(Split))


def _consuming(path: Path, asked: frozenset[Split], access: SplitAccess) -> Iterator[Passage]:
    for passage in _stored(path, asked):
        access.consume(passage.passage_id, passage.split)
        yield passage


def _stored(path: Path, asked: frozenset[Split]) -> Iterator[Passage]:
    # Checksums of pages are compared only on request: a flipped byte would be another text.
    with naming(path, CorruptPassages):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    with file:
        with naming(path, CorruptPassages):
            split_of = splitter(_split_spec(path, file.schema_arrow))
        for group in range(file.num_row_groups):
            with naming(path, CorruptPassages):
                rows = _rows_of_group(file, group, asked)
            # `naming` ends before the yield: an error of whoever uses a passage is not the file's.
            for row in rows:
                yield _passage(path, row, split_of)


def _rows_of_group(
    file: pq.ParquetFile, group: int, asked: frozenset[Split]
) -> list[tuple[Any, ...]]:
    """The values of these splits' rows, as SCHEMA orders them."""
    names = pa.array(sorted(asked), pa.string())
    is_asked = pc.is_in(file.read_row_group(group, ["split"])["split"], names)
    if not pc.any(is_asked).as_py():
        return []  # nothing asked for: the texts are not read
    table = file.read_row_group(group).filter(is_asked)
    # By columns: a dict of each row takes several times as long.
    return list(zip(*(table[name].to_pylist() for name in SCHEMA.names), strict=True))


def _checked_table(
    passages: Sequence[Passage], split_of: Callable[[str], Split], schema: pa.Schema
) -> pa.Table:
    for passage in passages:
        expected = split_of(passage.document_id)
        if passage.split != expected:
            raise ValueError(
                f"Passage.split of {passage.passage_id} is {passage.split}; the split of its "
                f"document {passage.document_id} is {expected}"
            )
    columns = {
        "passage_id": [one.passage_id for one in passages],
        "document_id": [one.document_id for one in passages],
        "split": [one.split.value for one in passages],
        "text": [one.text for one in passages],
        "facts": [list(one.facts.items()) for one in passages],
        "mentions": [[asdict(mention) for mention in one.mentions] for one in passages],
        "row_id": [one.row_id for one in passages],
    }
    return pa.table(columns, schema=schema)


def _passage(path: Path, row: tuple[Any, ...], split_of: Callable[[str], Split]) -> Passage:
    identity, document_id, split, text, facts, mentions, row_id = row
    # Made again for every row: one that moved from test to train would be trained on in silence.
    expected = split_of(document_id)
    if split != expected:
        raise CorruptPassages(
            f"{path}: passage {identity} is stored as {split}, but its document {document_id} "
            f"belongs to {expected}; a model may have seen what it must not: {REMEDY}"
        )
    return Passage(
        passage_id=identity,
        document_id=document_id,
        split=expected,
        text=text,
        facts=dict(facts),
        mentions=tuple(Mention(**mention) for mention in mentions),
        row_id=row_id,
    )


def _split_spec(path: Path, schema: pa.Schema) -> SplitSpec:
    metadata = schema.metadata or {}
    if SPLIT_SPEC_KEY not in metadata:
        raise CorruptPassages(f"{path} does not say how its passages were split; {REMEDY}")
    return SplitSpec(**json.loads(metadata[SPLIT_SPEC_KEY]))
