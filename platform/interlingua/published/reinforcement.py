"""Published runs of reinforcement learning, each after a supervised run. Knows no recipe, no file.

Where sources contradict each other or say nothing, a comment says what was chosen and why; what a
reader of the results must know is in `notes`, too.
"""

from dataclasses import dataclass, replace

from interlingua.memory.roles import Shapes
from interlingua.published.run import MIN_DELTA, PublishedRun
from interlingua.published.universal import LORA, V6, V7
from interlingua.specs.checks import check_positive, check_slug
from interlingua.specs.rl import Contrast, RlSpec, RlWatch, ScaledError
from interlingua.specs.training import OptimSpec, RateDecay

# Of the AV's prompt and of the AR's template, by the tokenizers of these trunks.
PROMPT_TOKENS, TEMPLATE_TOKENS = 128, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRl:
    """One published run, complete: the pair that it goes on from, and what it asks of it."""

    name: str
    supervised: PublishedRun
    rl: RlSpec
    prompt_tokens: int
    notes: str

    def __post_init__(self) -> None:
        check_slug(self, name=self.name)
        check_positive(self, prompt_tokens=self.prompt_tokens)

    def shapes(self) -> Shapes:
        """Counts of a step: rows and tokens; the AR reads no more of a sample than was drawn."""
        heard = self.rl.max_new_tokens + TEMPLATE_TOKENS
        return Shapes(
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.rl.max_new_tokens,
            ar_tokens=min(heard, self.supervised.ar.max_tokens),
            num_samples=self.rl.num_samples,
        )


LEARNER = OptimSpec(
    learning_rate=1e-5,
    warmup_steps=0,
    decay=RateDecay.CONSTANT,
    betas=(0.9, 0.999),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="bfloat16",
)
RL = RlSpec(
    tag="rl",
    seed=0,
    num_steps=150,
    activations_per_step=4,
    group_size=4,
    max_new_tokens=60,
    av=LEARNER,
    ar=replace(LEARNER, learning_rate=5e-5),
    # Published: half of it -log MSE, through the decoder; here the error over the host's variance.
    reward=Contrast(share=0.5, temperature=0.1),
    length_penalty=0.0,
    failure_reward=-3.0,  # published: none, and a text that could not be parsed was read raw
    advantage_floor=0.1,  # published: the group's mean is taken off, and nothing is divided
    kl_coef=0.05,  # published with an anchor whose gradient is zero in the mean
    clip_ratio=0.2,  # published without; of one step on fresh samples it changes nothing
    max_skipped_share=0.05,
    watch=RlWatch(
        seed=0,
        evaluate_every=25,
        checkpoint_every=25,
        dev_rows=200,
        dev_samples=2,
        gates=None,
        max_kl_per_token=None,
        max_log_ratio=None,
        min_delta=MIN_DELTA,
    ),
)
WIDE_LORA = replace(LORA, rank=256, alpha=512.0)
_SAID = "One host a step, its encoder frozen. The decoder is in the published loss, and not here. "
V6_RL = PublishedRl(
    name="universal_v6_rl",
    supervised=V6,
    rl=RL,
    prompt_tokens=PROMPT_TOKENS,
    notes=_SAID + "Published for one device; 60 new tokens cut off teachers' texts of 80.",
)
V7_RL = PublishedRl(
    name="universal_v7_rl_4b",
    supervised=replace(
        V7,
        av=replace(V7.av, lora=WIDE_LORA),
        ar=replace(V7.ar, lora=WIDE_LORA),
    ),
    rl=replace(RL, num_steps=200, reward=ScaledError()),
    prompt_tokens=PROMPT_TOKENS,
    notes=_SAID + "Published with AR and AV_init together on a second device, for want of a third.",
)

PUBLISHED_RL = {run.name: run for run in (V6_RL, V7_RL)}
