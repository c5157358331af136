"""The rows of one evaluation in memory, in the order in which they are stored. Knows no request.

N rows. An activation is that of one host at one place of a passage. What is needed for every
answer is made once, when the evaluation is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlingua.serving.explorer.columns import NONE, Names, Texts
from interlingua.serving.explorer.facts import Facts
from interlingua.store.integrity import CorruptFile
from interlingua.store.rows.scored import evaluated_table, scored_table

Order = Literal["worst", "best", "passage", "longest", "most_false"]
# What a row shows as it is stored.
SHOWN = (
    "role", "document_id", "position", "span_end", "sample", "text", "explanation", "is_failed",
    "num_tokens", "log_prob", "nmse", "cos", "rank", "num_rivals",
)  # fmt: skip
FEW = ("role", "document_id")  # strings of which many rows have the same


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passages:
    """The passages of an evaluation in the order of their ids, which are hashes."""

    ids: tuple[str, ...]
    texts: Texts  # of every row
    facts: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowTable:
    """All rows of an evaluation; an order is all of their numbers."""

    shown: pa.Table
    hosts: Names
    predictors: Names
    passages: Passages
    explanations: Texts  # of a row that failed what was written instead
    facts: Facts
    activation_N: np.ndarray
    position_N: np.ndarray
    sample_N: np.ndarray
    is_failed_N: np.ndarray
    fve_N: np.ndarray
    orders: Mapping[Order, np.ndarray]

    def __len__(self) -> int:
        return len(self.fve_N)

    @classmethod
    def read(cls, folder: Path) -> "RowTable":
        """The rows in the folder of an evaluation."""
        return cls.of(scored_table(folder), evaluated_table(folder))

    @classmethod
    def of(cls, rows: pa.Table, evaluated: pa.Table) -> "RowTable":
        """The rows as they are stored, with the passages that they are about."""
        hosts, predictors = Names.of(rows["host"]), Names.of(rows["predictor"])
        passages = _passages(rows["passage_id"], evaluated)
        position_N, sample_N = _ints(rows["position"]), _ints(rows["sample"])
        place_3N = np.stack([hosts.code_N, passages.texts.code_N, position_N])
        activation_N = np.unique(place_3N, axis=1, return_inverse=True)[1].ravel()
        explanations = Texts.of(pc.coalesce(rows["explanation"], rows["text"]))
        facts, fve_N = Facts.of(rows, activation_N), _fve(rows, hosts, predictors)
        placed_N = np.lexsort((sample_N, position_N, passages.texts.code_N))
        return cls(
            shown=_shown(rows),
            hosts=hosts,
            predictors=predictors,
            passages=passages,
            explanations=explanations,
            facts=facts,
            activation_N=activation_N,
            position_N=position_N,
            sample_N=sample_N,
            is_failed_N=rows["is_failed"].to_numpy(),
            fve_N=fve_N,
            orders={
                "worst": _ordered(fve_N, placed_N),
                "best": _ordered(-fve_N, placed_N),
                "passage": placed_N,
                "longest": _ordered(-explanations.num_chars(), placed_N),
                "most_false": _ordered(-facts.num_false_N, placed_N),
            },
        )


def _ordered(key_N: np.ndarray, placed_N: np.ndarray) -> np.ndarray:
    """The rows by a key; what is equal stays in the order of places, and NaN comes last."""
    return placed_N[np.argsort(key_N[placed_N], kind="stable")]


def _ints(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column, NONE).to_numpy()


def _passages(passage_ids: pa.ChunkedArray, evaluated: pa.Table) -> Passages:
    """In the order of their ids, so that the code of a passage is its place in that order."""
    table = evaluated.sort_by("passage_id").combine_chunks()
    ids = table["passage_id"].combine_chunks()
    code_N = pc.index_in(passage_ids, value_set=ids)
    if code_N.null_count:
        raise CorruptFile("rows are of passages that the evaluation lacks; evaluate again")
    return Passages(
        ids=tuple(ids.to_pylist()),
        texts=Texts.coded(
            table["text"].combine_chunks().cast(pa.large_string()),
            code_N.to_numpy().astype(np.int32),
        ),
        facts=tuple(dict(facts) for facts in table["facts"].to_pylist()),
    )


def _fve(rows: pa.Table, hosts: Names, predictors: Names) -> np.ndarray:
    """[N]: 1 - NMSE / the mean own variance of all rows of the host and predictor; NaN: none."""
    # One denominator for all rows of both, as in report/tables/row_scores.py: their mean is an FVE.
    group_N = hosts.code_N.astype(np.int64) * len(predictors.names) + predictors.code_N
    variance_N, nmse_N = rows["own_variance"].to_numpy(), rows["nmse"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_G = np.bincount(group_N, variance_N) / np.bincount(group_N)
        fve_N = 1 - nmse_N / mean_G[group_N]
    return np.where(np.isfinite(fve_N), fve_N, np.nan)


def _shown(rows: pa.Table) -> pa.Table:
    table = rows.select(SHOWN).combine_chunks()
    for name in FEW:
        table = table.set_column(SHOWN.index(name), name, table[name].dictionary_encode())
    return table
