"""Specs of reading a host: its blocks, its tokens, its passages. Knows no model."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_slug,
)
from interlingua.specs.hosts import DTYPES
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import Split
from interlingua.specs.text.canonical import TYPE_KEY
from interlingua.specs.text.recorded import from_jsonable


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRowsSpec(ExtractSpec):
    """Rows of one block that were read elsewhere, as the rest says, and lie in a file."""

    file: ActivationFile

    def __post_init__(self) -> None:
        # No super(): a dataclass with slots is another class than the one that is written here.
        ExtractSpec.__post_init__(self)
        if len(self.block_indices) != 1:
            raise ValueError(
                f"StoredRowsSpec.block_indices is {self.block_indices}; a file holds one block"
            )

    @property
    def reading(self) -> ExtractSpec:
        """How a host would read them."""
        return ExtractSpec(**{f.name: getattr(self, f.name) for f in fields(ExtractSpec)})


def recorded_reading(recorded: Mapping[str, Any]) -> ExtractSpec:
    """How rows were read, from the spec in the record of their artifact, wherever that was."""
    if recorded[TYPE_KEY] == StoredRowsSpec.__name__:
        return from_jsonable(StoredRowsSpec, recorded).reading
    return from_jsonable(ExtractSpec, recorded)
