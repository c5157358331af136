"""Explanations of passages on disk: texts of a teacher, or of an AV. Knows neither.

A row is one text about one activation: passage, position (-1: pooled) and sample. Read by split.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interlingua.specs.splits import Split
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess

EXPLANATIONS_NAME = "explanations.parquet"
ROWS_PER_GROUP = 4096
SCHEMA = pa.schema(
    [
        ("passage_id", pa.string()),
        ("position", pa.int32()),
        ("sample", pa.int32()),
        ("split", pa.string()),
        ("teacher", pa.string()),
        ("text", pa.string()),
    ]
)


class MixedTeachers(ValueError):
    """One corpus holds explanations of several teachers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One text about one activation; `teacher` names who wrote it."""

    passage_id: str
    position: int
    sample: int
    split: Split
    teacher: str
    text: str


def write_explanations(out: Path, explanations: Iterable[Explanation]) -> int:
    """Store the explanations in an artifact's folder; returns how many there are."""
    return write_rows(out / EXPLANATIONS_NAME, explanations)


def write_rows(path: Path, explanations: Iterable[Explanation]) -> int:
    """Store the explanations in a file; returns how many there are."""
    rows, num_rows = map(asdict, explanations), 0
    with write_atomically(path) as file, pq.ParquetWriter(file, SCHEMA) as writer:
        while group := list(islice(rows, ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
            num_rows += len(group)
    return num_rows


def read_rows(path: Path) -> Iterator[Explanation]:
    """The explanations of a file that is part of an artifact to be; none is noted as consumed."""
    for row in read_parquet(path, schema=SCHEMA).to_pylist():
        yield Explanation(**row | {"split": Split(row["split"])})


def read_explanations(
    folder: Path, splits: Iterable[Split], access: SplitAccess
) -> Mapping[Key, list[str]]:
    """The texts of every activation of these splits, by sample; each passage noted as consumed."""
    asked = frozenset(splits)
    access.permit(asked)
    table = read_parquet(folder / EXPLANATIONS_NAME)
    table = table.filter(pc.is_in(table["split"], pa.array(sorted(asked), pa.string())))
    # By sample: a stage that takes the first texts of an activation takes the same ones every time.
    table = table.sort_by([("passage_id", "ascending"), ("position", "ascending"),
                           ("sample", "ascending")])  # fmt: skip
    texts: dict[Key, list[str]] = {}
    columns = (table[name].to_pylist() for name in ("passage_id", "position", "split", "text"))
    for passage_id, position, split, text in zip(*columns, strict=True):
        access.consume(passage_id, Split(split))
        texts.setdefault((passage_id, position), []).append(text)
    return texts


def consume_explanations(folder: Path, splits: Iterable[Split], access: SplitAccess) -> None:
    """Note the passages of these splits as consumed; their texts are read elsewhere."""
    asked = frozenset(splits)
    access.permit(asked)
    # Parquet is read by column: the texts stay on disk.
    table = read_parquet(folder / EXPLANATIONS_NAME, columns=["passage_id", "split"])
    columns = (table[name].to_pylist() for name in ("passage_id", "split"))
    for passage_id, split in zip(*columns, strict=True):
        if split in asked:
            access.consume(passage_id, Split(split))


def teachers_of(folder: Path) -> list[str]:
    """The names of all teachers in the file."""
    table = read_parquet(folder / EXPLANATIONS_NAME, columns=["teacher"])
    return sorted(pc.unique(table["teacher"]).to_pylist())


def check_one_teacher(folder: Path, *, accepts: Iterable[str]) -> None:
    """Raise MixedTeachers unless one teacher wrote everything, or all of them are accepted.

    A teacher is accepted by name, with its fingerprint or without.
    """
    teachers, accepted = teachers_of(folder), set(accepts)
    others = [one for one in teachers if not accepted & {one, one.rpartition("-")[0]}]
    if len(teachers) > 1 and others:
        raise MixedTeachers(
            f"{folder / EXPLANATIONS_NAME} mixes the teachers {', '.join(teachers)}; that "
            "destroyed a published run (0.92 -> 0.83, one host at -0.75): use one, or accept "
            f"them by name with --set accepts_teachers={','.join(teachers)}"
        )
