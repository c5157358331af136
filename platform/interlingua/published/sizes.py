"""The size of a stand-in, for tables of memory before anything starts. Knows no model."""

from dataclasses import fields, replace

from interlingua.published.hosts import pool_host
from interlingua.specs.hosts import AtBlock, HostSize, PoolHost, tiny_size
from interlingua.specs.world import WorldHostSpec


def stand_in_size(host: WorldHostSpec) -> PoolHost:
    """The pool's host at the size of its stand-in; its vocabulary may come out smaller."""
    published = pool_host(host.stands_for)
    size = tiny_size(
        published,
        width=host.width,
        num_blocks=host.num_blocks,
        num_heads=host.num_heads,
        vocab_size=host.tokenizer.vocab_size,
        max_positions=host.max_positions,
    )
    sizes = {field.name: getattr(size, field.name) for field in fields(HostSize)}
    # Block and family fields of the original are of its own depth, which the stand-in lacks.
    return replace(
        published, **sizes, block=AtBlock(index=0), num_parameters=None, family_fields=()
    )
