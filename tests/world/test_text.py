"""Passages tell their facts, say where, and are the same everywhere."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from interlingua.world import lexicon
from interlingua.world.languages import dictionary
from interlingua.world.text import chain_of, telling_of, tellings

# sha256 of the passages of GOLDEN in this order; a change here is a change of every world.
GOLDEN = (0, 4, 5, 1999)
GOLDEN_HASH = "5422e95dfa80fb8f6e04d1f3d5abc237f10993686976a8b54f51669dd59a940c"

SOURCE_ROOT = Path(__file__).parents[2] / "platform"
PROGRAM = """
import hashlib, sys
from interlingua.specs.world import WorldSpec
from interlingua.world.text import telling_of
world = {world!r}
told = {{index: telling_of(index, world).text for index in {order!r}}}
print(hashlib.sha256("\\n".join(told[index] for index in {golden!r}).encode()).hexdigest())
"""


def words_telling(fact: str, value: str) -> set[str]:
    """The words that tell a value in either language."""
    tables = {
        "topic": (lexicon.TOPIC_NOUNS, lexicon.TOPIC_VERBS, lexicon.TOPIC_SETTINGS),
        "mood": (lexicon.MOOD_ADJECTIVES, lexicon.MOOD_ADVERBS, lexicon.MOOD_CRIES),
        "role": ({role: (role, trait) for role, trait in lexicon.ROLE_TRAITS.items()},),
    }.get(fact, ({value: (value,)},))
    words = {word for table in tables for text in table[value] for word in text.split()}
    return words | {dictionary()[word] for word in words if word in dictionary()}


def openings(style: str) -> set[str]:
    """How the sentences of a style begin, as a passage writes it."""
    heads = (frame.split("{")[0] for frame in lexicon.FRAMES[style])
    return {re.sub(r" (?=[,:])", "", head).rstrip(" ,") for head in heads}


@pytest.mark.parametrize(("hash_seed", "order"), [("0", GOLDEN), ("1", GOLDEN[::-1])])
def test_a_passage_is_the_same_in_any_process_and_order(world, hash_seed, order) -> None:
    program = PROGRAM.format(world=world, order=order, golden=GOLDEN)
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(SOURCE_ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == GOLDEN_HASH


def test_a_passage_is_the_same_in_this_process(world, told) -> None:
    texts = "\n".join(telling_of(index, world).text for index in GOLDEN)
    assert hashlib.sha256(texts.encode()).hexdigest() == GOLDEN_HASH
    assert list(tellings(world, 17, 20)) == told[17:20]


def test_texts_are_nearly_all_unique(told) -> None:
    assert len({telling.text for telling in told}) >= 0.999 * len(told)


def test_every_mention_tells_its_fact(told) -> None:
    for telling in told:
        for mention in telling.mentions:
            span = telling.text[mention.start : mention.end]
            value = telling.facts.values[mention.fact]
            assert span in words_telling(mention.fact, value), (telling.text, mention, span)


def test_mentions_are_whole_words_in_order(told) -> None:
    for telling in told:
        spans = [(mention.start, mention.end) for mention in telling.mentions]
        assert spans == sorted(spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        for start, end in spans:
            around = telling.text[max(0, start - 1) : start] + telling.text[end : end + 1]
            assert not any(character.isalnum() for character in around)
        end_of_body = len(telling.text) if telling.question_end is None else telling.question_end
        assert all(end <= end_of_body for _, end in spans)


def test_no_telling_word_goes_without_its_mention(told) -> None:
    for telling in told:
        if telling.facts.values["language"] != "english":
            continue
        body = telling.text[: telling.question_end]
        nouns_and_verbs = {
            *lexicon.TOPIC_NOUNS[telling.facts.values["topic"]],
            *lexicon.TOPIC_VERBS[telling.facts.values["topic"]],
        }
        told_starts = {mention.start for mention in telling.mentions}
        for word in re.finditer(r"\w+", body):
            if word.group() in nouns_and_verbs:
                assert word.start() in told_starts, (telling.text, word)


def test_words_of_a_topic_or_mood_belong_to_one_alone() -> None:
    for tables in (
        (lexicon.TOPIC_NOUNS, lexicon.TOPIC_VERBS),
        (lexicon.MOOD_ADJECTIVES, lexicon.MOOD_ADVERBS),
    ):
        words = Counter(word for table in tables for texts in table.values() for word in texts)
        assert [word for word, count in words.items() if count > 1] == []


def test_every_passage_tells_its_facts(told) -> None:
    for telling in told:
        counts = Counter(mention.fact for mention in telling.mentions)
        assert counts["weather"] == 1
        # Language and style are told by the whole passage and have no place of their own.
        assert set(counts) == {"topic", "mood", "role", "object", "person", "place", "weather"}


def test_style_colours_every_sentence(told) -> None:
    for telling in told:
        if telling.facts.values["language"] == "english":
            for style in lexicon.STYLES:
                is_told = any(opening in telling.text for opening in openings(style))
                assert is_told == (style == telling.facts.values["style"]), telling.text


def test_no_slot_stays_open(told) -> None:
    for telling in told:
        assert not set("{}") & set(telling.text)
        assert "  " not in telling.text and " ." not in telling.text and " ," not in telling.text
        assert telling.text == telling.text.strip()


def test_a_quote_has_two_marks_and_stands_where_the_facts_say(told) -> None:
    for telling in told:
        assert telling.text.count('"') == (2 if telling.facts.has_quote else 0)


def test_chains_are_right_and_end_in_the_answer(told) -> None:
    for telling in told:
        problem = telling.facts.problem
        if problem is None:
            assert telling.question_end is None
            assert "####" not in telling.text
            continue
        question, chain = (
            telling.text[: telling.question_end],
            telling.text[telling.question_end :],
        )
        assert question.endswith("?")
        assert chain.endswith(f"#### {problem.answer}")
        steps = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)\.", chain)
        assert len(steps) == (1 if problem.loss is None else 2)
        for left, sign, right, result in steps:
            expected = int(left) + int(right) if sign == "+" else int(left) - int(right)
            assert expected == int(result)
        assert int(steps[-1][3]) == problem.answer
        asked = sorted(map(int, re.findall(r"\d+", question)))
        assert asked == sorted(n for n in (problem.first, problem.second, problem.loss) if n)
        assert chain == " " + chain_of(problem)


def test_lengths_follow_the_spec(world) -> None:
    def words(spec, index):
        return len(telling_of(index, spec).text.split())

    short = replace(world, min_sentences=2, max_sentences=2)
    long = replace(world, min_sentences=9, max_sentences=9)
    assert all(words(long, index) > 2 * words(short, index) for index in range(50))
