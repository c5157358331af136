"""Passages tell their facts, say where, and are the same everywhere."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from interlingua.core.spans import sentences
from interlingua.world import lexicon
from interlingua.world.languages import dictionary
from interlingua.world.text import chain_of, telling_of, tellings

# sha256 of the passages of GOLDEN in this order; a change here is a change of every world.
GOLDEN = (0, 4, 5, 1999)
GOLDEN_HASH = "a75ca012bce3f5374a432260b2013c0674ac761c1ce89cc4a8fc93a1b88b6171"

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
    """The words that tell a value in either language, with whatever other facts they tell."""
    tables = {
        "topic": (lexicon.TOPIC_NOUNS, lexicon.TOPIC_VERBS, lexicon.TOPIC_KINDS, lexicon.SETTINGS),
        "mood": (lexicon.MOOD_ADJECTIVES, *_by_second(lexicon.SETTINGS, lexicon.TRAITS)),
        "role": (lexicon.LOOKS, lexicon.TRAITS),
        "object": (lexicon.MAKES,),
        "weather": (lexicon.SKIES,),
        "style": (lexicon.OPENINGS, lexicon.FRAMES, lexicon.CLOSINGS),
    }.get(fact, ())
    texts = [value, *(text for table in tables for text in _texts_of(table[value]))]
    words = {word for text in texts for word in text.split() if "{" not in word}
    return words | {dictionary()[word.lower()] for word in words if word.lower() in dictionary()}


def _by_second(*tables):
    """The phrases of two facts, by the second of them."""
    for table in tables:
        yield {value: [of_first[value] for of_first in table.values()] for value in lexicon.MOODS}


def _texts_of(texts) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    return list(texts.values() if isinstance(texts, Mapping) else texts)


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
        # A word may state two facts: its span is there twice.
        assert all(end <= start for (_, end), (start, _) in pairwise(sorted(set(spans))))
        for start, end in spans:
            around = telling.text[max(0, start - 1) : start] + telling.text[end : end + 1]
            assert not any(character.isalnum() for character in around)
        assert all(end <= len(telling.text) for _, end in spans)


def test_no_telling_word_goes_without_its_mention(told) -> None:
    for telling in told:
        if telling.facts.values["language"] != "english":
            continue
        nouns_and_verbs = {
            *lexicon.TOPIC_NOUNS[telling.facts.values["topic"]],
            *lexicon.TOPIC_VERBS[telling.facts.values["topic"]],
        }
        told_starts = {mention.start for mention in telling.mentions}
        for word in re.finditer(r"\w+", telling.text):
            if word.group() in nouns_and_verbs:
                assert word.start() in told_starts, (telling.text, word)


def test_words_of_a_topic_or_mood_belong_to_one_alone() -> None:
    for tables in (
        (lexicon.TOPIC_NOUNS, lexicon.TOPIC_VERBS),
        (lexicon.MOOD_ADJECTIVES,),
    ):
        words = Counter(word for table in tables for texts in table.values() for word in texts)
        assert [word for word, count in words.items() if count > 1] == []


def test_every_passage_tells_its_facts(told) -> None:
    for telling in told:
        facts = {mention.fact for mention in telling.mentions}
        # Language is told by every word and has no place of its own.
        assert facts - {"person"} == {
            "topic",
            "style",
            "mood",
            "role",
            "object",
            "place",
            "weather",
        }


def test_style_colours_its_share_of_sentences_and_no_other_style_any(told, world) -> None:
    framed = []
    for telling in told:
        if telling.facts.values["language"] == "english":
            own = telling.facts.values["style"]
            for style in set(lexicon.STYLES) - {own}:
                assert not any(opening in telling.text for opening in openings(style))
            _, *inner, _ = sentences(telling.text)
            starts = [telling.text[start:] for start, _ in inner]
            framed += [any(text.startswith(head) for head in openings(own)) for text in starts]
    # Quotations have no frame; some frames begin with the sentence itself and are not counted.
    assert 0.5 * world.framed_share < sum(framed) / len(framed) < world.framed_share


def test_what_two_facts_say_together_is_no_sum_of_what_each_says() -> None:
    """In the phrases of a place and of a person no word goes with one of its two facts alone."""
    for table in (lexicon.SETTINGS, lexicon.TRAITS):
        phrases = [phrase for by_mood in table.values() for phrase in by_mood.values()]
        assert len(set(phrases)) == len(table) * len(lexicon.MOODS)
        words = Counter(word for phrase in phrases for word in set(phrase.split()))
        telling = [word for word, count in words.items() if count == 1]
        assert len(telling) >= 2 * len(phrases)


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
        assert "####" not in telling.text
        if problem is None:
            assert telling.task is None
            continue
        question, chain = telling.task.question, telling.task.chain
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
        assert chain == chain_of(problem)


def test_lengths_follow_the_spec(world) -> None:
    def words(spec, index):
        return len(telling_of(index, spec).text.split())

    short = replace(world, min_sentences=2, max_sentences=2)
    long = replace(world, min_sentences=9, max_sentences=9)
    assert all(words(long, index) > 2 * words(short, index) for index in range(50))
