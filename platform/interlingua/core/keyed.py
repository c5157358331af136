"""Draws that depend on what they are for, never on what was drawn before."""

import hashlib
import random


def seed_of(*parts: int | str) -> int:
    """31 bits that the parts determine, on every machine and in every version of Python.

    `seed_of(spec.seed, step, rank)`: another step or rank is another stream, whatever ran before.
    """
    # sha256: Python's own hash() of a string is salted anew in every process.
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def keyed_random(*key: object) -> random.Random:
    """A generator that depends on the key alone, on every machine."""
    return random.Random("|".join(map(str, key)))
