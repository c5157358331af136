"""What a corpus and a teacher are, whoever made them. Knows none of them.

A spec names the module that makes it (`made_by`); its function `opened(spec)` returns one of these.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlingua.core.spans import Span
from interlingua.core.truth import Assertions
from interlingua.specs.corpora import CorpusSpec, PassagesSpec
from interlingua.specs.splits import Split
from interlingua.specs.teachers import TeacherSpec
from interlingua.specs.text.recorded import from_jsonable
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import Mention, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One text of a corpus as its source has it, before it is a passage.

    `row_id` is what the source calls it, or its number. `document_id` None: the text is a document
    of its own. `where` names file and row for an error.
    """

    row_id: str
    text: str
    where: str
    document_id: str | None = None
    messages: tuple[Message, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    mentions: tuple[Mention, ...] = ()


class Truth(Protocol):
    """What is known to be true of a corpus's passages, and how texts say it."""

    values: Mapping[str, tuple[str, ...]]  # of every kind of fact that an explanation may name
    general: tuple[str, ...]  # kinds that hold of a whole text, and that nearly anything shows
    category: str  # the kind by which passages are grouped

    def of_row(self, passage: Passage, position: int, *, is_span: bool) -> Mapping[str, str]:
        """The facts of a row: those of its passage, or those that its sentence mentions."""

    def of_span(self, passage: Passage, span: Span) -> Mapping[str, str]:
        """The facts that are mentioned within some characters."""

    def asserted(self, text: str) -> Assertions:
        """The facts that a text states."""

    def listed(
        self, kinds: Sequence[str], facts: Mapping[str, str], *, key: Sequence[object], words: int
    ) -> str:
        """A text that states these kinds of facts, in wordings drawn by the key."""


class Corpus(Protocol):
    """The texts of a source, the same ones in the same order every time."""

    truth: Truth | None

    def records(self) -> Iterator[Record]:
        """All texts, one after the other; memory does not grow with them."""

    def shards(self) -> list[dict[str, Any]]:
        """The files that `records` has read, each with its hash; for the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one activation is of: a passage (position -1), a sentence or the text up to a token."""

    position: int
    span: Span | None  # characters; None: the whole passage
    is_token: bool = False  # then the span ends with the token


Explained = tuple[str, str]  # who wrote it, and the text


class Teacher(Protocol):
    """Whoever explains activations; sees texts, and never a vector."""

    prepares_on: tuple[Split, ...]  # besides those that it explains

    def prepare(self, passages: Iterable[Passage]) -> None:
        """See passages of the splits that it prepares on, or explains, once, before the first."""

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """Up to `num_samples` explanations of every site, each with the name of who wrote it."""

    def counts(self) -> Mapping[str, Any]:
        """What was met so far, for the record."""


def corpus_of(spec: CorpusSpec) -> Corpus:
    """The corpus, opened."""
    corpus: Corpus = importlib.import_module(spec.made_by).opened(spec)
    return corpus


def teacher_of(spec: TeacherSpec, **given: Any) -> Teacher:
    """The teacher, ready to be prepared."""
    teacher: Teacher = importlib.import_module(spec.made_by).opened(spec, **given)
    return teacher


def truth_of(passages: Artifact) -> Truth | None:
    """What is known of the passages of an artifact; None of texts that were not made from facts."""
    spec = from_jsonable(PassagesSpec, passages.record.spec)
    # By type, before the corpus is opened: its files may be gone by now.
    return corpus_of(spec.corpus).truth if spec.corpus.has_truth else None


def nameable(truth: Truth, facts: Mapping[str, str]) -> dict[str, str]:
    """Those of the facts that an explanation may name."""
    return {kind: facts[kind] for kind in truth.values if facts.get(kind)}
