"""Rows of a file of vectors joined to passages, by number or by an index.

Holds 60 to 90 bytes of a passage with its row while they are joined, 28 of a row then; neither
texts nor vectors. N rows, P passages, B rows of a batch.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlingua.sources.activation_file import FIELD
from interlingua.sources.files import TABLES, check_unchanged, files_of, rows_of
from interlingua.sources.teachers.explanation_file import id_of, position_of
from interlingua.sources.vector_file import Vectors
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import Split
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.store.rows.splits import ID_DTYPE

BATCH_ROWS = 1024
NUMBER, DIGEST = np.dtype("<i8"), np.dtype("S16")  # of a text: by what it is found

Passages = Callable[[], Iterable[Passage]]  # the same ones every time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JoinedRows:
    """Rows of a file, ascending, with the keys of what they are of."""

    numbers_N: NDArray[np.int64]
    passage_ids_N: NDArray[np.bytes_]
    positions_N: NDArray[np.int32]
    counts: Mapping[str, int]

    def part(self, start: int, stop: int) -> "JoinedRows":
        """The rows from one place to another; without counts."""
        return self._at(slice(start, stop))

    def some(self, count: int) -> "JoinedRows":
        """The first row of each of so many passages; without counts."""
        if not count:
            return self._at(slice(0))
        # Ids are hashes of texts: the least of them are as good as drawn.
        _, first = np.unique(self.passage_ids_N, return_index=True)
        return self._at(np.sort(first[:count]))

    def _at(self, places: slice | NDArray[np.intp]) -> "JoinedRows":
        return JoinedRows(
            numbers_N=self.numbers_N[places],
            passage_ids_N=self.passage_ids_N[places],
            positions_N=self.positions_N[places],
            counts={},
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """The passages of some splits, ascending by what their rows are found by."""

    keys_P: NDArray[Any]
    ids_P: NDArray[np.bytes_]
    ranks_P: NDArray[np.uint8]  # the place of its split in `splits`
    splits: tuple[Split, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Rows of the file, ascending, with the place of their passage among those that are wanted."""

    numbers_N: NDArray[np.int64]
    places_N: NDArray[np.int64]
    positions_N: NDArray[np.int32]


def joined(
    spec: ActivationFile,
    vectors: Vectors,
    passages: Passages,
    splits: tuple[Split, ...],
    *,
    num_texts: int | None,
) -> JoinedRows:
    """The rows of the passages of some splits; raises where a split has none.

    `num_texts` is how many texts the corpus has, those that became no passage among them.
    """
    if spec.index is not None:
        wanted = _wanted(spec, passages, splits, _digest_of, DIGEST)
        return _joined(wanted, _by_index(spec, vectors, passages, wanted), vectors)
    if num_texts is not None and num_texts != vectors.num_rows:
        raise ValueError(
            f"{vectors.where} has {vectors.num_rows} vectors, the corpus {num_texts} texts: vector "
            f"i is of text i. Name in {FIELD}.index a file that says which text a vector is of"
        )
    wanted = _wanted(spec, passages, splits, partial(_number_of, vectors), NUMBER)
    num_passages = len(wanted.keys_P)
    positions_P = np.full(num_passages, POOLED_POSITION, np.int32)
    return _joined(wanted, _Found(wanted.keys_P, np.arange(num_passages), positions_P), vectors)


def _wanted(
    spec: ActivationFile,
    passages: Passages,
    splits: tuple[Split, ...],
    key_of: Callable[[str], bytes],
    kind: np.dtype[Any],
) -> _Wanted:
    keys, ids, ranks = bytearray(), bytearray(), bytearray()
    for passage in passages():
        keys += key_of(passage.row_id)
        ids += passage.passage_id.encode()
        ranks.append(splits.index(passage.split))
    for split, num_passages in zip(splits, _by_split(ranks, splits), strict=True):
        if not num_passages:
            raise ValueError(f"split {split} has no passage; give it a share in passages.split")
    keys_P, ids_P = np.frombuffer(keys, kind), np.frombuffer(ids, ID_DTYPE)
    by_key = np.argsort(keys_P, kind="stable")
    wanted = _Wanted(keys_P[by_key], ids_P[by_key], np.frombuffer(ranks, np.uint8)[by_key], splits)
    same = np.flatnonzero(wanted.keys_P[1:] == wanted.keys_P[:-1])
    if len(same):
        one, other = wanted.ids_P[same[0] : same[0] + 2].astype(str).tolist()
        row_id = next(found.row_id for found in passages() if found.passage_id == other)
        raise ValueError(
            f"two texts have the id {row_id!r} (passages {one} and {other}), so that a vector of "
            f"{spec.path} may be of either: give every text an id of its own"
        )
    return wanted


def _number_of(vectors: Vectors, row_id: str) -> bytes:
    """The number of a text, as it is where vector i is of text i."""
    if not (row_id.isascii() and row_id.isdecimal()):
        raise ValueError(
            f"a text has the id {row_id!r}, which is no number, and vector i is of text i: "
            f"name in {FIELD}.index a file that says which text a vector is of"
        )
    if int(row_id) >= vectors.num_rows:
        raise ValueError(
            f"{vectors.where} has {vectors.num_rows} vectors and none of text {row_id}: name "
            f"in {FIELD}.index a file that says which text a vector is of"
        )
    return int(row_id).to_bytes(NUMBER.itemsize, "little")


