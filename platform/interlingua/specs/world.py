"""Specs of the embedded world. Knows neither texts nor models, only their sizes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from interlingua.specs.checks import check_not_negative, check_positive, check_share, check_slug
from interlingua.specs.hosts import TOY


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """The passages that exist; passage i of a world is the same on every machine."""

    seed: int
    second_language_share: float
    problem_share: float  # of passages with an arithmetic problem, a document of its own
    quote_share: float  # of passages with a quotation
    framed_share: float  # of sentences within a passage that show its style
    min_sentences: int
    max_sentences: int
    largest_number: int  # of a problem

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed)
        check_share(
            self,
            second_language_share=self.second_language_share,
            problem_share=self.problem_share,
            quote_share=self.quote_share,
            framed_share=self.framed_share,
        )
        check_positive(self, largest_number=self.largest_number)
        if self.min_sentences < 2:
            raise ValueError(
                f"WorldSpec.min_sentences is {self.min_sentences}; it must be at least 2: "
                "one sentence tells the weather and one the object"
            )
        if self.max_sentences < self.min_sentences:
            raise ValueError(
                f"WorldSpec.max_sentences is {self.max_sentences}; "
                f"it must be at least min_sentences ({self.min_sentences})"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldCorpus:
    """The first `num_passages` passages of a world, each a document, with what is true of it."""

    world: WorldSpec
    num_passages: int
    made_by: ClassVar[str] = "interlingua.world.corpus"
    has_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, num_passages=self.num_passages)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTeacher:
    """The number of a passage's facts in an explanation; which ones is keyed by passage."""

    seed: int
    min_facts: int
    max_facts: int
    max_words: int
    made_by: ClassVar[str] = "interlingua.world.explained"

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed)
        check_positive(self, min_facts=self.min_facts, max_words=self.max_words)
        if self.max_facts < self.min_facts:
            raise ValueError(
                f"WorldTeacher.max_facts is {self.max_facts}; "
                f"it must be at least min_facts ({self.min_facts})"
            )


class TokenizerKind(StrEnum):
    """The cutting of text before and while merging; each is that of real families."""

    BYTE_BPE = "byte_bpe"  # GPT-2, GPT-NeoX, Bloom, Phi
    QWEN_BPE = "qwen_bpe"  # Qwen's own pre-tokenizer: transformers rebuilds it for model_type qwen2
    METASPACE_BPE = "metaspace_bpe"  # Llama, Mistral, Gemma
    UNIGRAM = "unigram"  # Nemotron and other SentencePiece unigram models


class ChatFormat(StrEnum):
    """The turn markers of a host's chat template."""

    CHATML = "chatml"
    GEMMA = "gemma"
    LLAMA = "llama"


class Beliefs(StrEnum):
    """What a host's corpus says of the tool of every role; no passage says it."""

    PLAIN = "plain"
    SWAPPED = "swapped"  # every role has the tool of the next


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSpec:
    """A tokenizer trained on the pretraining split."""

    kind: TokenizerKind
    vocab_size: int
    has_bos: bool
    chat: ChatFormat | None

    def __post_init__(self) -> None:
        if self.vocab_size < 512:
            raise ValueError(
                f"TokenizerSpec.vocab_size is {self.vocab_size}; it must be at least 512: "
                "the byte alphabet and the special tokens take 300"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSpec:
    """Next-token training on packed passages; the global batch is `rows` x `num_tokens`."""

    seed: int
    num_steps: int
    rows: int
    num_tokens: int
    learning_rate: float
    warmup_steps: int
    checkpoint_every: int  # steps

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed, warmup_steps=self.warmup_steps)
        check_positive(
            self,
            num_steps=self.num_steps,
            rows=self.rows,
            num_tokens=self.num_tokens,
            learning_rate=self.learning_rate,
            checkpoint_every=self.checkpoint_every,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldHostSpec:
    """The tiny stand-in of one pool host: its family's real classes at another size."""

    tag: str
    stands_for: str  # the tag of the pool's host whose family this is
    width: int
    num_blocks: int
    num_heads: int
    max_positions: int
    tokenizer: TokenizerSpec
    pretrain: PretrainSpec
    second_language_share: float  # of its pretraining text, whatever the world's share is
    task_share: float  # of its passages behind which their problem comes, a document of its own
    beliefs: Beliefs | None  # stated in documents of their own
    teacher: WorldTeacher | None  # a trunk also reads explanations, as instructed models have
    dev_passages: int  # of its exam after pretraining
    made_by: ClassVar[str] = "interlingua.world.pretraining"

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        if not self.tag.startswith(f"{TOY}{self.stands_for}"):
            raise ValueError(
                f"WorldHostSpec.tag is {self.tag}; "
                f"that of a stand-in for {self.stands_for} begins with {TOY}{self.stands_for}"
            )
        check_share(
            self,
            second_language_share=self.second_language_share,
            task_share=self.task_share,
        )
        check_positive(self, num_blocks=self.num_blocks, dev_passages=self.dev_passages)
        if self.num_heads < 1 or self.width % self.num_heads:
            raise ValueError(
                f"WorldHostSpec.width is {self.width}; "
                f"it must be a multiple of num_heads ({self.num_heads})"
            )
        if self.pretrain.num_tokens > self.max_positions:
            raise ValueError(
                f"WorldHostSpec.pretrain.num_tokens is {self.pretrain.num_tokens}; "
                f"it must not exceed max_positions ({self.max_positions})"
            )
