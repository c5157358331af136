"""Texts that an AV made of activations, and the vectors that an AR rebuilt from them.

One parquet file a block in a folder. Knows no model; a text that could not be parsed has no
explanation and a vector of NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import REMEDY, read_parquet
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess

VERBALIZED = "verbalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbalized:
    """One sample of one activation."""

    passage_id: str
    position: int
    split: Split
    predictor: Predictor
    sample: int
    text: str  # as generated
    explanation: str | None
    num_tokens: int
    log_prob: float  # of the sampled ids together


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """Rows of one predictor: their texts, and a_NE, NaN where there was no explanation."""

    keys: list[Key]
    rows: list[Verbalized]
    a_NE: np.ndarray


def block_path(folder: Path, index: int) -> Path:
    """The path of the block with this index."""
    return folder / VERBALIZED / f"{index:06d}.parquet"


def write_block(path: Path, rows: Sequence[Verbalized], a_NE: np.ndarray) -> None:
    """Store a block in one file that appears when it is whole."""
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(row, name) for row in rows])
        for name in ("passage_id", "position", "sample", "num_tokens", "log_prob", "predictor")
    }
    columns["split"] = pa.array([row.split.value for row in rows])
    for name in ("text", "explanation"):
        columns[name] = pa.array([getattr(row, name) for row in rows], pa.string())
    flat = pa.array(a_NE.astype(np.float32).reshape(-1))
    columns["a"] = pa.FixedSizeListArray.from_arrays(flat, a_NE.shape[1])
    with write_atomically(path) as file:
        pq.write_table(pa.table(columns), file)


def read_verbalized(
    folder: Path, split: Split, predictor: Predictor, access: SplitAccess
) -> Rebuilt:
    """All rows of a split and predictor, each passage noted as consumed."""
    # Before a file is opened: a split that may not be read is not even looked for.
    access.permit([split])
    paths = sorted((folder / VERBALIZED).glob("*.parquet"))
    if not paths:
        raise ValueError(f"{folder / VERBALIZED} holds no block of texts; {REMEDY}")
    table = pa.concat_tables([read_parquet(path) for path in paths])
    is_asked = pc.and_(
        pc.equal(table["split"], split.value), pc.equal(table["predictor"], predictor.value)
    )
    table = table.filter(is_asked)
    vectors = table["a"].combine_chunks()
    shape = len(vectors), vectors.type.list_size  # not -1: a predictor may have no row
    a_NE = vectors.flatten().to_numpy(zero_copy_only=False).reshape(shape)
    columns = table.drop_columns(["a"]).to_pylist()
    rows = [
        Verbalized(**{**row, "split": Split(row["split"]), "predictor": predictor})
        for row in columns
    ]
    for row in rows:
        access.consume(row.passage_id, split)
    return Rebuilt([(row.passage_id, row.position) for row in rows], rows, a_NE)
