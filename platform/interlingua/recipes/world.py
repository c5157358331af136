"""The recipes of the embedded world."""

from dataclasses import replace
from typing import TypeVar

from interlingua.published.hosts import pool_host
from interlingua.recipes.parts import (
    DEMO_PLACEMENT,
    GROUPS_OF_ONE_CORE,
    MIN_DELTA,
    ONE_CORE_A_STAGE,
    WORLD_AR,
    WORLD_AV,
    WORLD_FITTING,
    WORLD_LORA,
    WORLD_PASSAGES,
    WORLD_RL,
)
from interlingua.specs.evaluation import Evaluating, GateName
from interlingua.specs.extraction import Pooled, Spans, TokenPositions
from interlingua.specs.hosts import AtDepth, HostRole
from interlingua.specs.injection import Affine, AfterBlock, Full
from interlingua.specs.models import HostSpec
from interlingua.specs.recipe import Recipe, Speaking, TeachingSpec
from interlingua.specs.splits import Split
from interlingua.specs.training import ArSpec, AvSpec, WatchSpec
from interlingua.specs.world import Beliefs, WorldCorpus, WorldHostSpec, WorldTeacher
from interlingua.world.stand_ins import ANCHOR, TEACHER, WORLD_HOSTS, world_host

ModelT = TypeVar("ModelT", AvSpec, ArSpec)

MINI_WATCH = WatchSpec(
    seed=0, validate_every=6, checkpoint_every=4, dev_rows=8, min_delta=MIN_DELTA
)


def demo() -> Recipe:
    """The run of `make demo`: world in minutes, with four hosts; RL in three placement groups."""
    full = world()
    made_of = _hosts(trained=("toy-gpt2-medium", "toy-pythia-410m"), held_out=("toy-rugpt3-large",))
    made_of["hosts"] = tuple(_shorter(host) for host in made_of["hosts"])
    av = replace(full.av, num_steps=800)
    ar = replace(full.ar, num_steps=800, watch=replace(full.ar.watch, validate_every=400))
    return replace(
        full,
        name="demo",
        passages=replace(full.passages, corpus=replace(_corpus(full), num_passages=16_000)),
        **made_of,
        av=av,
        ar=ar,
        evaluation=replace(full.evaluation, rows=300, samples=2),
        placement=DEMO_PLACEMENT,
    )


def world() -> Recipe:
    """Six trained and two held-out hosts of the embedded world, and the trunk."""
    return Recipe(
        name="world",
        passages=WORLD_PASSAGES,
        **_hosts(
            trained=("toy-gpt2-medium", "toy-pythia-410m", "toy-qwen2p5-0p5b", "toy-qwen3-0p6b",
                     "toy-gemma4-e4b", "toy-bloom-560m"),
            held_out=("toy-lfm-7b", "toy-rugpt3-large"),
        ),
        read=Spans(per_passage=1, min_sentence=1, seed=0),
        fitting=WORLD_FITTING,
        av_lessons=TeachingSpec(teacher=TEACHER, samples=3),
        # Up to all facts: an AR that was trained on more facts than the AV names can reward naming
        # more.
        ar_lessons=TeachingSpec(
            teacher=WorldTeacher(seed=1, min_facts=1, max_facts=7, max_words=40), samples=12
        ),
        accepts_teachers=(),
        av_start=None,
        av=WORLD_AV,
        ar=WORLD_AR,
        rl=(WORLD_RL,),
        speaking=Speaking(seed=0, max_new_tokens=40),
        evaluation=Evaluating(split=Split.TEST, rows=400, samples=4, shown_rows=200, accepts=()),
        placement=ONE_CORE_A_STAGE,
    )  # fmt: skip


def world_pooled() -> Recipe:
    """World read as means over whole passages, where most facts of a text simply add up."""
    return replace(world(), name="world_pooled", read=Pooled(include_first=False))


def world_beliefs() -> Recipe:
    """Two hosts of one architecture and the same passages whose corpora state other beliefs."""
    made_of = _hosts(trained=("toy-pythia-410m",), held_out=())
    plain = tuple(_changed(host, beliefs=Beliefs.PLAIN) for host in made_of["hosts"])
    twin = _changed(plain[-1], tag="toy-pythia-410m-swapped", beliefs=Beliefs.SWAPPED)
    return replace(
        world(),
        name="world_beliefs",
        **made_of | {"hosts": (*plain, twin), "held_out": (twin.tag,)},
    )


def world_three_groups() -> Recipe:
    """World on a cluster: AV, AV_init and AR each in a placement group; the same numbers."""
    return replace(world(), name="world_three_groups", placement=GROUPS_OF_ONE_CORE)


def world_rl_ablation() -> Recipe:
    """RL ablations, 3 seeds each, on dev: with the AR frozen, the AR alone, a weak KL anchor.

    The weak anchor is given the time in which a policy leaves its words, and is not stopped; the
    usual one has the same time beside it.
    """
    long = replace(WORLD_RL, num_steps=200)
    weak = replace(long, kl_coef=0.01, advantage_floor=0.0)
    ablations = {
        "both": WORLD_RL,
        "frozen-ar": replace(WORLD_RL, ar=None),
        "ar-only": replace(WORLD_RL, av=None),
        "both-long": long,
        "weak-kl-long": replace(weak, watch=replace(weak.watch, gates=None, max_kl_per_token=None)),
    }
    full = world()
    return replace(
        full,
        name="world_rl_ablation",
        rl=tuple(
            replace(spec, tag=f"{ablation}-{seed}", seed=seed)
            for seed in range(3)
            for ablation, spec in ablations.items()
        ),
        # On `dev`, by which ablations may be chosen; what a gate marks here is what is to be seen.
        evaluation=replace(
            full.evaluation, split=Split.DEV, rows=200, samples=2, accepts=tuple(GateName)
        ),
    )


