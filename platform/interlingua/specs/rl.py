"""Specs of the reinforcement learning of a trained pair. Knows no model and no row."""

from dataclasses import dataclass

from interlingua.specs.checks import (
    check_not_negative,
    check_positive,
    check_share,
    check_slug,
)
from interlingua.specs.training import ArSpec, AvSpec, OptimSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledError:
    """-NMSE / Var of the host: about -1 for its mean vector, so that hosts are comparable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogError:
    """-log NMSE: halving the error earns the same, however large it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """ScaledError, and for `share` of it InfoNCE among the step's activations of the same host."""

    share: float
    temperature: float

    def __post_init__(self) -> None:
        check_share(self, share=self.share)
        check_positive(self, temperature=self.temperature)


Reward = ScaledError | LogError | Contrast


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseGates:
    """Limits at which a run ends, for samples of `dev` at temperature 1 beside those of its start.

    `most_added_failures` is added to the start's share of failures; the others are shares of what
    the start had: of distinct texts, of distinct words in a text, and of the gap by which two texts
    of one activation are more alike than texts of two.
    """

    least_unique_share: float
    least_distinct_words: float
    most_added_failures: float
    least_gap_share: float

    def __post_init__(self) -> None:
        check_share(
            self,
            least_unique_share=self.least_unique_share,
            least_distinct_words=self.least_distinct_words,
            most_added_failures=self.most_added_failures,
            least_gap_share=self.least_gap_share,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RlWatch:
    """The evaluations of a run on `dev`, and the limits that may end it.

    `gates` None lets a collapse go on, so that it can be studied. `min_delta` and `seed` are those
    of a WatchSpec.

    `max_log_ratio` bounds the 99th percentile, over the tokens of a step, of |log p - log p as it
    was sampled|. Both are of the same weights, so that this is how differently decoding and
    learning round. Above log(1 + RlSpec.clip_ratio) the clip bites on that noise.
    """

    seed: int
    evaluate_every: int  # steps
    checkpoint_every: int  # steps
    dev_rows: int  # of each host
    dev_samples: int  # of each row
    gates: CollapseGates | None
    max_kl_per_token: float | None
    max_log_ratio: float | None
    min_delta: float

    def __post_init__(self) -> None:
        check_positive(
            self,
            evaluate_every=self.evaluate_every,
            checkpoint_every=self.checkpoint_every,
            dev_rows=self.dev_rows,
        )
        if self.dev_samples < 2:
            raise ValueError(
                f"RlWatch.dev_samples is {self.dev_samples}; it must be at least 2: "
                "how alike two texts of one activation are is looked at"
            )
        for name in ("max_kl_per_token", "max_log_ratio"):
            if (limit := getattr(self, name)) is not None:
                check_positive(self, **{name: limit})
        check_not_negative(self, seed=self.seed, min_delta=self.min_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class RlSpec:
    """Group-relative policy optimisation of the AV, and the AR beside it on the same samples.

    `tag` names the run among those of its recipe.
    `av` None leaves the AV as it is and trains the AR on its samples, `ar` None freezes the AR.
    `length_penalty` is taken from the reward for every token.
    """

    tag: str
    seed: int
    num_steps: int
    activations_per_step: int
    group_size: int
    max_new_tokens: int
    av: OptimSpec | None
    ar: OptimSpec | None
    reward: Reward
    length_penalty: float
    failure_reward: float  # at most: a failure never earns more than the worst explanation
    advantage_floor: float  # beside the deviation of a group, so that noise does not count as much
    kl_coef: float  # of the KL to AV_init, which holds the AV to its start
    clip_ratio: float
    max_skipped_share: float  # of the steps, whose gradients may be not finite
    watch: RlWatch

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        check_positive(
            self,
            num_steps=self.num_steps,
            activations_per_step=self.activations_per_step,
            max_new_tokens=self.max_new_tokens,
            clip_ratio=self.clip_ratio,
        )
        check_not_negative(
            self,
            seed=self.seed,
            length_penalty=self.length_penalty,
            advantage_floor=self.advantage_floor,
            kl_coef=self.kl_coef,
        )
        check_share(self, max_skipped_share=self.max_skipped_share)
        if self.group_size < 2:
            raise ValueError(
                f"RlSpec.group_size is {self.group_size}; it must be at least 2: "
                "a sample is judged beside others of the same activation"
            )
        if not self.failure_reward < 0:
            raise ValueError(
                f"RlSpec.failure_reward is {self.failure_reward}; it must be negative, "
                "below what any explanation earns"
            )
        if self.av is None and self.ar is None:
            raise ValueError("RlSpec.av and RlSpec.ar are both none; at least one must learn")

    @property
    def num_samples(self) -> int:
        """The number of samples in a step."""
        return self.activations_per_step * self.group_size


@dataclass(frozen=True, slots=True, kw_only=True)
class RlTraining:
    """One run, the specs of the pair that it begins from, and the hosts that take turns."""

    rl: RlSpec
    av: AvSpec
    ar: ArSpec
    anchor: str
    host_tags: tuple[str, ...]
