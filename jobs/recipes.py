"""Every experiment that can be submitted, each a function that returns one complete recipe."""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from interlingua.specs.extraction import Pooled, TokenPositions
from interlingua.specs.hosts import HostRole
from interlingua.specs.injection import (
    Affine,
    BosRule,
    Centring,
    Full,
    InjectionRule,
    InjectionSpec,
    Readout,
)
from interlingua.specs.placement import (
    ExtractionPlacement,
    Placement,
    TrainingPlacement,
    VerbalizingPlacement,
    Workers,
)
from interlingua.specs.pool import pool_host
from interlingua.specs.published import PUBLISHED
from interlingua.specs.published_run import ALL_LINEAR, PublishedRun
from interlingua.specs.recipe import Lessons, Recipe, Speaking
from interlingua.specs.splits import SplitSpec
from interlingua.specs.training import (
    ArSpec,
    AvSpec,
    LoraSpec,
    OptimSpec,
    RateDecay,
    SamplingSpec,
    WatchSpec,
)
from interlingua.specs.world import PassagesSpec, TeacherSpec, WorldHostSpec, WorldSpec
from interlingua.specs.world_hosts import ANCHOR, TEACHER, WORLD_HOSTS, world_host

MINI_WATCH = WatchSpec(validate_every=6, checkpoint_every=4, dev_rows=8)

ONE_CORE_A_STAGE = Placement(
    cpus_per_stage=2,
    threads_per_worker=1,
    stages_side_by_side=6,
    extraction=ExtractionPlacement(
        workers=Workers(count=1, cpus=2, gpus=0),
        device="cpu",
        block_passages=512,
        batch_tokens=8192,
    ),
    training=TrainingPlacement(
        workers=Workers(count=1, cpus=1, gpus=0),
        device="cpu",
        micro_batch_rows=32,
        zero_stage=2,
        failures_survived=3,
    ),
    verbalizing=VerbalizingPlacement(
        workers=Workers(count=1, cpus=2, gpus=0),
        device="cpu",
        block_rows=2048,
        batch_rows=512,
    ),
)

