"""Specs of corpora: where texts come from, and how documents become passages. Knows no file.

A type names the module that opens it (`made_by`, a module with a function `opened`), so that a
corpus of one's own is a dataclass and a module.
"""

from dataclasses import dataclass
from typing import ClassVar

from interlingua.specs.checks import (
    check_commit,
    check_not_negative,
    check_one_of,
    check_positive,
    check_sha256,
    check_share,
    check_slug,
)
from interlingua.specs.splits import SplitSpec
from interlingua.specs.world import WorldCorpus

# Those that texts can be chosen by, ISO 639-1.
LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "ru", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFiles:
    """Texts of local files, a document each unless `document_field` says which are of one.

    `path` is a file, a folder or a pattern: JSON lines, parquet, plain text (a file is a text),
    lines and text also as .gz. `sha256` None is taken when the recipe is pinned. Documents `first`
    to `first + count`, counted through the files by name.
    """

    path: str
    sha256: str | None = None
    text_field: str = "text"  # a list of messages where passages are rendered chats
    id_field: str | None = None  # by which explanations and activations are joined; None: number
    document_field: str | None = None
    first: int = 0
    count: int | None = None
    made_by: ClassVar[str] = "interlingua.sources.text_files"
    has_truth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sha256(self, sha256=self.sha256)
        _check_slice(self, self.first, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubText:
    """Texts of a dataset of the hub at a commit, read file by file, no further than asked for.

    `revision` None is the commit of its default branch when a recipe is first pinned in a root.
    The document of a row is `name:number`; `name` None is the dataset's. The release calls them
    `corpus:split:number`, and draws positions by that.
    """

    dataset: str
    files: str  # a pattern of names in the dataset: data/train-*.parquet
    revision: str | None = None  # a commit: branches move
    text_field: str = "text"
    id_field: str | None = None
    document_field: str | None = None
    name: str | None = None
    first: int = 0
    count: int | None = None
    made_by: ClassVar[str] = "interlingua.sources.hub_text"
    has_truth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_commit(self, revision=self.revision)
        _check_slice(self, self.first, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePart:
    """One corpus of a mixture; of every hundred documents `share` x 100 are its own."""

    tag: str
    share: float
    corpus: TextFiles | HubText

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        check_share(self, share=self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Corpora mixed by share of documents, in an order that the shares alone decide.

    It ends with the part that ends first, so that the shares hold at any length.
    """

    parts: tuple[MixturePart, ...]
    count: int | None = None  # documents
    made_by: ClassVar[str] = "interlingua.sources.mixture"
    has_truth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_slice(self, 0, self.count)
        tags = [part.tag for part in self.parts]
        if len(set(tags)) < len(tags) or len(tags) < 2:
            raise ValueError(f"Mixture.parts are {', '.join(tags)}; name two or more, once each")
        total = sum(part.share for part in self.parts)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of Mixture.parts sum to {total}; they must sum to 1")


CorpusSpec = WorldCorpus | TextFiles | HubText | Mixture


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """How messages become a text: a Jinja template and its arguments, as a tokenizer has them.

    `arguments` are those of the template by name: ("enable_thinking", False) is Qwen3's switch.
    """

    template: str
    arguments: tuple[tuple[str, bool | int | str], ...] = ()
    add_generation_prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Documents cut at the ends of sentences into passages of at most `most_words` words."""

    most_words: int
    per_document: int | None = None  # the first so many; None: all

    def __post_init__(self) -> None:
        check_positive(self, most_words=self.most_words)
        if self.per_document is not None:
            check_positive(self, per_document=self.per_document)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """Texts of two splits that share more than `most_shared` of their word shingles (MinHash).

    All but those of one split are left out: a model would be evaluated on what it learned from.
    """

    most_shared: float = 0.5
    shingle_words: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_share(self, most_shared=self.most_shared)
        check_positive(self, shingle_words=self.shingle_words)
        check_not_negative(self, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassagesSpec:
    """The passages of a corpus, each in the split of its document.

    In this order: chats are rendered, documents cut, passages of other lengths or languages left
    out, then near-duplicates across splits.
    """

    corpus: CorpusSpec
    split: SplitSpec
    chat: ChatTemplate | None = None
    pieces: Pieces | None = None
    least_words: int = 1
    most_words: int | None = None
    most_characters: int | None = None
    languages: tuple[str, ...] = ()  # of LANGUAGES; empty: any
    near_duplicates: NearDuplicates | None = None

    def __post_init__(self) -> None:
        check_positive(self, least_words=self.least_words)
        if self.most_characters is not None:
            check_positive(self, most_characters=self.most_characters)
        for language in self.languages:
            check_one_of(self, LANGUAGES, languages=language)
        if self.most_words is not None and self.most_words < self.least_words:
            raise ValueError(
                f"PassagesSpec.most_words is {self.most_words}; it must be at least least_words "
                f"({self.least_words})"
            )
        if self.chat is not None and isinstance(self.corpus, WorldCorpus):
            raise ValueError("PassagesSpec.chat renders messages; a world has none: set it to none")


def _check_slice(owner: object, first: int, count: int | None) -> None:
    check_not_negative(owner, first=first)
    if count is not None:
        check_positive(owner, count=count)
