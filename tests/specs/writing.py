"""A recipe as small as world_mini whose AV has learned to write."""

from dataclasses import replace

from interlingua.recipes.world import world_mini
from interlingua.specs.recipe import Recipe


def writing_mini() -> Recipe:
    """World_mini with an AV that is trained whole, and longer: most samples close their tags."""
    mini = world_mini()
    optim = replace(mini.av.optim, learning_rate=1e-2)
    watch = replace(mini.av.watch, validate_every=100, checkpoint_every=100)
    av = replace(mini.av, lora=None, num_steps=100, batch_rows=16, optim=optim, watch=watch)
    return replace(mini, av=av)
