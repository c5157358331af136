"""Activation shards: one safetensors file each, rows keyed by passage id, vectors raw fp32.

Knows neither hosts nor splits. Joins are by id only, never by row order. N rows, D width.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from interlingua.store.atomic import write_atomically
from interlingua.store.reading import REMEDY
from interlingua.store.rows.splits import ID_DTYPE, ID_LENGTH

Key = tuple[str, int]  # passage and position
POOLED_POSITION = -1
POOLED, POOLED_WITH_FIRST = "pooled", "pooled_with_first"
LAST, TOKEN, SPAN = "last", "token", "span"
HEADER_KEY = "header"
CHECKSUM_KEY = "sha256"
# The types of safetensors that a shard uses.
DTYPES = {"F32": np.float32, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}


class CorruptShard(RuntimeError):
    """A shard's bytes are not those that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardHeader:
    """The facts that all rows of a shard share; only shards with equal headers may be joined."""

    host_tag: str
    host_revision: str
    tokenizer_hash: str
    block_index: int
    read_mode: str
    dtype: str
    max_length: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRows:
    """Activations with their keys; position -1: a whole passage. Made by `shard_rows`."""

    passage_ids_N: NDArray[np.bytes_]
    positions_N: NDArray[np.int32]
    num_tokens_N: NDArray[np.int32]
    vectors_ND: NDArray[np.float32]
    norms_N: NDArray[np.float32]
    is_finite_N: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A shard read back: arrays are read-only views of the mapped file."""

    header: ShardHeader
    rows: ShardRows


def shard_rows(
    passage_ids: Sequence[str],
    positions: Sequence[int],
    num_tokens: Sequence[int],
    vectors_ND: NDArray[np.float32],
) -> ShardRows:
    """Rows with their norms and finite flags; raises ValueError where lengths or types differ."""
    if vectors_ND.dtype != np.float32 or vectors_ND.ndim != 2:
        raise ValueError(
            f"vectors_ND is {vectors_ND.dtype} {vectors_ND.shape}; it must be float32 [N, D]"
        )
    lengths = {len(passage_ids), len(positions), len(num_tokens), len(vectors_ND)}
    if len(lengths) != 1:
        raise ValueError(f"the columns of a shard have {sorted(lengths)} rows; they must agree")
    # fp64: a squared fp32 norm overflows on the sink channels of some hosts.
    squares_N = np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64)
    with np.errstate(over="ignore"):
        norms_N = np.sqrt(squares_N).astype(np.float32)
    return ShardRows(
        passage_ids_N=_id_array(passage_ids),
        positions_N=np.asarray(positions, np.int32),
        num_tokens_N=np.asarray(num_tokens, np.int32),
        vectors_ND=vectors_ND,
        norms_N=norms_N,
        is_finite_N=np.isfinite(squares_N),
    )


def block_folder(out: Path, block_index: int) -> Path:
    """The folder of the shards of one block of a host."""
    return out / f"output_of_block_{block_index:03d}"


def shard_path(folder: Path, index: int) -> Path:
    """The path of the shard with this index."""
    return folder / f"shard-{index:06d}.safetensors"


def list_shards(folder: Path) -> list[Path]:
    """The finished shards of a folder, in the order of their indices."""
    return sorted(folder.glob("shard-*.safetensors"))


def write_shard(path: Path, header: ShardHeader, rows: ShardRows) -> None:
    """Store the rows in one file that appears when it is whole."""
    # safetensors writes whatever lies behind the pointer: contiguous arrays only.
    columns = {f.name: np.ascontiguousarray(getattr(rows, f.name)) for f in fields(rows)}
    # It has no type for bytes.
    columns["passage_ids_N"] = columns["passage_ids_N"].view(np.uint8).reshape(-1, ID_LENGTH)
    header_json = json.dumps(asdict(header))
    metadata = {HEADER_KEY: header_json, CHECKSUM_KEY: _checksum(header_json, columns)}
    # Through our own file: safetensors' own writer hides a full disk behind its own error.
    with write_atomically(path) as file:
        file.write(save(columns, metadata))


def read_shard(path: Path, *, verify: bool = True) -> Shard:
    """The shard as views of the mapped file; verify=False saves reading all of it at once."""
    try:
        metadata, columns = _mapped(path)
        header = ShardHeader(**json.loads(metadata[HEADER_KEY]))
        stored = metadata[CHECKSUM_KEY]
        ids_N = columns["passage_ids_N"].view(ID_DTYPE).reshape(-1)
        rows = ShardRows(**{**columns, "passage_ids_N": ids_N})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptShard(f"{path} is no whole shard ({error!r}); {REMEDY}") from error
    if verify and _checksum(metadata[HEADER_KEY], columns) != stored:
        raise CorruptShard(f"{path} does not match its checksum; {REMEDY}")
    return Shard(header, rows)


class ShardIndex:
    """An index of the rows of some shards by passage: made once, then asked block by block."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        if not shards:
            raise ValueError("there are no shards to take rows from")
        _check_same_headers([shard.header for shard in shards])
        self._shards = shards
        ids = np.concatenate([shard.rows.passage_ids_N for shard in shards])
        positions = np.concatenate([shard.rows.positions_N for shard in shards])
        # Sorted, the rows of a passage are neighbours, in the order of their positions: lexsort's
        # last key is the first to sort by.
        self._order = np.lexsort((positions, ids))
        self._ids, self._positions = ids[self._order], positions[self._order]

    def rows(self, passage_ids: Sequence[str]) -> ShardRows:
        """All rows of these passages, in the order of the ids and then of the positions, copied."""
        wanted = _id_array(passage_ids)
        if len(np.unique(wanted)) != len(wanted):
            raise ValueError("passage_ids has duplicates; ask for every passage once")
        places, owners = self._places(wanted)
        return self._taken(places, owners, wanted)

    def rows_at(self, keys: Sequence[tuple[str, int]]) -> ShardRows:
        """The rows of these passages at these positions, in the order of the keys, copied."""
        if len(set(keys)) != len(keys):
            raise ValueError("keys has duplicates; ask for every position of a passage once")
        wanted = _id_array([passage_id for passage_id, _ in keys])
        positions = np.array([position for _, position in keys], np.int32)
        places, owners = self._places(wanted)
        is_asked = self._positions[places] == positions[owners]
        return self._taken(places[is_asked], owners[is_asked], wanted)

    def _places(self, wanted: NDArray[np.bytes_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The places of all rows of the wanted passages, and whose they are."""
        starts = np.searchsorted(self._ids, wanted, side="left")
        counts = np.searchsorted(self._ids, wanted, side="right") - starts
        owners = np.repeat(np.arange(len(wanted)), counts)
        # All ranges start..start + count behind one another without a loop: the i-th place of all,
        # which is of owner o, is start_o + (i - first_o).
        firsts = np.cumsum(counts) - counts
        return np.arange(len(owners)) + (starts - firsts)[owners], owners

    def _taken(
        self, places: NDArray[np.intp], owners: NDArray[np.intp], wanted: NDArray[np.bytes_]
    ) -> ShardRows:
        """The rows at these places, each wanted one at least once and no position twice."""
        missing = np.setdiff1d(np.arange(len(wanted)), owners)
        if len(missing):
            first = wanted[missing[0]].decode()
            raise KeyError(
                f"{len(missing)} of {len(wanted)} have no row; the first is of passage {first}"
            )
        # Neighbours suffice: places come sorted by owner, then by position.
        same = (np.diff(owners) == 0) & (np.diff(self._positions[places]) == 0)
        if same.any():
            twice = self._ids[places[np.flatnonzero(same)[0]]].decode()
            raise CorruptShard(
                f"passage {twice} stands twice in the shards at one position; {REMEDY}"
            )
        return _gathered(self._shards, self._order[places])


def _check_same_headers(headers: Sequence[ShardHeader]) -> None:
    first = asdict(headers[0])
    for header in headers:
        for name, value in asdict(header).items():
            if value != first[name]:
                raise ValueError(
                    f"shards differ in {name} ({first[name]!r} and {value!r}); not joined"
                )


def _gathered(shards: Sequence[Shard], chosen: NDArray[np.intp]) -> ShardRows:
    """The rows with these indices, counted through all shards; only these are read."""
    ends = np.cumsum([len(shard.rows.passage_ids_N) for shard in shards])
    # right: a row whose number is the end of a shard is the first of the next one.
    owner = np.searchsorted(ends, chosen, side="right")
    columns = {}
    for field in fields(ShardRows):
        first = getattr(shards[0].rows, field.name)
        columns[field.name] = np.empty((len(chosen), *first.shape[1:]), first.dtype)
    for index in np.unique(owner):  # of thousands of shards a block of rows touches a few
        mine, rows = owner == index, shards[index].rows
        inside = chosen[mine] - (ends[index] - len(rows.passage_ids_N))
        for name, column in columns.items():
            column[mine] = getattr(rows, name)[inside]
    return ShardRows(**columns)


def _id_array(passage_ids: Sequence[str]) -> NDArray[np.bytes_]:
    wrong = [identity for identity in passage_ids if len(identity) != ID_LENGTH]
    if wrong:
        raise ValueError(f"passage id {wrong[0]!r} is not {ID_LENGTH} characters long")
    return np.array(passage_ids, ID_DTYPE)


def _checksum(header_json: str, columns: dict[str, NDArray[np.generic]]) -> str:
    digest = hashlib.sha256(header_json.encode())
    for name in sorted(columns):
        # Names, types and shapes, too: the same bytes in other shapes are other rows.
        digest.update(f"{name} {columns[name].dtype} {columns[name].shape}".encode())
        digest.update(columns[name].data)
    return digest.hexdigest()


def _mapped(path: Path) -> tuple[dict[str, str], dict[str, NDArray[np.generic]]]:
    """The metadata and the columns of a safetensors file, as views of the mapped file."""
    # By hand, because safetensors' own numpy reader copies every byte. The format: the header's
    # length in eight bytes, the header in JSON, the raw columns.
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    entries = json.loads(content[8:start].tobytes())
    metadata = entries.pop("__metadata__")
    columns = {}
    for name, entry in entries.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        columns[name] = content[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return metadata, columns
