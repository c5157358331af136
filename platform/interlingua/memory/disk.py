"""Bytes that a recipe leaves on disk, from dimensions: rows and checkpoints. Pure numbers."""

from collections.abc import Sequence

from interlingua.memory.parameters import RoleSize

ROW_BYTES = 4  # rows are stored in fp32
CHECKPOINTS = 2  # the newest, and the one that it replaces


def rows_bytes(num_rows: int, widths: Sequence[int]) -> int:
    """Bytes of rows of hosts of these widths."""
    return ROW_BYTES * num_rows * sum(widths)


def checkpoint_bytes(sizes: Sequence[RoleSize]) -> int:
    """Bytes of checkpoints of these roles while they train, and of their best weights."""
    # Masters and two moments of what is trained, in fp32; the best weights once more.
    return sum((CHECKPOINTS * 3 + 1) * ROW_BYTES * size.num_trained for size in sizes)
