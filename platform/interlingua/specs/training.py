"""Specs of the supervised training of both models. Knows no model and no row."""

from dataclasses import dataclass
from enum import StrEnum

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_share,
)
from interlingua.specs.extraction import Spans
from interlingua.specs.hosts import DTYPES
from interlingua.specs.injection import BosRule, Centring, InjectionSpec, Readout
from interlingua.specs.maps import RidgeSpec
from interlingua.specs.splits import Split
from interlingua.specs.teachers import TeacherSpec


class RateDecay(StrEnum):
    """The course of the learning rate after the warm-up."""

    COSINE = "cosine"  # to a tenth
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSpec:
    """Low-rank adapters on the named linear layers of every block.

    `rank_stabilised` scales by alpha / sqrt(rank): without it a high rank hardly learns.
    """

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    rank_stabilised: bool

    def __post_init__(self) -> None:
        check_positive(self, rank=self.rank, alpha=self.alpha)
        check_share(self, dropout=self.dropout)
        if not self.targets:
            raise ValueError("LoraSpec.targets is empty; name at least one linear layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimSpec:
    """AdamW of one model; its schedule runs over the steps of whatever trains it."""

    learning_rate: float
    warmup_steps: int
    decay: RateDecay
    betas: tuple[float, float]
    weight_decay: float
    clip_norm: float  # of the whole gradient of a step
    dtype: str  # of the forward; what is trained has fp32 master weights

    def __post_init__(self) -> None:
        check_positive(self, learning_rate=self.learning_rate, clip_norm=self.clip_norm)
        check_not_negative(self, warmup_steps=self.warmup_steps, weight_decay=self.weight_decay)
        check_share(self, beta_1=self.betas[0], beta_2=self.betas[1])
        check_one_of(self, DTYPES, dtype=self.dtype)
        check_one_of(self, RateDecay, decay=self.decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """The evaluations of a training run on `dev`.

    One is better than the best before it where its score is lower by more than `min_delta`: the
    last digits depend on the placement, and no placement may choose the weights. `seed` draws the
    rows, so that trainings of several seeds are evaluated on the same ones.
    """

    seed: int
    validate_every: int  # steps
    checkpoint_every: int  # steps
    dev_rows: int  # of each host
    min_delta: float

    def __post_init__(self) -> None:
        check_positive(
            self,
            validate_every=self.validate_every,
            checkpoint_every=self.checkpoint_every,
            dev_rows=self.dev_rows,
        )
        check_not_negative(self, seed=self.seed, min_delta=self.min_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The trunk as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFolder:
    """A whole model of the trunk's make in its place: an AV that was trained and merged elsewhere.

    A local folder with its hash, or a hub id at a commit. The AR goes on from the trunk.
    """

    source: str
    revision: str | None = None  # of a hub id
    files_sha256: str | None = None


Start = Base | HubFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class AvSpec:
    """The verbalizer and its supervised training, of `num_steps` for any number of workers.

    `template` is the user message: `{host_tag}` and one `{injection_char}`. `lora` None trains all
    weights, as it must where they `start` as others than the trunk's. `encoder_learning_rate` None
    leaves the encoders as they were fitted. `train_rows` are those of a host that it learns from,
    the same for every seed; None takes all.
    """

    seed: int
    template: str
    injection: InjectionSpec
    lora: LoraSpec | None
    train_rows: int | None
    num_steps: int
    batch_rows: int  # of a step, over all workers
    optim: OptimSpec
    encoder_learning_rate: float | None
    affine_learning_rate: float | None  # None: that of the trunk
    max_response_tokens: int
    gradient_checkpointing: bool
    watch: WatchSpec
    start: Start = Base()

    def __post_init__(self) -> None:
        _check_field(self, self.template, "{injection_char}")
        if isinstance(self.start, HubFolder) and self.lora is not None:
            # Adapters alone are stored, and whoever opens them would put them on the trunk.
            raise ValueError(
                f"AvSpec.start is {self.start.source}, and AvSpec.lora is not none; from weights "
                "other than the trunk's all are trained: set lora to none"
            )
        check_not_negative(self, seed=self.seed)
        check_positive(
            self,
            num_steps=self.num_steps,
            batch_rows=self.batch_rows,
            max_response_tokens=self.max_response_tokens,
        )
        for name in ("encoder_learning_rate", "affine_learning_rate", "train_rows"):
            if (value := getattr(self, name)) is not None:
                check_positive(self, **{name: value})
        if self.affine_learning_rate is not None and self.injection.affine is None:
            raise ValueError(
                f"AvSpec.affine_learning_rate is {self.affine_learning_rate}, but "
                "AvSpec.injection.affine is none: there is nothing to train with it"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArSpec:
    """The reconstructor: the trunk's blocks 0..block_index, a value head, and their training.

    `block_index` None is that of the anchor, once the recipe is pinned.
    """

    seed: int
    template: str
    block_index: int | None
    readout: Readout
    bos: BosRule
    lora: LoraSpec | None
    trains_value_head: bool
    num_steps: int
    batch_rows: int
    optim: OptimSpec
    max_tokens: int
    gradient_checkpointing: bool
    watch: WatchSpec

    def __post_init__(self) -> None:
        _check_field(self, self.template, "{explanation}")
        check_not_negative(self, seed=self.seed)
        if self.block_index is not None:
            check_not_negative(self, block_index=self.block_index)
        check_positive(
            self, num_steps=self.num_steps, batch_rows=self.batch_rows, max_tokens=self.max_tokens
        )
        check_one_of(self, Readout, readout=self.readout)
        check_one_of(self, BosRule, bos=self.bos)

    @property
    def last_block(self) -> int:
        """The index of its last block; a ValueError before it is known."""
        if self.block_index is None:
            raise ValueError(
                "ArSpec.block_index is none: pin the recipe, which makes it the anchor's"
            )
        return self.block_index


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachSpec:
    """Explanations of the passages of some splits: `samples` of each, keyed.

    `spans` are the sentences that are explained; without them it is passages, or tokens.
    """

    teacher: TeacherSpec
    splits: tuple[Split, ...]
    samples: int
    spans: Spans | None

    def __post_init__(self) -> None:
        check_positive(self, samples=self.samples)
        for split in self.splits:
            check_one_of(self, Split, splits=split)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSpec:
    """The drawing of explanations from an AV; temperature 0 is greedy."""

    seed: int
    temperature: float
    samples: int
    max_new_tokens: int

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed, temperature=self.temperature)
        check_positive(self, samples=self.samples, max_new_tokens=self.max_new_tokens)
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(
                f"SamplingSpec.samples is {self.samples} at temperature 0; greedy text is one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AvTraining:
    """An AV and the hosts whose activations it learns to read; mostly the anchor among them."""

    av: AvSpec
    anchor: str
    host_tags: tuple[str, ...]
    accepts_teachers: tuple[str, ...]  # in one corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class ArTraining:
    """An AR and the hosts whose vectors it learns to rebuild: one vector for all, so their mean."""

    ar: ArSpec
    anchor: str
    host_tags: tuple[str, ...]
    centring: Centring
    ridge: RidgeSpec  # of the readers of words that it is compared with
    most_words: int  # or pairs that these count, the most frequent: moments take their square
    accepts_teachers: tuple[str, ...]  # in one corpus

    def __post_init__(self) -> None:
        check_positive(self, most_words=self.most_words)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSpec:
    """A whole NLA in one folder: the pair, and the maps of these hosts."""

    anchor: str
    av: AvSpec
    ar: ArSpec
    host_tags: tuple[str, ...]


def _check_field(owner: object, template: str, field: str) -> None:
    # Silent otherwise: an AR's prompt without the explanation gives one vector for all texts.
    if template.count(field) != 1:
        raise ValueError(
            f"{type(owner).__name__}.template is {template!r}; it must hold {field} once"
        )
