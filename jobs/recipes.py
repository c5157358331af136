"""Every experiment that can be submitted, each a function that returns one complete recipe."""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from interlingua.specs.hosts import HostRole
from interlingua.specs.placement import ExtractionPlacement, Placement, Workers
from interlingua.specs.pool import pool_host
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import SplitSpec
from interlingua.specs.world import PassagesSpec, WorldHostSpec, WorldSpec
from interlingua.specs.world_hosts import ANCHOR, WORLD_HOSTS, world_host

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
        placement=ONE_CORE_A_STAGE,
    )  # fmt: skip


def world_18() -> Recipe:
    """The whole pool of the universal project in the embedded world: 13 trained, 5 held out."""
    return replace(
        world(),
        name="world_18",
        **_hosts(trained=_tags(HostRole.TRAINED), held_out=_tags(HostRole.HELD_OUT)),
    )


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
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "world_mini": world_mini,
    "world": world,
    "world_18": world_18,
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}" if near else ""
        raise ValueError(f"no recipe {name!r}{hint}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]()


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


def _miniature(host: WorldHostSpec) -> WorldHostSpec:
    return replace(
        host,
        width=32,
        num_blocks=2,
        pretrain=replace(host.pretrain, num_steps=20, warmup_steps=5, checkpoint_every=5, rows=4),
        dev_passages=16,
    )
