"""The demo in miniature: its name and hosts, every kind of stage, and models that learn nothing."""

from dataclasses import replace

from tests.full.whole import whole_mini

from interlingua.recipes import world
from interlingua.specs.recipe import Recipe
from interlingua.specs.world import WorldHostSpec


def demo() -> Recipe:
    """Its artifacts have the names of the demo's, so that README's patterns find them."""
    whole, mini = world.demo(), whole_mini()
    [like] = [host.source for host in mini.hosts if host.tag == whole.anchor]
    assert isinstance(like, WorldHostSpec)

    def small(source: object) -> WorldHostSpec:
        assert isinstance(source, WorldHostSpec)
        pretrain = replace(like.pretrain, seed=source.pretrain.seed)
        return replace(
            source,
            width=like.width,
            num_blocks=like.num_blocks,
            pretrain=pretrain,
            dev_passages=like.dev_passages,
        )

    return replace(
        mini,
        name="demo",
        # Encoders as the demo has them: where the AV trains its own, a sweep of slots has many ARs.
        av=replace(mini.av, encoder_learning_rate=whole.av.encoder_learning_rate),
        hosts=tuple(replace(host, source=small(host.source)) for host in whole.hosts),
        trained=whole.trained,
        held_out=whole.held_out,
    )


__all__ = ["demo"]
