"""Stage `adopted_rows`: a released activation parquet, by its place and what its files hash to.

The artifact holds an index of the rows that count, not the rows. Knows no model.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.specs.released import AdoptedRowsSpec, check_whole_file
from interlingua.specs.splits import Split, SplitSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.contract.file import sidecar_path
from interlingua.store.rows.released import (
    ReleasedFile,
    ReleaseMismatch,
    file_sha256,
    open_released,
    released_batches,
    released_header,
    released_vectors,
)
from interlingua.store.rows.shards import ID_DTYPE, Shard, shard_rows
from interlingua.store.rows.splits import SplitAccess, recorded_access, split_of

INDEX_NAME = "rows.parquet"
STAMP_KEY = b"interlingua.stamp"
SPLITS = tuple(Split)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keys:
    """Rows of a file, ascending, with what they are joined and split by."""

    rows_N: NDArray[np.int64]
    passage_ids_N: NDArray[np.bytes_]
    num_tokens_N: NDArray[np.int32]
    split_codes_N: NDArray[np.uint8]  # places in SPLITS

    def only(self, chosen: NDArray[np.bool_] | slice) -> "Keys":
        """The rows of a mask or a range."""
        return Keys(
            rows_N=self.rows_N[chosen],
            passage_ids_N=self.passage_ids_N[chosen],
            num_tokens_N=self.num_tokens_N[chosen],
            split_codes_N=self.split_codes_N[chosen],
        )

    def of_splits(self, splits: Iterable[Split]) -> "Keys":
        """The rows of these splits."""
        return self.only(np.isin(self.split_codes_N, [SPLITS.index(split) for split in splits]))


def run(
    spec: AdoptedRowsSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Check that the files are those that were named, then index the rows that count."""
    path = Path(spec.path)
    stamp = _size_and_time(path)  # before the hash: a change during the stage shows later
    _check_sha256(path, spec.parquet_sha256)
    _check_sha256(sidecar_path(path), spec.sidecar_sha256)
    file = open_released(path)
    keys, counts = _scanned(file, spec.split)
    keys, dropped = _counting_rows(keys)
    asked = keys.of_splits(spec.splits)
    _write_index(out, asked, stamp)
    with recorded_access(spec.splits, out) as access:
        _consume(asked, access)
    by_split = {f"rows/{split}": len(asked.of_splits([split]).rows_N) for split in spec.splits}
    others = len(keys.rows_N) - len(asked.rows_N)
    return {**counts, **dropped, **by_split, "num_of_other_splits": others}


def adopted_rows_spec(
    host_tag: str, source: str, split: SplitSpec, splits: tuple[Split, ...]
) -> AdoptedRowsSpec:
    """The spec of a parquet as it lies there now; cheap mistakes are found before it is hashed."""
    check_whole_file(source)
    path = Path(source).expanduser().resolve()
    open_released(path)
    return AdoptedRowsSpec(
        host_tag=host_tag,
        path=str(path),
        parquet_sha256=file_sha256(path),
        sidecar_sha256=file_sha256(sidecar_path(path)),
        split=split,
        splits=splits,
    )


def adopted_shards(
    artifact: Artifact, splits: Iterable[Split], access: SplitAccess
) -> Iterator[Shard]:
    """The rows of these splits as shards in the file's order, each row noted as consumed."""
    asked = frozenset(splits)
    access.permit(asked)
    absent = sorted(asked.difference(artifact.record.spec["splits"]))
    if absent:
        raise ValueError(f"{artifact.path} was adopted without the splits {', '.join(absent)}")
    keys, stamp = _read_index(artifact.path)
    file = _unchanged(artifact, stamp)
    return _shards(file, artifact.record.spec["host_tag"], keys.of_splits(asked), access)


def _scanned(file: ReleasedFile, split_spec: SplitSpec) -> tuple[Keys, dict[str, int]]:
    """The keys of all rows that have a vector, and what was met on the way."""
    parts: list[Keys] = []
    code_of: dict[str, int] = {}  # by document
    num_not_finite = 0
    for batch in released_batches(file):
        # By document, not by row: prefixes of one document share most of their text.
        for document_id in batch.document_ids:
            if document_id not in code_of:
                code_of[document_id] = SPLITS.index(split_of(document_id, split_spec))
        num_not_finite += int(np.sum(~np.isfinite(batch.vectors_VD).all(axis=1)))
        part = Keys(
            rows_N=batch.first_row + np.arange(len(batch.document_ids)),
            passage_ids_N=batch.passage_ids_N,
            num_tokens_N=batch.num_tokens_N,
            split_codes_N=np.array([code_of[i] for i in batch.document_ids], np.uint8),
        )
        parts.append(part.only(batch.has_vector_N))
    if not parts:
        raise ReleaseMismatch(f"{file.path} has no rows")
    keys = Keys(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Keys)}
    )
    return keys, {
        "num_rows": file.num_rows,
        "num_documents": len(code_of),
        "num_without_vector": file.num_rows - len(keys.rows_N),
        "num_not_finite": num_not_finite,
    }