WORLD_AV = AvSpec(
    seed=0,
    template="model {host_tag} vector <concept>{injection_char}</concept>",
    injection=InjectionSpec(
        rule=InjectionRule.REPLACE,
        after_block=None,
        num_slots=4,
        scale="sqrt_d",
        centring=Centring.HOST_MEAN,
        affine=None,
    ),
    lora=LoraSpec(rank=16, alpha=32.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=False),
    optim=OptimSpec(
        num_steps=1000,
        batch_rows=32,
        learning_rate=4e-3,
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
    watch=WatchSpec(validate_every=250, checkpoint_every=50, dev_rows=128),
)

WORLD_AR = ArSpec(
    seed=0,
    template="<text>{explanation}</text> <summary>",
    block_index=2,
    readout=Readout.NORMALIZED,
    bos=BosRule.TOKENIZER_DEFAULT,
    lora=None,
    trains_value_head=True,
    optim=replace(
        WORLD_AV.optim, num_steps=900, batch_rows=128, learning_rate=1e-3, weight_decay=0.1
    ),
    max_tokens=96,
    gradient_checkpointing=False,
    watch=WatchSpec(validate_every=150, checkpoint_every=50, dev_rows=512),
)


def world() -> Recipe:
    """The demo: six trained and two held-out hosts of the embedded world, and the trunk."""
    return Recipe(
        name="world",
        passages=PassagesSpec(
            world=WorldSpec(
                seed=0,
                second_language_share=0.10,
                problem_share=0.9,
                quote_share=0.3,
                min_sentences=2,
                max_sentences=5,
                largest_number=6,
            ),
            num_passages=24_000,
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
        ),
        **_hosts(
            trained=("gpt2-medium", "pythia-410m", "qwen2p5-0p5b", "qwen3-0p6b", "gemma4-e4b",
                     "bloom-560m"),
            held_out=("lfm-7b", "rugpt3-large"),
        ),
        read=Pooled(include_first=False),
        av_lessons=Lessons(teacher=TEACHER, samples=3),
        # Up to everything: an AR that has heard more than the AV says can reward saying more.
        ar_lessons=Lessons(
            teacher=TeacherSpec(seed=1, min_facts=1, max_facts=7, max_words=40), samples=12
        ),
        accepts_mixed_teachers=False,
        av=WORLD_AV,
        ar=WORLD_AR,
        speaking=Speaking(
            sampled=SamplingSpec(seed=0, temperature=1.0, samples=1, max_new_tokens=40),
            greedy=SamplingSpec(seed=0, temperature=0.0, samples=1, max_new_tokens=40),
            dev_rows=300,
        ),
        placement=ONE_CORE_A_STAGE,
    )  # fmt: skip


def world_18() -> Recipe:
    """The whole pool of the universal project in the embedded world: 13 trained, 5 held out."""
    return replace(
        world(),
        name="world_18",
        **_hosts(trained=_tags(HostRole.TRAINED), held_out=_tags(HostRole.HELD_OUT)),
    )


def world_token() -> Recipe:
    """One host read at token positions; the AV and AR are fine-tunes of that host itself."""
    return replace(
        world(),
        name="world_token",
        **_hosts(trained=(), held_out=()),
        read=TokenPositions(per_passage=3, min_position=8, seed=0),
    )


def world_slots16_affine() -> Recipe:
    """World_token with 16 slots, each with an affine map of its own, and the whole AV trained."""
    return replace(_fully_trained(16, Full()), name="world_slots16_affine")


def world_slots16() -> Recipe:
    """The arm that tells repetition from the affine maps: 16 slots without them."""
    return replace(_fully_trained(16, None), name="world_slots16")


def world_slots1() -> Recipe:
    """The control: one slot, no affine map."""
    return replace(_fully_trained(1, None), name="world_slots1")


def world_mini() -> Recipe:
    """Three hosts that learn nothing in seconds: for tests of everything but quality."""
    full = world()
    hosts = tuple(_miniature(world_host(t)) for t in (ANCHOR.tag, "gpt2-medium", "lfm-7b"))
    return replace(
        full,
        name="world_mini",
        passages=replace(full.passages, num_passages=600),
        hosts=hosts,
        trained=("gpt2-medium",),
        held_out=("lfm-7b",),
        av=replace(full.av, optim=_few(full.av.optim), watch=MINI_WATCH),
        ar=replace(full.ar, block_index=0, optim=_few(full.ar.optim), watch=MINI_WATCH),
        speaking=replace(
            full.speaking,
            sampled=replace(full.speaking.sampled, max_new_tokens=12),
            greedy=replace(full.speaking.greedy, max_new_tokens=12),
            dev_rows=8,
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "world_mini": world_mini,
    "world": world,
    "world_18": world_18,
    "world_token": world_token,
    "world_slots16_affine": world_slots16_affine,
    "world_slots16": world_slots16,
    "world_slots1": world_slots1,
}


def recipe_named(name: str) -> Recipe | PublishedRun:
    """The recipe, or published run, of that name."""
    if name in RECIPES:
        return RECIPES[name]()
    if name in PUBLISHED:
        return PUBLISHED[name]
    names = [*RECIPES, *PUBLISHED]
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}" if near else ""
    raise ValueError(f"no recipe {name!r}{hint}; there are: {', '.join(names)}")


def _tags(role: HostRole) -> tuple[str, ...]:
    return tuple(tag for tag in WORLD_HOSTS if pool_host(tag).role is role)


def _hosts(trained: tuple[str, ...], held_out: tuple[str, ...]) -> dict:
    """The fields of a recipe that say which hosts it has."""
    tags = (ANCHOR.tag, *trained, *held_out)
    return {
        "hosts": tuple(world_host(tag) for tag in tags),
        "anchor": ANCHOR.tag,
        "trained": trained,
        "held_out": held_out,
    }


def _fully_trained(num_slots: int, affine: Affine | None) -> Recipe:
    recipe = world_token()
    injection = replace(recipe.av.injection, num_slots=num_slots, affine=affine)
    optim = replace(recipe.av.optim, learning_rate=1e-3)
    return replace(recipe, av=replace(recipe.av, injection=injection, lora=None, optim=optim))


def _few(optim: OptimSpec) -> OptimSpec:
    return replace(optim, num_steps=12, batch_rows=8, warmup_steps=3)


def _miniature(host: WorldHostSpec) -> WorldHostSpec:
    return replace(
        host,
        width=32,
        num_blocks=2,
        pretrain=replace(host.pretrain, num_steps=20, warmup_steps=5, checkpoint_every=5, rows=4),
        dev_passages=16,
    )
