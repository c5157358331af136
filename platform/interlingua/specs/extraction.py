"""Specs of reading a host: its blocks, its tokens, its passages. Knows no model."""

from dataclasses import dataclass
from typing import Literal

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_slug,
)
from interlingua.specs.hosts import DTYPES
from interlingua.specs.splits import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One row a passage: the fp32 mean over its tokens.

    The first token is an attention sink that carries a huge constant vector; including it
    reproduces earlier systems.
    """

    include_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LastToken:
    """One row a passage: its last token, as of a rendered chat or a prefix of a document.

    A passage that was cut has no such row, and is counted.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPositions:
    """Up to `per_passage` rows a passage: positions drawn by a generator keyed by passage.

    `keyed_by` document draws as the public release does, by the name of the document: then a
    document is one passage.
    """

    per_passage: int
    min_position: int  # from 0
    seed: int
    keyed_by: Literal["passage", "document"] = "passage"

    def __post_init__(self) -> None:
        check_positive(self, per_passage=self.per_passage)
        check_not_negative(self, min_position=self.min_position, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Up to `per_passage` rows a passage: the fp32 mean over the tokens of one sentence each.

    Sentences are drawn by a generator keyed by passage. The key of a row has the character at
    which its sentence begins: the same for every tokenizer, so that hosts can be joined.
    """

    per_passage: int
    min_sentence: int  # from 0; before it there is too little to read, and the attention sink
    seed: int

    def __post_init__(self) -> None:
        check_positive(self, per_passage=self.per_passage)
        check_not_negative(self, min_sentence=self.min_sentence, seed=self.seed)


Reading = Pooled | LastToken | TokenPositions | Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSpec:
    """Rows of one host: the outputs of some blocks for the passages of some splits."""

    host_tag: str
    block_indices: tuple[int, ...]  # all in one pass: deeper ones cost no second forward
    read: Reading
    max_tokens: int  # of a passage; what was cut is counted
    dtype: str  # of the forward; rows are stored in fp32
    splits: tuple[Split, ...]
    adds_special_tokens: bool = True  # False: a rendered chat has its own, as text

    def __post_init__(self) -> None:
        check_slug(self, host_tag=self.host_tag)
        check_positive(self, max_tokens=self.max_tokens)
        check_one_of(self, DTYPES, dtype=self.dtype)
        for split in self.splits:
            check_one_of(self, Split, splits=split)
        if not self.splits:
            raise ValueError("ExtractSpec.splits is empty; name at least one split")
        if not self.block_indices or sorted(set(self.block_indices)) != list(self.block_indices):
            raise ValueError(
                f"ExtractSpec.block_indices is {self.block_indices}; "
                "name at least one block, ascending and once each"
            )
        check_not_negative(self, block_indices=self.block_indices[0])
