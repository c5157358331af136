"""The memory of the roles of a run under its placement, before any model is opened."""

from collections.abc import Sequence

from interlingua.memory.roles import (
    MEMORY_COLUMNS,
    RoleMemory,
    Shapes,
    groups_memory,
    single_memory,
)
from interlingua.memory.table import table_lines
from interlingua.specs.hosts import PoolHost
from interlingua.specs.placement import Single, ThreeGroups
from interlingua.specs.rl import RlTraining


def run_memory(
    trunk: PoolHost, spec: RlTraining, place: Single | ThreeGroups
) -> tuple[RoleMemory, ...]:
    """A row for each role, or one for all of them; the size of their devices is not known here."""
    shapes = shapes_of(spec)
    if isinstance(place, Single):
        row = single_memory(trunk, spec.av, spec.ar, shapes=shapes, place=place, device_bytes=None)
        return (row,)
    return groups_memory(trunk, spec.av, spec.ar, shapes=shapes, place=place, device_bytes=None)


def memory_lines(rows: Sequence[RoleMemory]) -> list[str]:
    """The table under its title."""
    table = table_lines(MEMORY_COLUMNS, [row.cells() for row in rows])
    return ["reinforcement learning, memory of every role at its peak, in GiB:", *table]


def shapes_of(spec: RlTraining) -> Shapes:
    """Upper bounds of the tokens of a run: no token is shorter than a character."""
    tag = max(map(len, spec.host_tags))
    return Shapes(
        # The names of the fields are still in the template: they only add to the bound.
        prompt_tokens=len(spec.av.template) + tag + spec.av.injection.num_slots,
        new_tokens=spec.rl.max_new_tokens,
        ar_tokens=spec.ar.max_tokens,
        num_samples=spec.rl.num_samples,
    )
