"""Every experiment that can be submitted, each a function that returns one complete recipe."""

import runpy
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from interlingua.recipes.failures import (
    world_collapsed,
    world_lora,
    world_mixed_teachers,
    world_sound,
    world_terse,
    world_wrong_decoder,
)
from interlingua.recipes.own import mine
from interlingua.recipes.release import (
    release_gemma3_12b_L32,
    release_gemma3_27b_L41,
    release_llama3p3_70b_L53,
    release_qwen2p5_7b_L20,
)
from interlingua.recipes.single_host import (
    nano_qwen3_8b_L24,
    slots1_qwen3_8b,
    slots16_affine_qwen3_8b,
)
from interlingua.recipes.universal import (
    universal_v1,
    universal_v2,
    universal_v3,
    universal_v4,
    universal_v5,
    universal_v6,
    universal_v6_rl,
    universal_v7,
    universal_v7_rl_4b,
)
from interlingua.recipes.world import (
    demo,
    world,
    world_18,
    world_beliefs,
    world_karvonen,
    world_mini,
    world_pooled,
    world_rl_ablation,
    world_slots1,
    world_slots16,
    world_slots16_affine,
    world_three_groups,
    world_token,
)
from interlingua.specs.recipe import Recipe

DEFAULT_NAME = "recipe"  # of the function in a file of one's own

RECIPES: dict[str, Callable[[], Recipe]] = {
    "demo": demo,
    "world_mini": world_mini,
    "world": world,
    "world_pooled": world_pooled,
    "world_beliefs": world_beliefs,
    "world_three_groups": world_three_groups,
    "world_rl_ablation": world_rl_ablation,
    "world_18": world_18,
    "world_token": world_token,
    "world_karvonen": world_karvonen,
    "world_slots16_affine": world_slots16_affine,
    "world_slots16": world_slots16,
    "world_slots1": world_slots1,
    "world_sound": world_sound,
    "world_lora": world_lora,
    "world_collapsed": world_collapsed,
    "world_mixed_teachers": world_mixed_teachers,
    "world_terse": world_terse,
    "world_wrong_decoder": world_wrong_decoder,
}

# They need a hub, a key and cards: --preflight says which of them are there.
PUBLISHED: dict[str, Callable[[], Recipe]] = {
    make.__name__: make
    for make in (
        universal_v1,
        universal_v2,
        universal_v3,
        universal_v4,
        universal_v5,
        universal_v6,
        universal_v6_rl,
        universal_v7,
        universal_v7_rl_4b,
        nano_qwen3_8b_L24,
        slots16_affine_qwen3_8b,
        slots1_qwen3_8b,
        release_qwen2p5_7b_L20,
        release_gemma3_12b_L32,
        release_gemma3_27b_L41,
        release_llama3p3_70b_L53,
    )
}

# They need something to be set.
OWN: dict[str, Callable[[], Recipe]] = {"mine": mine}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name; FILE.py[:NAME] is a function of one's own."""
    if name.endswith(".py") or ".py:" in name:
        path, _, function = name.partition(".py:")
        return _recipe_in(f"{path.removesuffix('.py')}.py", function or DEFAULT_NAME)
    if make := (RECIPES | OWN | PUBLISHED).get(name):
        return make()
    names = [*RECIPES, *OWN, *PUBLISHED]
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}" if near else ""
    raise ValueError(f"no recipe {name!r}{hint}; there are: {', '.join(names)}")


def _recipe_in(path: str, name: str) -> Recipe:
    """The recipe that the function of that name in a file returns."""
    if not Path(path).is_file():
        raise ValueError(f"{path} is not there; a recipe of your own is FILE.py:NAME")
    try:
        make = runpy.run_path(path).get(name)
    except Exception as error:
        raise ValueError(f"{path} cannot be run: {_line(error)}; correct it there") from error
    if not callable(make):
        raise ValueError(f"{path} has no function {name}; a recipe of your own is FILE.py:NAME")
    try:
        made = make()
    except Exception as error:
        raise ValueError(f"{name} of {path} raised {_line(error)}; correct it there") from error
    if not isinstance(made, Recipe):
        raise ValueError(f"{name} of {path} returned a {type(made).__name__}; it must be a Recipe")
    return made


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