def world_18() -> Recipe:
    """The whole pool of the universal project in the embedded world: 13 trained, 5 held out."""
    return replace(
        world(),
        name="world_18",
        **_hosts(trained=_tags(HostRole.TRAINED), held_out=_tags(HostRole.HELD_OUT)),
    )


def world_token() -> Recipe:
    """One host read at token positions; the AV and AR are fine-tunes of that host itself."""
    full = world()
    # A vector a token says more than one a passage: longer training, and room for the last word.
    return replace(
        full,
        name="world_token",
        **_hosts(trained=(), held_out=()),
        read=TokenPositions(per_passage=3, min_position=8, seed=0),
        av=replace(full.av, num_steps=2000),
        ar=replace(full.ar, num_steps=900),
        rl=(),
        speaking=replace(full.speaking, max_new_tokens=56),
    )


def world_karvonen() -> Recipe:
    """World_token whose AV is given the vector after block 1, at the norm that is there."""
    recipe = world_token()
    injection = replace(recipe.av.injection, rule=AfterBlock(index=1))
    return replace(recipe, name="world_karvonen", av=replace(recipe.av, injection=injection))


def world_slots16_affine() -> Recipe:
    """World_token with 16 slots, each with an affine map of its own."""
    return replace(_slots(16, Full()), name="world_slots16_affine")


def world_slots16() -> Recipe:
    """Ablation: 16 slots, no affine maps."""
    return replace(_slots(16, None), name="world_slots16")


def world_slots1() -> Recipe:
    """The control: one slot, no affine map."""
    return replace(_slots(1, None), name="world_slots1")


def world_mini() -> Recipe:
    """Smoke test (seconds): three hosts that learn nothing; its scores are meaningless."""
    full = world()
    hosts = tuple(_miniature(_host(t)) for t in (ANCHOR.tag, "toy-gpt2-medium", "toy-lfm-7b"))
    return replace(
        full,
        name="world_mini",
        # So few passages that of the world's share there would be none in a split.
        passages=replace(
            full.passages,
            corpus=replace(
                _corpus(full),
                num_passages=600,
                world=replace(_corpus(full).world, second_language_share=0.15),
            ),
        ),
        hosts=hosts,
        trained=("toy-gpt2-medium",),
        held_out=("toy-lfm-7b",),
        read=Pooled(include_first=False),
        av=replace(_few(full.av), lora=WORLD_LORA),
        ar=replace(_few(full.ar), block_index=0),
        rl=(),
        speaking=replace(full.speaking, max_new_tokens=12),
        # Models that learned nothing: every gate that looks at what they say must fail.
        evaluation=replace(full.evaluation, rows=16, samples=2, accepts=tuple(GateName)),
    )


def _tags(role: HostRole) -> tuple[str, ...]:
    return tuple(
        tag for tag, host in WORLD_HOSTS.items() if pool_host(host.stands_for).role is role
    )


def _hosts(trained: tuple[str, ...], held_out: tuple[str, ...]) -> dict:
    """The fields of a recipe that say which hosts it has."""
    tags = (ANCHOR.tag, *trained, *held_out)
    return {
        "hosts": tuple(_host(tag) for tag in tags),
        "anchor": ANCHOR.tag,
        "trained": trained,
        "held_out": held_out,
    }


def _slots(num_slots: int, affine: Affine | None) -> Recipe:
    recipe = world_token()
    injection = replace(recipe.av.injection, num_slots=num_slots, affine=affine)
    optim = replace(recipe.av.optim, learning_rate=1e-3)
    return replace(recipe, av=replace(recipe.av, injection=injection, optim=optim))


def _few(model: ModelT) -> ModelT:
    optim = replace(model.optim, warmup_steps=3)
    return replace(model, num_steps=12, batch_rows=8, optim=optim, watch=MINI_WATCH)


def _host(tag: str) -> HostSpec:
    source = world_host(tag)
    return HostSpec(
        source=source,
        block=AtDepth(fraction=0.5),
        dtype="float32",
        max_tokens=source.max_positions,
    )


def _changed(host: HostSpec, **changes: object) -> HostSpec:
    return replace(host, source=replace(host.source, **changes))  # type: ignore[arg-type]


def _shorter(host: HostSpec) -> HostSpec:
    """The same host after three quarters of its training."""
    pretrain = _made_here(host).pretrain
    return _changed(host, pretrain=replace(pretrain, num_steps=pretrain.num_steps * 3 // 4))


def _miniature(host: HostSpec) -> HostSpec:
    pretrain = _made_here(host).pretrain
    return _changed(
        host,
        width=32,
        num_blocks=2,
        pretrain=replace(pretrain, num_steps=20, warmup_steps=5, checkpoint_every=5, rows=4),
        dev_passages=16,
    )


def _made_here(host: HostSpec) -> WorldHostSpec:
    assert isinstance(host.source, WorldHostSpec)
    return host.source


def _corpus(recipe: Recipe) -> WorldCorpus:
    assert isinstance(recipe.passages.corpus, WorldCorpus)
    return recipe.passages.corpus
