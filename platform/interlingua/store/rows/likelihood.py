"""NLL of the teacher's explanations under an AV: a row a text, summed over its tokens.

One parquet file in a folder: of one host, or of all hosts of an evaluation. Knows no model and no
statistic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet

LIKELIHOOD_NAME = "likelihood.parquet"
SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("passage_id", pa.string()),
        ("document_id", pa.string()),
        ("position", pa.int32()),
        ("sample", pa.int32()),  # of the usable texts of the activation
        ("num_tokens", pa.int32()),
        ("nll_own", pa.float64()),  # under the vector of its own row, in nats
        ("nll_shuffled", pa.float64()),  # under that of a row of another document
        ("nll_zero", pa.float64()),  # under no vector
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Rows of one or of several hosts, by column."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["host"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, is_taken_N: np.ndarray) -> "Likelihood":
        """The rows whose flag is True."""
        return Likelihood({name: column[is_taken_N] for name, column in self.columns.items()})

    def documents(self) -> np.ndarray:
        """The document of every row: the unit in which rows are independent."""
        return self["document_id"].astype(str)


def write_likelihood(folder: Path, rows: Sequence[Mapping[str, Any]] | Likelihood) -> None:
    """Store the rows in one file that appears when it is whole."""
    if isinstance(rows, Likelihood):
        columns = {name: rows[name].tolist() for name in SCHEMA.names}
        table = pa.table(columns, schema=SCHEMA)
    else:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
    with write_atomically(folder / LIKELIHOOD_NAME) as file:
        pq.write_table(table, file)


def read_likelihood(folder: Path) -> Likelihood:
    """All rows of the folder's file."""
    table = read_parquet(folder / LIKELIHOOD_NAME, schema=SCHEMA)
    return Likelihood({name: np.array(table[name].to_pylist()) for name in SCHEMA.names})


def joined_likelihood(parts: Sequence[Likelihood]) -> Likelihood:
    """The rows of several hosts as one."""
    return Likelihood(
        {name: np.concatenate([part[name] for part in parts]) for name in SCHEMA.names}
    )
