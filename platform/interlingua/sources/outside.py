"""Texts that a corpus of prose does not resemble: code, another language, noise.

An AV has never learned from their activations, and writes as fluently about them as about any
other. They are here to see whether that is noticed.
"""

import random
import string

from interlingua.core.keyed import keyed_random

KINDS = ("code", "french", "noise")

_NAMES = ("rows", "total", "price", "index", "buffer", "node", "queue", "offset", "token", "cache")
_LINES = (
    "def {a}({b}, {c}=None):",
    "    for {a} in range(len({b})):",
    "        {a}[{b}] += {c}.{a} * {n}",
    "    return [{a} for {a} in {b} if {a} != {n}]",
    "    if {a} is None or {b} >= {n}: raise ValueError('{c}')",
    "import {a}, {b}  # {c}",
    "    {a} = {{'{b}': {n}, '{c}': [{n}, {n}]}}",
    "    while {a} < {n} and not {b}.{c}():",
)
_FRENCH = (
    ("le matin", "chaque soir", "hier", "pendant la nuit", "depuis longtemps"),
    ("ma voisine", "un enfant", "le facteur", "cette femme", "notre ami"),
    ("regarde", "cherche", "oublie", "prépare", "dessine"),
    ("une lettre", "son chapeau", "la fenêtre ouverte", "du pain frais", "les étoiles"),
    ("dans le jardin", "près de la rivière", "sans rien dire", "avec patience", "sous la pluie"),
)


def outside_texts(kind: str, number: int, *, seed: int) -> list[str]:
    """The first `number` texts of a kind, each of a few lines or sentences."""
    make = {"code": _code, "french": _french, "noise": _noise}[kind]
    return [make(keyed_random("outside", kind, seed, index)) for index in range(number)]


def _code(rng: random.Random) -> str:
    lines = rng.sample(_LINES, 5)
    return "\n".join(
        line.format(a=rng.choice(_NAMES), b=rng.choice(_NAMES), c=rng.choice(_NAMES),
                    n=rng.randrange(100))
        for line in lines
    )  # fmt: skip


def _french(rng: random.Random) -> str:
    sentences = (", ".join((rng.choice(_FRENCH[0]), _clause(rng))) for _ in range(3))
    return " ".join(f"{sentence}." for sentence in sentences)


def _clause(rng: random.Random) -> str:
    return " ".join(rng.choice(words) for words in _FRENCH[1:])


def _noise(rng: random.Random) -> str:
    letters = string.ascii_lowercase + string.digits + "#%&*@"
    words = ("".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(30))
    return " ".join(words)
