"""Activations that were read elsewhere, joined to passages by number or by an index.

Holds keys, never vectors. Knows no host. N rows, D width.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.sources.explanation_file import id_of, position_of
from interlingua.sources.files import TABLES, check_unchanged, files_of, kind_of, rows_of
from interlingua.sources.vector_file import SUFFIXES, Vectors, opened_vectors
from interlingua.specs.extraction import Reading, Spans, TokenPositions
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import Split
from interlingua.store.contract.file import read_sidecar, sidecar_path
from interlingua.store.contract.statement import DatasetSidecar
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import ID_DTYPE, POOLED_POSITION

FIELD = "ActivationFile"
BLOCK_COLUMN = "activation_layer"  # of the public layout


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
    """What the passages of some splits are joined by."""

    passage_of: Mapping[str, str]  # by the id of its source
    split_of: Mapping[str, Split]  # by passage
    splits: tuple[Split, ...]


def opened(spec: ActivationFile, block_index: int) -> Vectors:
    """The vectors of a file: the one that was pinned, and of this block where it says of which."""
    files = files_of(spec.path, SUFFIXES, field=f"{FIELD}.path")
    check_unchanged(files, spec.sha256, field=f"{FIELD}.path")
    vectors = opened_vectors(files, spec.tensor)
    if not vectors.num_rows or not vectors.width:
        raise ValueError(f"{vectors.where} has no vector; name a file that has some")
    for path in files:
        _check_sidecar(path, block_index, vectors.width)
        _check_block_column(path, block_index)
    return vectors


def check_reading(spec: ActivationFile, read: Reading) -> None:
    """Raise where it cannot be known what a vector is of."""
    if isinstance(read, Spans):
        raise ValueError(
            f"{FIELD}.path is {spec.path}, but activations are read of sentences, which the recipe "
            "chooses itself: bring vectors of whole passages (read=pooled, read=last_token) or at "
            "tokens (read=token_positions)"
        )
    if isinstance(read, TokenPositions):
        if spec.index is None or spec.position_field is None:
            missing = "index" if spec.index is None else "position_field"
            raise ValueError(
                f"{FIELD}.{missing} is none, but activations are read at tokens: name a file of a "
                "row a vector, and the field that says at which token it was read"
            )
    elif spec.position_field is not None:
        raise ValueError(
            f"{FIELD}.position_field is {spec.position_field!r}, but one activation a passage is "
            "read: set it to none, or read=token_positions"
        )


def joined(
    spec: ActivationFile,
    vectors: Vectors,
    passages: Iterable[Passage],
    splits: tuple[Split, ...],
    *,
    num_texts: int | None,
) -> JoinedRows:
    """The rows of the passages of some splits; raises where a split has none.

    `num_texts` is how many texts the corpus has, those that became no passage among them.
    """
    wanted = _wanted(spec, passages, splits)
    if spec.index is None:
        return _by_number(vectors, wanted, num_texts)
    return _by_index(spec, vectors, wanted)


@dataclass(slots=True)
class BadRows:
    """The first row that is no activation, and how many there are, by what is wrong."""

    first: int | None = None
    num_not_finite: int = 0
    num_zero: int = 0

    def note(self, numbers_N: NDArray[np.int64], vectors_ND: NDArray[np.float32]) -> bool:
        """Whether one of these is bad; all of them are counted."""
        is_finite_N = np.isfinite(vectors_ND).all(axis=1)
        is_zero_N = ~vectors_ND.any(axis=1)
        self.num_not_finite += int((~is_finite_N).sum())
        self.num_zero += int(is_zero_N.sum())
        bad = np.flatnonzero(~is_finite_N | is_zero_N)
        if len(bad) and self.first is None:
            self.first = int(numbers_N[bad[0]])
        return len(bad) > 0

    def check(self, where: str) -> None:
        """Raise where one was noted."""
        if self.first is not None:
            raise ValueError(
                f"{where}: {self.num_not_finite} rows hold NaN, infinite or missing numbers, "
                f"{self.num_zero} are zero; the first is row {self.first}. Read them again in a "
                "wider dtype, or leave them out of the file and of its index"
            )


def _wanted(
    spec: ActivationFile, passages: Iterable[Passage], splits: tuple[Split, ...]
) -> _Wanted:
    passage_of: dict[str, str] = {}
    split_of: dict[str, Split] = {}
    for passage in passages:
        before = passage_of.setdefault(passage.row_id, passage.passage_id)
        if before != passage.passage_id:
            raise ValueError(
                f"two texts have the id {passage.row_id!r} (passages {before} and "
                f"{passage.passage_id}), so that a vector of {spec.path} may be of either: give "
                "every text an id of its own"
            )
        split_of[passage.passage_id] = passage.split
    there = set(split_of.values())
    for split in splits:
        if split not in there:
            raise ValueError(f"split {split} has no passage; give it a share in passages.split")
    return _Wanted(passage_of, split_of, splits)


def _by_number(vectors: Vectors, wanted: _Wanted, num_texts: int | None) -> JoinedRows:
    """Vector i is of the text with the number i."""
    if num_texts is not None and num_texts != vectors.num_rows:
        raise ValueError(
            f"{vectors.where} has {vectors.num_rows} vectors, the corpus {num_texts} texts: vector "
            f"i is of text i. Name in {FIELD}.index a file that says which text a vector is of"
        )
    pairs = []
    for row_id, passage in wanted.passage_of.items():
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
        pairs.append((int(row_id), passage, POOLED_POSITION))
    return _sorted_rows(pairs, wanted, num_other=vectors.num_rows - len(pairs))


def _by_index(spec: ActivationFile, vectors: Vectors, wanted: _Wanted) -> JoinedRows:
    """Vector i is of the text that row i of the index names."""
    number_of: dict[tuple[str, int], int] = {}
    other, number = "", -1
    for number, (where, row_id, position) in enumerate(_index_rows(spec)):
        passage = wanted.passage_of.get(row_id)
        if passage is None:
            other = other or row_id
        elif (before := number_of.setdefault((passage, position), number)) != number:
            at = "" if position == POOLED_POSITION else f" at position {position}"
            raise ValueError(
                f"{where}: vectors {before} and {number} are both of {spec.id_field} "
                f"{row_id!r}{at}; leave one of them out of the file and of its index"
            )
    if number + 1 != vectors.num_rows:
        raise ValueError(
            f"{spec.index} has {number + 1} rows, {vectors.where} {vectors.num_rows} vectors: row "
            "i of the index says what vector i is of"
        )
    if not number_of:
        some = next(iter(wanted.passage_of))
        raise ValueError(
            f"none of the {vectors.num_rows} rows of {spec.index} is of the "
            f"{len(wanted.passage_of)} passages of {', '.join(wanted.splits)}: a row has "
            f"{spec.id_field} {other!r}, a passage the id {some!r}. Name in {FIELD}.id_field what "
            "the corpus names in its id_field"
        )
    pairs = [(number, *key) for key, number in number_of.items()]
    return _sorted_rows(pairs, wanted, num_other=vectors.num_rows - len(pairs))


def _index_rows(spec: ActivationFile) -> Iterator[tuple[str, str, int]]:
    """Where a row of the index stands, the id in it, and its position."""
    assert spec.index is not None
    files = files_of(spec.index, TABLES, field=f"{FIELD}.index")
    check_unchanged(files, spec.index_sha256, field=f"{FIELD}.index")
    fields = [spec.id_field, *([] if spec.position_field is None else [spec.position_field])]
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


def _sorted_rows(
    rows: list[tuple[int, str, int]], wanted: _Wanted, *, num_other: int
) -> JoinedRows:
    rows.sort()
    with_rows = {passage for _, passage, _ in rows}
    by_split = Counter(wanted.split_of[passage] for passage in with_rows)
    for split in wanted.splits:
        if not by_split[split]:
            raise ValueError(
                f"split {split} came out empty: no vector is of its passages. Bring vectors of "
                "more texts, or give it a larger share in passages.split"
            )
    return JoinedRows(
        numbers_N=np.array([number for number, _, _ in rows], np.int64),
        passage_ids_N=np.array([passage for _, passage, _ in rows], ID_DTYPE),
        positions_N=np.array([position for _, _, position in rows], np.int32),
        counts={
            "num_passages": len(wanted.split_of),
            "num_without_rows": len(wanted.split_of) - len(with_rows),
            "num_of_other_rows": num_other,
        },
    )


def _check_sidecar(path: Path, block_index: int, width: int) -> None:
    """Raise where a file says itself that it is of another block, or of another width."""
    where = sidecar_path(path)
    if not where.exists():
        return
    sidecar = read_sidecar(path)
    if not isinstance(sidecar, DatasetSidecar):
        raise ValueError(f"{where} is of a model; beside {path} it must be of a data set")
    if sidecar.block_index not in (None, block_index):
        raise _of_another_block(f"{where} says", str(sidecar.block_index), block_index)
    if sidecar.d_model not in (None, width):
        raise ValueError(
            f"{where} says that vectors are {sidecar.d_model} wide, those of {path} are {width}: "
            "one of the two is of another file"
        )


def _check_block_column(path: Path, block_index: int) -> None:
    if kind_of(path) != ".parquet" or BLOCK_COLUMN not in pq.read_schema(path).names:
        return
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[BLOCK_COLUMN]):
            others = [one for one in batch.column(0).unique().to_pylist() if one != block_index]
            if others:
                raise _of_another_block(f"{path}: {BLOCK_COLUMN} is", str(others[0]), block_index)


def _of_another_block(says: str, found: str, block_index: int) -> ValueError:
    return ValueError(
        f"{says} block {found}, the recipe reads block {block_index}: set hosts.TAG.block, which "
        "counts blocks from 0, so that hidden_states[K+1] is block K"
    )
