"""The public release's activation parquet, read where it lies: checked, streamed, never copied.

Knows no host, no split and no index: it gives rows as they stand in the file.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.store.contract.file import read_sidecar, sidecar_path
from interlingua.store.contract.statement import DatasetSidecar
from interlingua.store.rows.shards import ID_DTYPE, TOKEN, ShardHeader
from interlingua.store.rows.splits import passage_id

TOKENS = "n_raw_tokens"
TEXT = "detokenized_text_truncated"
VECTOR = "activation_vector"
LAYER = "activation_layer"
DOCUMENT = "doc_id"

# Of vectors: far below the sizes at which arrow's offsets overflow.
BATCH_BYTES = 64 * 2**20


class ReleaseMismatch(ValueError):
    """A released parquet contradicts its sidecar, its layout, or what was adopted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFile:
    """A parquet whose columns fit its sidecar; its rows are not looked at yet."""

    path: Path
    sidecar: DatasetSidecar
    width: int
    block_index: int
    num_rows: int
    has_text: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedBatch:
    """N rows in the file's order; `vectors_VD` holds those of the V rows that have a vector."""

    first_row: int
    passage_ids_N: NDArray[np.bytes_]
    document_ids: list[str]
    num_tokens_N: NDArray[np.int32]
    has_vector_N: NDArray[np.bool_]
    vectors_VD: NDArray[np.float32]


def open_released(path: Path) -> ReleasedFile:
    """The file, with its sidecar and its columns checked against each other."""
    sidecar = read_sidecar(path)
    where = sidecar_path(path)
    if not isinstance(sidecar, DatasetSidecar) or sidecar.stage != "base":
        raise ReleaseMismatch(
            f"{where} is a {type(sidecar).__name__} of the stage {sidecar.stage!r}; only the data "
            "sets of the stage 'base' say which document a row is from"
        )
    if sidecar.block_index is None or sidecar.d_model is None:
        raise ReleaseMismatch(f"{where} must state extraction.layer_index and extraction.d_model")
    with pq.ParquetFile(path) as file:
        schema, num_rows = file.schema_arrow, file.metadata.num_rows
    _check_columns(path, schema, sidecar.d_model)
    if sidecar.row_count not in (None, num_rows):
        raise ReleaseMismatch(
            f"{path} has {num_rows} rows, its sidecar states {sidecar.row_count}; one of them "
            "belongs to another file"
        )
    return ReleasedFile(
        path=path,
        sidecar=sidecar,
        width=sidecar.d_model,
        block_index=sidecar.block_index,
        num_rows=num_rows,
        has_text=TEXT in schema.names,
    )


def released_batches(file: ReleasedFile) -> Iterator[ReleasedBatch]:
    """All rows, a bounded number at a time; raises ReleaseMismatch where one breaks the layout.

    A row without a vector is marked, not dropped; arrow itself can read such a row only from lists
    that are not of fixed size.
    """
    columns = [TOKENS, VECTOR, LAYER, DOCUMENT, *([TEXT] if file.has_text else [])]
    for first_row, batch in _batches(file, columns, np.arange(file.num_rows)):
        where = f"{file.path}, rows {first_row} to {first_row + len(batch) - 1}"
        _check_layers(where, batch[LAYER], file.block_index)
        if batch[DOCUMENT].null_count:
            raise ReleaseMismatch(f"{where}: a {DOCUMENT} is null, so its split is not known")
        vectors_VD, has_vector_N = _vectors(where, batch[VECTOR], file.width)
        yield ReleasedBatch(
            first_row=first_row,
            passage_ids_N=_passage_ids(batch),
            document_ids=batch[DOCUMENT].to_pylist(),
            num_tokens_N=_num_tokens(where, batch[TOKENS]),
            has_vector_N=has_vector_N,
            vectors_VD=vectors_VD,
        )


