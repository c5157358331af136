"""Columns of rows in memory: texts that can be searched, lists of codes. Knows no evaluation.

N rows, U texts of which no two are alike, M entries of all lists together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NONE = -1  # the code of what a row does not have


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Names:
    """A column of few names: each once, in the order in which they come."""

    names: tuple[str, ...]
    code_N: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Names":
        """The names of a column that lacks none."""
        coded = _coded(column)
        return cls(names=tuple(coded.dictionary.to_pylist()), code_N=_codes(coded))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texts:
    """A column of texts, each held once, with the text in which it is searched."""

    known: pa.Array
    lowered: pa.Array
    code_N: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Texts":
        """The texts of a column; null is none."""
        coded = _coded(column)
        return cls.coded(coded.dictionary, _codes(coded))

    @classmethod
    def coded(cls, known: pa.Array, code_N: np.ndarray) -> "Texts":
        """Texts and the code of every row's."""
        return cls(known=known, lowered=pc.utf8_lower(known), code_N=code_N)

    def holding(self, word: str) -> np.ndarray:
        """[N]: whether the row's text has these characters, which are in lower case."""
        has_U = pc.match_substring(self.lowered, word).to_numpy(zero_copy_only=False)
        return np.append(has_U, False)[self.code_N]  # the code of none is the last place

    def num_chars(self) -> np.ndarray:
        """[N]: the length of the row's text; -1 without one."""
        return np.append(pc.utf8_length(self.known).to_numpy(), NONE)[self.code_N]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lists:
    """A column of lists of codes: those of row r are `code_M[bound_N[r]:bound_N[r + 1]]`."""

    code_M: np.ndarray
    bound_N: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, names: pa.Array) -> "Lists":
        """The lists of a column, as codes of `names`; null is an empty one."""
        found_M = pc.index_in(pc.list_flatten(column), value_set=names)
        length_N = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        bound_N = np.concatenate([[0], np.cumsum(length_N)])
        return cls(code_M=found_M.to_numpy().astype(np.int32), bound_N=bound_N)

    def __len__(self) -> int:
        return len(self.bound_N) - 1

    def part(self, row: int) -> slice:
        """Where the entries of a row are."""
        return slice(self.bound_N[row], self.bound_N[row + 1])

    def lengths(self) -> np.ndarray:
        """[N]: how many entries the row's list has."""
        return np.diff(self.bound_N)

    def rows(self) -> np.ndarray:
        """[M]: the row of every entry."""
        return np.repeat(np.arange(len(self)), self.lengths())

    def have(self, code: int) -> np.ndarray:
        """[N]: whether the row's list has the code."""
        return self.num_of(self.code_M == code) > 0

    def num_of(self, is_counted_M: np.ndarray) -> np.ndarray:
        """[N]: how many entries of the row's list are counted."""
        return np.bincount(self.rows()[is_counted_M], minlength=len(self))


def lowered(text: str) -> str:
    """A text in lower case, by the rule that texts are lowered by."""
    return str(pc.utf8_lower(pa.scalar(text)).as_py())


def flat(column: pa.ChunkedArray) -> Iterator[str]:
    """All that lists hold, each once."""
    yield from pc.unique(pc.list_flatten(column)).to_pylist()


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    # Large: the offsets of a column of 32 bits end at 2 GiB of text.
    return column.cast(pa.large_string()).combine_chunks().dictionary_encode()


def _codes(coded: pa.DictionaryArray) -> np.ndarray:
    return pc.fill_null(coded.indices, NONE).to_numpy().astype(np.int32)
