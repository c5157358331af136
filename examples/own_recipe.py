"""A recipe of one's own: `python -m jobs.run examples/own_recipe.py:two_slots`.

A recipe is a function that returns one frozen value; `replace` makes it from another. This one asks
what a second marker in the AV's prompt is worth, and has seconds to answer: scores are meaningless.
"""

from dataclasses import replace

from interlingua.recipes.world import world_mini
from interlingua.specs.recipe import Recipe


def two_slots() -> Recipe:
    """Smoke test with two slots instead of four."""
    mini = world_mini()
    injection = replace(mini.av.injection, num_slots=2)
    return replace(mini, name="two_slots", av=replace(mini.av, injection=injection))