def _digest_of(row_id: str) -> bytes:
    # Names may be long. Of 128 bits, no two are equal among as many as a disk can hold.
    return hashlib.blake2b(row_id.encode(), digest_size=DIGEST.itemsize).digest()


def _by_index(
    spec: ActivationFile, vectors: Vectors, passages: Passages, wanted: _Wanted
) -> _Found:
    """Vector i is of the text that row i of the index names."""
    parts, other, num_rows = [], "", 0
    rows = _index_rows(spec)
    while batch := list(islice(rows, BATCH_ROWS)):
        keys_B = np.array([_digest_of(row_id) for _, row_id, _ in batch], DIGEST)
        places_B = np.searchsorted(wanted.keys_P[:-1], keys_B)  # the last: of all that are greater
        is_wanted_B = wanted.keys_P[places_B] == keys_B
        if not other and not is_wanted_B.all():
            other = batch[int(np.argmin(is_wanted_B))][1]
        mine = np.flatnonzero(is_wanted_B)
        positions_B = np.array([position for _, _, position in batch], np.int32)
        parts.append((num_rows + mine, places_B[mine], positions_B[mine]))
        num_rows += len(batch)
    if num_rows != vectors.num_rows:
        raise ValueError(
            f"{spec.index} has {num_rows} rows, {vectors.where} {vectors.num_rows} vectors: row "
            "i of the index says what vector i is of; name the index of these vectors"
        )
    found = _Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if not len(found.numbers_N):
        some = next(iter(passages())).row_id
        raise ValueError(
            f"none of the {num_rows} rows of {spec.index} is of the "
            f"{len(wanted.keys_P)} passages of {', '.join(wanted.splits)}: a row has "
            f"{spec.id_field} {other!r}, a passage the id {some!r}. Name in {FIELD}.id_field what "
            "the corpus names in its id_field"
        )
    _check_once(spec, found)
    return found


def _check_once(spec: ActivationFile, found: _Found) -> None:
    """Raise where two rows are of one passage and position."""
    # lexsort's last key is the first to sort by: of one passage and position, rows in their order.
    order = np.lexsort((found.numbers_N, found.positions_N, found.places_N))
    is_again = np.diff(found.places_N[order]) == 0
    is_again &= np.diff(found.positions_N[order]) == 0
    again = np.flatnonzero(is_again)
    if not len(again):
        return
    numbers_N = found.numbers_N[order]
    first = again[np.argmin(numbers_N[again + 1])]
    before, number = numbers_N[first : first + 2].tolist()
    where, row_id, position = next(islice(_index_rows(spec), number, None))
    at = "" if position == POOLED_POSITION else f" at position {position}"
    raise ValueError(
        f"{where}: vectors {before} and {number} are both of {spec.id_field} {row_id!r}{at}; "
        "leave one of them out of the file and of its index"
    )


def _index_rows(spec: ActivationFile) -> Iterator[tuple[str, str, int]]:
    """Where a row of the index stands, the id in it, and its position."""
    assert spec.index is not None
    files = files_of(spec.index, TABLES, field=f"{FIELD}.index")
    check_unchanged(files, spec.index_sha256, field=f"{FIELD}.index")
    fields = {spec.id_field: "id_field"}
    if spec.position_field is not None:
        fields[spec.position_field] = "position_field"
    for path in files:
        for row in rows_of(path, fields):
            position = POOLED_POSITION
            if spec.position_field is not None:
                position = position_of(row, spec.position_field)
                if position == POOLED_POSITION:
                    raise ValueError(
                        f"{row.where}: {spec.position_field} is -1, the whole passage, but "
                        "activations are read at tokens, which count from 0"
                    )
            yield row.where, id_of(row, spec.id_field), position


def _joined(wanted: _Wanted, found: _Found, vectors: Vectors) -> JoinedRows:
    num_passages = len(wanted.keys_P)
    has_rows_P = np.zeros(num_passages, np.bool_)
    has_rows_P[found.places_N] = True
    by_split = _by_split(wanted.ranks_P[has_rows_P], wanted.splits)
    for split, num_with_rows in zip(wanted.splits, by_split, strict=True):
        if not num_with_rows:
            raise ValueError(
                f"split {split} came out empty: no vector is of its passages. Bring vectors of "
                "more texts, or give it a larger share in passages.split"
            )
    return JoinedRows(
        numbers_N=found.numbers_N,
        passage_ids_N=wanted.ids_P[found.places_N],
        positions_N=found.positions_N,
        counts={
            "num_passages": num_passages,
            "num_without_rows": num_passages - sum(by_split),
            "num_of_other_rows": vectors.num_rows - len(found.numbers_N),
        },
    )


def _by_split(ranks: Any, splits: tuple[Split, ...]) -> list[int]:
    """How many passages every split has."""
    return np.bincount(np.frombuffer(ranks, np.uint8), minlength=len(splits)).tolist()
