"""Parts of recipes, mostly of the embedded world: models, their training, where they run.

Knows no recipe.
"""

from dataclasses import replace

from interlingua.recipes.placements import laptop
from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.injection import BosRule, Centring, InjectionSpec, Readout, Replace
from interlingua.specs.maps import FittingSpec, RidgeSpec
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement, ThreeGroups, Workers
from interlingua.specs.rl import CollapseGates, RlSpec, RlWatch, ScaledError
from interlingua.specs.splits import SplitSpec
from interlingua.specs.training import (
    ArSpec,
    AvSpec,
    LoraSpec,
    OptimSpec,
    RateDecay,
    WatchSpec,
)
from interlingua.specs.world import WorldCorpus, WorldSpec

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
# Of a score: nats a token, or shares of variance. Far above what batches of other sizes change in
# an evaluation (1e-9 in the world, in fp32), and less than a gain that anybody would report.
MIN_DELTA = 1e-4

ONE_CORE_A_STAGE = laptop()

ONE_CORE = Workers(count=1, cpus=1, gpus=0)
LEARNER_GROUP = LearnerPlacement(
    workers=ONE_CORE,
    device="cpu",
    batch_rows=512,
    micro_batch_rows=32,
    zero_stage=2,
)
GROUPS_OF_ONE_CORE = replace(
    ONE_CORE_A_STAGE,
    name="groups_of_one_core",
    reinforcing=ThreeGroups(
        av=LEARNER_GROUP,
        av_init=FrozenPlacement(workers=ONE_CORE, device="cpu", batch_rows=512),
        ar=LEARNER_GROUP,
        patience_seconds=300,
        failures_survived=3,
    ),
)
# Two cores are four logical CPUs: two stages, two trainings, or a stage beside the three roles, of
# which one works at a time.
CORE = Workers(count=1, cpus=2, gpus=0)
QUARTER = Workers(count=1, cpus=0.5, gpus=0)
DEMO_PLACEMENT = replace(
    ONE_CORE_A_STAGE,
    name="demo",
    training=replace(ONE_CORE_A_STAGE.training, workers=CORE),
    reinforcing=ThreeGroups(
        av=replace(LEARNER_GROUP, workers=QUARTER),
        av_init=FrozenPlacement(workers=QUARTER, device="cpu", batch_rows=512),
        ar=replace(LEARNER_GROUP, workers=QUARTER),
        patience_seconds=300,
        failures_survived=3,
    ),
)

WORLD_PASSAGES = PassagesSpec(
    corpus=WorldCorpus(
        world=WorldSpec(
            seed=0,
            second_language_share=0.04,
            problem_share=0.9,
            quote_share=0.3,
            framed_share=0.3,
            min_sentences=3,
            max_sentences=5,
            largest_number=5,
        ),
        num_passages=24_000,
    ),
    split=SplitSpec(
        seed=0,
        pretrain=0.45,
        av_sft=0.15,
        ar_sft=0.15,
        rl=0.08,
        fit=0.10,
        dev=0.035,
        test=0.035,
    ),
)

# For what trains in minutes, or keeps the trunk as it is; the world's own AV is trained whole.
WORLD_LORA = LoraSpec(rank=16, alpha=32.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=False)

WORLD_AV = AvSpec(
    seed=0,
    template="{host_tag} <concept>{injection_char}</concept>",
    injection=InjectionSpec(
        rule=Replace(),
        num_slots=4,
        scale="sqrt_d",
        centring=Centring.HOST_MEAN,
        affine=None,
    ),
    lora=None,
    train_rows=None,
    num_steps=1200,
    batch_rows=32,
    optim=OptimSpec(
        learning_rate=3e-3,
        warmup_steps=30,
        decay=RateDecay.COSINE,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        clip_norm=1.0,
        dtype="float32",
    ),
    encoder_learning_rate=None,
    affine_learning_rate=None,
    max_response_tokens=64,
    gradient_checkpointing=False,
    watch=WatchSpec(
        seed=0, validate_every=400, checkpoint_every=100, dev_rows=128, min_delta=MIN_DELTA
    ),
)

WORLD_FITTING = FittingSpec(
    ridge=RidgeSpec(strengths=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), num_folds=5),
    block_rows=512,
    most_words=500,
    num_outside=100,
    num_others=256,
    seed=0,
)

WORLD_AR = ArSpec(
    seed=0,
    template="<text>{explanation}</text> <summary>",
    block_index=2,
    readout=Readout.NORMALIZED,
    bos=BosRule.TOKENIZER_DEFAULT,
    lora=None,
    trains_value_head=True,
    num_steps=1200,
    batch_rows=64,
    optim=replace(WORLD_AV.optim, learning_rate=2e-3, weight_decay=0.1),
    max_tokens=96,
    gradient_checkpointing=False,
    watch=WatchSpec(
        seed=0, validate_every=300, checkpoint_every=100, dev_rows=512, min_delta=MIN_DELTA
    ),
)


WORLD_LEARNER = OptimSpec(
    learning_rate=1e-3,
    warmup_steps=8,
    decay=RateDecay.COSINE,
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="float32",
)

WORLD_RL = RlSpec(
    tag="rl",
    seed=0,
    num_steps=80,
    activations_per_step=16,
    group_size=8,
    max_new_tokens=40,
    av=replace(WORLD_LEARNER, learning_rate=6e-4),
    ar=WORLD_LEARNER,
    reward=ScaledError(),
    length_penalty=0.0,
    failure_reward=-3.0,
    # Without it noise is blown up once a group agrees, and the AV drifts into codes of its own.
    advantage_floor=0.1,
    kl_coef=0.03,
    clip_ratio=0.2,
    max_skipped_share=0.1,
    watch=RlWatch(
        seed=0,
        evaluate_every=20,
        checkpoint_every=20,
        dev_rows=48,
        dev_samples=2,
        gates=CollapseGates(
            least_unique_share=0.8,
            least_distinct_words=0.9,
            most_added_failures=0.05,
            least_gap_share=0.5,
        ),
        max_kl_per_token=0.6,
        max_log_ratio=0.18,  # log(1 + clip_ratio)
        min_delta=MIN_DELTA,
    ),
)
