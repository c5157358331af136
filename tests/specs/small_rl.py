"""A run of reinforcement learning that takes seconds, for tests to change."""

from interlingua.specs.rl import RlSpec, RlWatch, ScaledError
from interlingua.specs.training import OptimSpec, RateDecay

LEARNER = OptimSpec(
    learning_rate=1e-3,
    warmup_steps=2,
    decay=RateDecay.CONSTANT,
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="float32",
)
SPEC = RlSpec(
    tag="rl",
    seed=0,
    num_steps=6,
    activations_per_step=4,
    group_size=4,
    max_new_tokens=12,
    av=LEARNER,
    ar=LEARNER,
    reward=ScaledError(),
    length_penalty=0.0,
    failure_reward=-3.0,
    advantage_floor=0.1,
    kl_coef=0.1,
    clip_ratio=0.2,
    max_skipped_share=0.2,
    watch=RlWatch(
        seed=0,
        evaluate_every=3,
        checkpoint_every=2,
        dev_rows=6,
        dev_samples=2,
        gates=None,
        max_kl_per_token=None,
        max_log_ratio=None,
        min_delta=0.0,
    ),
)