def released_vectors(
    file: ReleasedFile, rows_N: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The raw vectors of these ascending rows, block by block, with which of the rows they are."""
    for first_row, batch in _batches(file, [VECTOR], rows_N):
        begin, end = np.searchsorted(rows_N, [first_row, first_row + len(batch)])
        if begin == end:
            continue
        where = f"{file.path}, rows {first_row} to {first_row + len(batch) - 1}"
        vectors_VD, has_vector_N = _vectors(where, batch[VECTOR], file.width)
        chosen = rows_N[begin:end] - first_row
        if not has_vector_N[chosen].all():
            raise ReleaseMismatch(f"{where}: a row that was asked for has no vector")
        if end - begin < len(vectors_VD):
            # From the number of a row to its place among the V rows that have a vector.
            # numpy gathers: arrow's take has silently corrupted rows of large columns.
            vectors_VD = vectors_VD[(np.cumsum(has_vector_N) - 1)[chosen]]
        yield slice(int(begin), int(end)), vectors_VD


def released_header(file: ReleasedFile, host_tag: str) -> ShardHeader:
    """The header that all rows share; what the sidecar does not say is empty or zero."""
    extraction = file.sidecar.other.get("extraction")
    revision = extraction.get("revision") if isinstance(extraction, dict) else None
    extension = file.sidecar.extension
    return ShardHeader(
        host_tag=host_tag,
        host_revision=str(revision or ""),
        tokenizer_hash=(extension.tokenizer_sha256 if extension else None) or "",
        block_index=file.block_index,
        read_mode=TOKEN,
        dtype="",
        max_length=0,
    )


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_columns(path: Path, schema: pa.Schema, width: int) -> None:
    """Raise unless the columns are those of the released layout."""
    is_text = (pa.types.is_string, pa.types.is_large_string)
    allowed = {TOKENS: (pa.types.is_integer,), LAYER: (pa.types.is_integer,), DOCUMENT: is_text}
    missing = [name for name in (*allowed, VECTOR) if name not in schema.names]
    if missing:
        raise ReleaseMismatch(f"{path} lacks the columns {', '.join(missing)}: {schema.names}")
    if TEXT in schema.names:
        allowed[TEXT] = is_text
    for name, kinds in allowed.items():
        found = schema.field(name).type
        if not any(is_kind(found) for is_kind in kinds):
            expected = "text" if kinds is is_text else "an integer"
            raise ReleaseMismatch(f"{path}: {name} is {found}; it must be {expected}")
    vector = schema.field(VECTOR).type
    is_fixed = pa.types.is_fixed_size_list(vector)
    is_list = is_fixed or pa.types.is_list(vector) or pa.types.is_large_list(vector)
    if not is_list or vector.value_type != pa.float32():
        raise ReleaseMismatch(f"{path}: {VECTOR} is {vector}; it must be a list of float32")
    if is_fixed and vector.list_size != width:
        raise ReleaseMismatch(
            f"{path}: {VECTOR} is {vector.list_size} wide, the sidecar says {width}"
        )


def _batches(
    file: ReleasedFile, columns: list[str], wanted: NDArray[np.int64]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches with the numbers of their first rows; a group without a wanted row is not read."""
    batch_rows = max(1, BATCH_BYTES // (4 * file.width))
    end = 0
    # Mapped: a released file may be one row group of many GiB, which would else be read as one.
    with pq.ParquetFile(file.path, memory_map=True) as parquet:
        for group in range(parquet.num_row_groups):
            row, end = end, end + parquet.metadata.row_group(group).num_rows
            first, last = np.searchsorted(wanted, [row, end])
            if first == last:
                continue
            batches = parquet.iter_batches(batch_rows, row_groups=[group], columns=columns)
            for batch in _naming_unreadable(file.path, batches):
                yield row, batch
                row += len(batch)


def _naming_unreadable(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except pa.ArrowInvalid as error:
        raise ReleaseMismatch(
            f"{path} cannot be read ({error}); vectors of fixed size must not be null: write it "
            "without those rows, or as lists"
        ) from error


def _check_layers(where: str, layers: pa.Array, block_index: int) -> None:
    others = [layer for layer in layers.unique().to_pylist() if layer != block_index]
    if others:
        raise ReleaseMismatch(
            f"{where}: {LAYER} is also {', '.join(map(str, others))}, the sidecar says "
            f"{block_index}; a file holds one block (symptom: two spaces mixed in one fit)"
        )


def _vectors(
    where: str, column: pa.Array, width: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vectors of the rows that have one, as a view if none has holes, and which rows do."""
    has_vector_N = column.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_fixed_size_list(column.type):
        widths = [w for w in pc.list_value_length(column).unique().to_pylist() if w is not None]
        if any(found != width for found in widths):
            raise ReleaseMismatch(f"{where}: vectors are {widths} wide, the sidecar says {width}")
    values = column.flatten()  # without the null rows
    if not values.null_count:
        return values.to_numpy(zero_copy_only=True).reshape(-1, width), has_vector_N
    # Vectors with a hole go with those that are null; the zeros below only give them a shape.
    is_whole_V = ~values.is_null().to_numpy(zero_copy_only=False).reshape(-1, width).any(1)
    vectors_VD = values.fill_null(0).to_numpy(zero_copy_only=False).reshape(-1, width)[is_whole_V]
    has_vector_N[has_vector_N] = is_whole_V
    return vectors_VD, has_vector_N


def _passage_ids(batch: pa.RecordBatch) -> NDArray[np.bytes_]:
    """The passage ids: of the text where a row has one, else of its document's id."""
    documents = batch[DOCUMENT]
    told = batch[TEXT] if TEXT in batch.schema.names else pa.nulls(len(batch), documents.type)
    pairs = zip(told.to_pylist(), documents.to_pylist(), strict=True)
    return np.array([passage_id(d if text is None else text) for text, d in pairs], ID_DTYPE)


def _num_tokens(where: str, column: pa.Array) -> NDArray[np.int32]:
    if column.null_count or pc.min(column).as_py() < 1 or pc.max(column).as_py() >= 2**31:
        raise ReleaseMismatch(f"{where}: {TOKENS} must be 1 or more in every row")
    counts_N: NDArray[np.int32] = column.to_numpy().astype(np.int32)
    return counts_N
