"""Specs of teachers: whose explanations of activations a model learns from. Knows no text.

As with corpora, a type names the module that opens it (`made_by`).
"""

from dataclasses import dataclass
from typing import ClassVar

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_sha256,
    check_share,
    check_slug,
)
from interlingua.specs.hosts import DTYPES
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
    made_by: ClassVar[str] = "interlingua.sources.teachers.extractive"

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
    made_by: ClassVar[str] = "interlingua.sources.teachers.explanation_file"

    def __post_init__(self) -> None:
        check_sha256(self, sha256=self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAnswer:
    """The explanation is all of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedAnswer:
    """The explanation stands between `<tag>` and `</tag>`, in paragraphs without list marks."""

    tag: str
    least_paragraphs: int = 1  # with fewer the answer is malformed

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        check_positive(self, least_paragraphs=self.least_paragraphs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a chat model is asked about a text, and how its answer is read.

    `{text}` in `user` is what was read: the passage, the sentence, or the passage up to the token.
    """

    user: str
    system: str | None = None
    answer: WholeAnswer | TaggedAnswer = WholeAnswer()
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 300

    def __post_init__(self) -> None:
        if self.user.count("{text}") != 1:
            raise ValueError("Prompt.user must have {text} once, where the text goes")
        check_not_negative(self, temperature=self.temperature)
        check_share(self, top_p=self.top_p)
        check_positive(self, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTeacher:
    """A chat model behind an OpenAI-compatible endpoint: `placement.teaching` says where it is."""

    model: str
    prompt: Prompt
    made_by: ClassVar[str] = "interlingua.sources.teachers.chat_teacher"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTeacher:
    """A chat model that runs here: a hub id at a commit, a local folder with its hash, or GGUF."""

    source: str
    prompt: Prompt
    revision: str | None = None  # of a hub id
    files_sha256: str | None = None
    dtype: str = "float32"
    seed: int = 0
    made_by: ClassVar[str] = "interlingua.sources.teachers.local_teacher"

    def __post_init__(self) -> None:
        check_sha256(self, files_sha256=self.files_sha256)
        check_one_of(self, DTYPES, dtype=self.dtype)
        check_not_negative(self, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherPart:
    """One of several teachers; of every hundred passages `share` x 100 are its own."""

    tag: str
    share: float
    teacher: WorldTeacher | ChatTeacher

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        check_share(self, share=self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedTeachers:
    """Several teachers in one corpus, each of some passages: what destroyed a published run."""

    parts: tuple[TeacherPart, ...]
    seed: int = 0  # draws whose passage it is
    made_by: ClassVar[str] = "interlingua.sources.teachers.mixed_teachers"

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed)
        tags = [part.tag for part in self.parts]
        if len(set(tags)) < len(tags) or len(tags) < 2:
            raise ValueError(f"MixedTeachers.parts are {', '.join(tags)}; name two, once each")
        total = sum(part.share for part in self.parts)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of MixedTeachers.parts sum to {total}; they must be 1")


TeacherSpec = (
    WorldTeacher | ExtractiveTeacher | ExplanationFile | ChatTeacher | LocalTeacher | MixedTeachers
)


def names_of(teacher: TeacherSpec) -> tuple[str, ...]:
    """What the teachers in one corpus are called, without fingerprints; nothing where it is one."""
    if not isinstance(teacher, MixedTeachers):
        return ()
    owners = (part.teacher for part in teacher.parts)
    return tuple(one.model if isinstance(one, ChatTeacher) else "world" for one in owners)


def asks_endpoint(teacher: TeacherSpec) -> bool:
    """Whether a teacher asks the endpoint of the placement."""
    if isinstance(teacher, MixedTeachers):
        return any(isinstance(part.teacher, ChatTeacher) for part in teacher.parts)
    return isinstance(teacher, ChatTeacher)
