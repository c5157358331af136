"""Scored items of an evaluation, one row each: every table and plot is made from these alone.

One parquet file a host in a folder. A row is one prediction of one activation by one predictor;
what it has no text for is null, what it has no number for NaN. Knows no model and no metric.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.specs.evaluation import PARTIAL, Predictor
from interlingua.specs.splits import Split
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet
from interlingua.store.rows.splits import SplitViolation

ROWS_FOLDER = "rows"
EVALUATED_NAME = "passages.parquet"
EVALUABLE = (Split.DEV, Split.TEST)

NUMBERS = (
    "cos", "nmse", "linear_error", "own_variance", "mean_direction_nmse", "uncentred_error",
    "uncentred_variance", "train_variance", "category_variance", "shuffled_nmse", "raw_norm",
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("role", pa.string()),
        ("predictor", pa.string()),
        ("split", pa.string()),
        ("passage_id", pa.string()),
        ("document_id", pa.string()),  # rows of one document are not independent
        ("position", pa.int32()),
        ("span_end", pa.int32()),  # of characters, where a row is a sentence; else null
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("explanation", pa.string()),
        ("said", pa.list_(pa.string())),  # facts, each `kind=value`
        ("true", pa.list_(pa.string())),
        ("num_clauses", pa.int32()),
        ("num_worded", pa.int32()),  # of the clauses, those in a wording of the teacher's
        ("is_failed", pa.bool_()),
        ("num_tokens", pa.int32()),
        ("log_prob", pa.float64()),
        *((name, pa.float64()) for name in NUMBERS),
        ("rank", pa.int32()),
        ("num_rivals", pa.int32()),
    ]
)
EVALUATED = pa.schema(
    [
        ("passage_id", pa.string()),
        ("text", pa.string()),
        ("facts", pa.map_(pa.string(), pa.string())),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows of one or of several hosts and predictors, by column."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["host"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, is_taken_N: np.ndarray) -> "Scored":
        """The rows whose flag is True."""
        return Scored({name: column[is_taken_N] for name, column in self.columns.items()})

    def of(self, host: str, predictor: str) -> "Scored":
        """The rows of one host and predictor."""
        return self.where((self["host"] == host) & (self["predictor"] == predictor))

    def documents(self) -> np.ndarray:
        """The document of every row: the unit in which rows are independent."""
        return self["document_id"].astype(str)

    def complete(self) -> "Scored":
        """The rows of the predictors that every activation must have."""
        return self.where(~np.isin(self["predictor"].astype(str), PARTIAL))

    def hosts(self) -> dict[str, str]:
        """Role by host, in the order of the rows."""
        return dict(zip(self["host"].tolist(), self["role"].tolist(), strict=True))

    def predictors(self) -> list[str]:
        """The predictors that have rows, in their fixed order."""
        found = set(self["predictor"].tolist())
        return [predictor.value for predictor in Predictor if predictor.value in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedPassage:
    """The passage that evaluated rows are about."""

    passage_id: str
    text: str
    facts: Mapping[str, str]


def host_path(folder: Path, host: str) -> Path:
    """The path of the rows of a host."""
    return folder / ROWS_FOLDER / f"{host}.parquet"


def write_scored(path: Path, rows: Scored) -> None:
    """Store the rows in one file that appears when it is whole."""
    arrays = {field.name: _array(rows[field.name], field.type) for field in SCHEMA}
    with write_atomically(path) as file:
        pq.write_table(pa.table(arrays, schema=SCHEMA), file)


def read_scored(folder: Path) -> Scored:
    """All rows of an evaluation; raises SplitViolation where one was open to training."""
    table = scored_table(folder)
    return Scored({name: _column(table[name]) for name in SCHEMA.names})


def scored_table(folder: Path, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """The same as a table, in which no text is an object of its own."""
    paths = sorted((folder / ROWS_FOLDER).glob("*.parquet"))
    if not paths:
        raise ValueError(f"{folder / ROWS_FOLDER} holds no scored rows")
    named = [name for name in SCHEMA.names if name in {*columns, "split"}]
    table = pa.concat_tables([read_parquet(path, schema=SCHEMA, columns=named) for path in paths])
    splits = set(table["split"].unique().to_pylist())
    if not splits <= set(EVALUABLE):
        raise SplitViolation(
            f"{folder} holds rows of {', '.join(sorted(map(str, splits)))}; numbers may be made of "
            f"{' or '.join(EVALUABLE)} only"
        )
    return table


def joined(parts: Sequence[Mapping[str, Any]]) -> Scored:
    """Rows of several predictors as one; what a part does not say is null or NaN."""
    sizes = [len(part["passage_id"]) for part in parts]
    return Scored(
        {
            field.name: np.concatenate(
                [
                    _filled(part.get(field.name), field.type, size)
                    for part, size in zip(parts, sizes, strict=True)
                ]
            )
            for field in SCHEMA
        }
    )


def write_evaluated(folder: Path, passages: Iterable[EvaluatedPassage]) -> None:
    """Store the passages that rows are about."""
    rows = [{**_fields(passage), "facts": list(passage.facts.items())} for passage in passages]
    with write_atomically(folder / EVALUATED_NAME) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=EVALUATED), file)


def read_evaluated(folder: Path) -> Iterator[EvaluatedPassage]:
    """The passages that rows are about."""
    for row in evaluated_table(folder).to_pylist():
        yield EvaluatedPassage(**{**row, "facts": dict(row["facts"])})


def evaluated_table(folder: Path) -> pa.Table:
    """The same as a table."""
    return read_parquet(folder / EVALUATED_NAME)


def _fields(passage: EvaluatedPassage) -> dict[str, Any]:
    return {name: getattr(passage, name) for name in EVALUATED.names}


def _array(column_N: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.array(column_N.tolist() if column_N.dtype == object else column_N, kind)


def _column(column: pa.ChunkedArray) -> np.ndarray:
    # By dlpack: what arrow itself has for numpy imports pandas, which takes longer than the rows.
    array = column.combine_chunks()
    if pa.types.is_string(array.type):
        # Most texts are one of a few, or stand in many rows: each becomes an object once.
        coded = array.dictionary_encode()
        texts_C = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
        return texts_C[_filled_up(coded.indices, -1)]
    if pa.types.is_boolean(array.type):
        return np.from_dlpack(array.cast(pa.int8())).astype(bool)
    if pa.types.is_floating(array.type):
        return _filled_up(array, np.nan)
    # numpy has no null: it would make floats of a whole column of integers.
    return _filled_up(array, -1) if pa.types.is_integer(array.type) else _lists(array)


def _filled_up(array: pa.Array, missing: float) -> np.ndarray:
    """Numbers, with another in the place of those that are null."""
    there_X = np.from_dlpack(array.drop_null() if array.null_count else array)
    filled_N = np.full(len(array), missing, dtype=there_X.dtype)
    filled_N[np.from_dlpack(array.is_valid().cast(pa.int8())).astype(bool)] = there_X
    return filled_N


def _lists(column: pa.Array) -> np.ndarray:
    """A list of texts a row, or None: an object of Python once for every different text."""
    items = _column(pa.chunked_array([column.flatten()])).tolist()
    ends = np.cumsum(_filled_up(column.value_lengths(), 0)).tolist()
    rows = [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    is_there = column.is_valid().to_pylist()
    # Of lists that are all of one length numpy would make a table, were it not for the None.
    found = [row if is_one else None for row, is_one in zip(rows, is_there, strict=True)]
    return np.array([*found, None], dtype=object)[:-1]


def _filled(values: Any, kind: pa.DataType, size: int) -> np.ndarray:
    if pa.types.is_floating(kind):
        return np.full(size, np.nan) if values is None else np.broadcast_to(values, size)
    if pa.types.is_integer(kind):
        return np.full(size, -1) if values is None else np.broadcast_to(values, size)
    if pa.types.is_boolean(kind):
        return np.zeros(size, bool) if values is None else np.asarray(values, bool)
    if values is None or isinstance(values, str):
        return np.array([values] * size, dtype=object)
    return np.array([*values, None], dtype=object)[:-1]