def _counting_rows(keys: Keys) -> tuple[Keys, dict[str, int]]:
    """The rows that count: one for each text and position, no text that two splits share."""
    _, text_N = np.unique(keys.passage_ids_N, return_inverse=True)
    splits_of_text = np.zeros(text_N.max(initial=-1) + 1, np.uint8)  # a bit for each split
    # `at`, because fancy assignment would take only one of the rows that share an index.
    np.bitwise_or.at(splits_of_text, text_N, np.uint8(1) << keys.split_codes_N)
    # Copies of one text under two document ids: whichever split kept it, another has seen it.
    # x & (x - 1) drops the lowest bit: something is left where there is more than one split.
    is_shared_N = (splits_of_text & (splits_of_text - 1))[text_N] != 0
    kept, text_K = keys.only(~is_shared_N), text_N[~is_shared_N]
    # Text and position as one integer; np.unique gives the first row of each.
    _, first_K = np.unique((text_K << 32) | kept.num_tokens_N, return_index=True)
    is_first_K = np.zeros(len(text_K), bool)
    is_first_K[first_K] = True
    return kept.only(is_first_K), {
        "num_shared_by_splits": int(is_shared_N.sum()),
        "num_repeated": int((~is_first_K).sum()),
    }


def _consume(keys: Keys, access: SplitAccess) -> None:
    ids = keys.passage_ids_N.astype(str).tolist()
    for identity, code in zip(ids, keys.split_codes_N.tolist(), strict=True):
        access.consume(identity, SPLITS[code])


def _shards(file: ReleasedFile, host_tag: str, keys: Keys, access: SplitAccess) -> Iterator[Shard]:
    header = released_header(file, host_tag)
    for block, vectors_ND in released_vectors(file, keys.rows_N):
        mine = keys.only(block)
        _consume(mine, access)
        ids = mine.passage_ids_N.astype(str).tolist()
        # A released row is of the last token of its prefix.
        positions = (mine.num_tokens_N - 1).tolist()
        yield Shard(header, shard_rows(ids, positions, mine.num_tokens_N.tolist(), vectors_ND))


def _write_index(out: Path, keys: Keys, stamp: Mapping[str, int]) -> None:
    columns = {
        "row": keys.rows_N,
        "passage_id": keys.passage_ids_N.astype(str),
        "num_tokens": keys.num_tokens_N,
        "split": np.array(SPLITS)[keys.split_codes_N],
    }
    table = pa.table(columns).replace_schema_metadata({STAMP_KEY: json.dumps(stamp)})
    with write_atomically(out / INDEX_NAME) as file:
        pq.write_table(table, file)


def _read_index(folder: Path) -> tuple[Keys, dict[str, int]]:
    table = pq.read_table(folder / INDEX_NAME)
    codes = [SPLITS.index(Split(split)) for split in table["split"].to_pylist()]
    keys = Keys(
        rows_N=table["row"].to_numpy(),
        passage_ids_N=np.array(table["passage_id"].to_pylist(), ID_DTYPE),
        num_tokens_N=table["num_tokens"].to_numpy(),
        split_codes_N=np.array(codes, np.uint8),
    )
    return keys, json.loads(table.schema.metadata[STAMP_KEY])


def _unchanged(artifact: Artifact, stamp: Mapping[str, int]) -> ReleasedFile:
    """The opened file; it is hashed only where its size or time has changed."""
    path = Path(artifact.record.spec["path"])
    if _size_and_time(path) != stamp:
        _check_sha256(path, artifact.record.spec["parquet_sha256"])
    _check_sha256(sidecar_path(path), artifact.record.spec["sidecar_sha256"])
    return open_released(path)


def _size_and_time(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"num_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _check_sha256(path: Path, expected: str) -> None:
    if (found := file_sha256(path)) != expected:
        raise ReleaseMismatch(
            f"{path} hashes to {found[:12]}, not to {expected[:12]}: it has changed since it was "
            "named; adopt it again"
        )
