"""Ruska: a fixed dictionary, its own order, and facts that stay with their words."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from interlingua.world import lexicon
from interlingua.world.languages import dictionary, in_ruska, words_of_english

SOURCE_ROOT = Path(__file__).parents[2] / "platform"
PROGRAM = """
import hashlib
from interlingua.world.languages import dictionary, in_ruska
in_ruska([(word, None) for word in ("zebra", "the", "farm", "lantern")])
print(hashlib.sha256(repr(sorted(dictionary().items())).encode()).hexdigest())
"""
NAMES = (*lexicon.PERSONS, *lexicon.PLACES)
PLAIN = st.sampled_from([*words_of_english(), *NAMES, "7", "12", ",", ".", '"', "?"])
WORDS = st.lists(st.tuples(PLAIN, st.sampled_from([None, "topic", "mood"])), max_size=30)
ARTICLES = {"the", "a", "an"}


def test_the_dictionary_is_one_to_one() -> None:
    known = dictionary()
    assert set(known) == set(words_of_english())
    assert len(set(known.values())) == len(known)
    assert len(known) > 100


def test_ruska_looks_like_no_english_word() -> None:
    assert all(not character.isascii() for word in dictionary().values() for character in word)
    assert all(word.isalpha() and word.islower() for word in dictionary().values())


def test_the_dictionary_is_the_same_in_every_process() -> None:
    here = hashlib.sha256(repr(sorted(dictionary().items())).encode()).hexdigest()
    for hash_seed in ("0", "1"):
        there = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(SOURCE_ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_names_numbers_and_punctuation_are_shared() -> None:
    shared = [(word, ()) for word in (*NAMES, "3", "12", ".", ",", "?", '"')]
    assert Counter(in_ruska(shared)) == Counter(shared)
    assert not {name.lower() for name in NAMES} & set(dictionary())


def test_a_capital_letter_does_not_make_another_word() -> None:
    known = dictionary()
    assert in_ruska([("I", ())]) == [(known["i"], ())]


def test_plain_words_change_places() -> None:
    words = [(word, ()) for word in ("Pavel", "Mira", "Oskar", "Lena", "Tomas", "Vera", "Anton")]
    order = [word for word, _ in in_ruska(words)]
    assert order == ["Pavel", "Oskar", "Mira", "Lena", "Tomas", "Anton", "Vera"]


def test_a_sentence_in_ruska_ends_where_it_ended(told) -> None:
    for telling in told:
        if telling.facts.values["language"] == "ruska":
            assert telling.text.endswith(".")
            assert telling.task is None or telling.task.question.endswith("?")


@given(WORDS)
def test_no_word_is_lost_and_each_keeps_its_fact(words) -> None:
    known = dictionary()
    kept = [(word, fact) for word, fact in words if word.lower() not in ARTICLES]
    expected = Counter((known.get(word.lower(), word), fact) for word, fact in kept)
    assert Counter(in_ruska(words)) == expected


@given(WORDS)
def test_punctuation_stays_in_its_place(words) -> None:
    kept = [word for word, _ in words if word.lower() not in ARTICLES]
    told = [word for word, _ in in_ruska(words)]
    places = [i for i, word in enumerate(kept) if not word.isalpha()]
    assert [told[i] for i in places] == [kept[i] for i in places]


def test_languages_of_passages_tell_themselves_apart(told) -> None:
    """The words around the facts are Ruska's own in Ruska, and English in English."""
    ruska = set(dictionary().values())
    for telling in told:
        words = {word.strip('.,:?"') for word in telling.text.lower().split()}
        if telling.facts.values["language"] == "ruska":
            assert not words & set(dictionary())
            assert len(words & ruska) >= 10
        else:
            assert not words & ruska
            assert not any(word.isalpha() and not word.isascii() for word in words)
