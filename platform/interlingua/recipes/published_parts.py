"""Parts that the published runs share: hosts of the pool, prompts, how a training is evaluated.

Knows no run. A published run is followed in what it trains and on what; where it evaluated on rows
that it had learned from, or let different statistics pass for one, it is not.
"""

from dataclasses import replace

from interlingua.published.hosts import pool_host
from interlingua.recipes.parts import MIN_DELTA, WORLD_FITTING
from interlingua.recipes.placements import eight_gpus
from interlingua.specs.evaluation import Evaluating
from interlingua.specs.injection import Centring, InjectionSpec, Replace
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.placement import Placement, TeachingPlacement
from interlingua.specs.rl import RlWatch
from interlingua.specs.splits import Split
from interlingua.specs.training import OptimSpec, RateDecay, WatchSpec

AR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
ONE_SLOT = InjectionSpec(
    rule=Replace(),
    num_slots=1,
    scale="sqrt_d",
    centring=Centring.NONE,
    affine=None,
)
# Most runs evaluated no held-out row while training; the single-host trainers saved every 500.
WATCH = WatchSpec(
    seed=0, validate_every=250, checkpoint_every=500, dev_rows=200, min_delta=MIN_DELTA
)
# Published runs ended at their last step, whatever had become of the AV.
RL_WATCH = RlWatch(
    seed=0,
    evaluate_every=25,
    checkpoint_every=25,
    dev_rows=200,
    dev_samples=2,
    gates=None,
    max_kl_per_token=None,
    max_log_ratio=None,
    min_delta=MIN_DELTA,
)
FITTING = replace(WORLD_FITTING, most_words=4000)
EVALUATION = Evaluating(split=Split.TEST, rows=200, samples=2, shown_rows=100, accepts=())
LEARNER = OptimSpec(
    learning_rate=1e-5,
    warmup_steps=0,
    decay=RateDecay.CONSTANT,
    betas=(0.9, 0.999),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="bfloat16",
)


def pool_spec(tag: str, *, max_tokens: int) -> HostSpec:
    """A host of the pool as it was read: its block, and the dtype that its forward runs in."""
    host = pool_host(tag)
    return HostSpec(
        source=HubHost(tag=tag, source=host.hub_id, num_blocks=host.num_blocks),
        block=host.block,
        dtype=host.dtype,
        max_tokens=max_tokens,
    )


def asking(url: str, key_variable: str) -> Placement:
    """Where a published run is run unless a placement is named, and whom it asks."""
    teaching = TeachingPlacement(url=url, key_variable=key_variable)
    return replace(eight_gpus(), teaching=teaching)
