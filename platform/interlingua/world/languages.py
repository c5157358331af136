"""Ruska, the second language: its own function words and word order. Knows no facts.

Names, numbers and content words (nouns, verbs, adjectives) are shared with English, as loans are
between related languages: a language that shared nothing would be most of a vector's variance.
"""

import hashlib
from collections.abc import Iterator
from functools import cache

from interlingua.world import lexicon

Words = list[tuple[str, tuple[str, ...]]]  # each word with the facts that it states

_CONSONANTS = "\u0431\u0432\u0433\u0434\u0436\u0437\u043a\u043b\u043c\u043d\u043f\u0440\u0441\u0442"
_VOWELS = "\u0430\u0435\u0438\u043e\u0443\u044f"
_ARTICLES = frozenset({"the", "a", "an"})


def words_of_english() -> tuple[str, ...]:
    """The words of all templates, sorted, without what fills their slots: those are shared."""
    shared = {*lexicon.PERSONS, *lexicon.PLACES}
    return tuple(sorted({word.lower() for text in _texts() for word in text.split()
                         if word.isalpha() and word not in shared}))  # fmt: skip


@cache
def dictionary() -> dict[str, str]:
    """English word -> Ruska word, one to one, the same in every process."""
    taken: dict[str, str] = {}
    # Sorted, so that of two words with one invention the same one has it in every process.
    for word in words_of_english():
        attempt = 0
        while (ruska := _invented(word, attempt)) in taken.values():
            attempt += 1
        taken[word] = ruska
    return taken


def in_ruska(words: Words) -> Words:
    """The words, each with the facts that it states, in Ruska and in its order.

    Articles are dropped and every second pair of plain words changes places.
    """
    known = dictionary()
    kept = [(word, facts) for word, facts in words if word.lower() not in _ARTICLES]
    out = [(known.get(word.lower(), word), facts) for word, facts in kept]
    for i in range(1, len(out) - 1, 4):
        if out[i][0].isalpha() and out[i + 1][0].isalpha():
            out[i], out[i + 1] = out[i + 1], out[i]
    return out


def _texts() -> Iterator[str]:
    for table in (lexicon.OPENINGS, lexicon.FRAMES, lexicon.CLOSINGS):
        for texts in table.values():
            yield from texts
    for of_two in (lexicon.SETTINGS, lexicon.TRAITS):
        for by_mood in of_two.values():
            yield from by_mood.values()
    yield from (*lexicon.CLAUSES, *lexicon.QUOTES, *lexicon.PROBLEMS)
    for of_one in (lexicon.TOPIC_KINDS, lexicon.LOOKS, lexicon.MAKES, lexicon.SKIES):
        yield from of_one.values()


def _invented(word: str, attempt: int) -> str:
    # Not `hash`: Python salts it anew in every process.
    digest = hashlib.sha256(f"{word}|{attempt}".encode()).digest()
    num_syllables = 1 + min(2, len(word) // 4)
    return "".join(
        _CONSONANTS[digest[2 * i] % len(_CONSONANTS)] + _VOWELS[digest[2 * i + 1] % len(_VOWELS)]
        for i in range(num_syllables)
    )
