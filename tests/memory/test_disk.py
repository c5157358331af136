"""Bytes that a recipe leaves on disk, counted by hand."""

from interlingua.memory.disk import checkpoint_bytes, rows_bytes
from interlingua.memory.parameters import RoleSize


def test_rows_are_fp32():
    assert rows_bytes(10, [3, 5]) == 10 * (3 + 5) * 4


def test_a_checkpoint_has_masters_and_moments_and_is_there_twice_for_a_moment():
    av = RoleSize(role="av", num_parameters=1000, num_trained=10, dtype="bfloat16")
    frozen = RoleSize(role="av_init", num_parameters=1000, num_trained=0, dtype="bfloat16")
    assert checkpoint_bytes([av, frozen]) == 2 * 10 * (4 + 8) + 10 * 4
