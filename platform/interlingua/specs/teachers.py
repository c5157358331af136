"""Specs of teachers: whose explanations of activations a model learns from. Knows no text.

As with corpora, a type names the module that opens it (`made_by`).
"""

from dataclasses import dataclass
from typing import ClassVar

from interlingua.specs.checks import check_not_negative, check_positive, check_sha256
from interlingua.specs.world import WorldTeacher


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractiveTeacher:
    """Explanations without a model that explains: words taken from the text, by rule.

    The last `words_around` words of what was read, the `salient_words` of the passage that are rare
    in the corpus, and, with `next_tokens`, what the anchor itself would say next.
    """

    words_around: int = 8
    salient_words: int = 8
    next_tokens: int = 0
    seed: int = 0  # of the wordings, which differ from sample to sample
    made_by: ClassVar[str] = "interlingua.sources.extractive"

    def __post_init__(self) -> None:
        check_positive(self, words_around=self.words_around, salient_words=self.salient_words)
        check_not_negative(self, next_tokens=self.next_tokens, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationFile:
    """Explanations that are there already: JSON lines or parquet, several of an activation.

    A row is joined to its passage by `id_field`, which is the `id_field` of the texts, or, where it
    is None, by the text of the passage in `passage_field`. `teacher_field` names who wrote a row;
    None: all are of `teacher`.
    """

    path: str
    sha256: str | None = None
    text_field: str = "explanation"
    id_field: str | None = "id"
    passage_field: str = "text"
    position_field: str | None = None  # of rows at tokens
    teacher_field: str | None = None
    teacher: str = "file"
    made_by: ClassVar[str] = "interlingua.sources.explanation_file"

    def __post_init__(self) -> None:
        check_sha256(self, sha256=self.sha256)


TeacherSpec = WorldTeacher | ExtractiveTeacher | ExplanationFile
