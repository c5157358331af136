"""A file of activations that were read elsewhere: opened, and refused where it cannot be used.

Knows no host, and no passages (joined_rows.py). N rows, D width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.sources.files import check_unchanged, files_of, kind_of
from interlingua.sources.vector_file import SUFFIXES, Vectors, opened_vectors
from interlingua.specs.extraction import Reading, Spans, TokenPositions
from interlingua.specs.models import ActivationFile
from interlingua.store.contract.file import read_sidecar, sidecar_path
from interlingua.store.contract.statement import DatasetSidecar

FIELD = "ActivationFile"
BLOCK_COLUMN = "activation_layer"  # of the public layout


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
