"""Passages made from facts, with the place where each fact stands. Knows no model."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from interlingua.specs.world import WorldSpec
from interlingua.store.rows.passages import Mention
from interlingua.world import lexicon
from interlingua.world.facts import Facts, Problem, facts_of, keyed_random
from interlingua.world.languages import Words, in_ruska

Slots = Mapping[str, tuple[str | None, Sequence[str]]]  # slot -> the fact it states, its choices

_NO_SPACE_BEFORE = frozenset(".,:?")
_OBJECT_CLAUSES = tuple(clause for clause in lexicon.CLAUSES if "{object}" in clause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One passage: its text, the places of its facts, and where its problem's answer begins."""

    text: str
    mentions: tuple[Mention, ...]
    facts: Facts
    question_end: int | None  # what follows is the worked chain, ending in `#### n`


def tellings(world: WorldSpec, start: int, stop: int) -> Iterator[Telling]:
    """Passages start..stop-1 of a world, one at a time."""
    return (telling_of(index, world) for index in range(start, stop))


def telling_of(index: int, world: WorldSpec) -> Telling:
    """Passage `index` of a world."""
    facts = facts_of(index, world)
    # A generator of its own: facts do not change with the number of sentences about them.
    rng = keyed_random("text", world.seed, index)
    words = _body(facts, rng, rng.randint(world.min_sentences, world.max_sentences))
    words += _question(facts, rng)
    if facts.values["language"] == lexicon.LANGUAGES[1]:
        # Before the words are joined: places of facts are those in the final order.
        words = in_ruska(words)
    text, mentions = _joined(words)
    question_end = None
    if facts.problem is not None:
        question_end = len(text)
        text += " " + chain_of(facts.problem)
    return Telling(text=text, mentions=mentions, facts=facts, question_end=question_end)


def chain_of(problem: Problem) -> str:
    """The worked chain, ending in the answer."""
    total = problem.first + problem.second
    steps = f"{problem.first} + {problem.second} = {total}."
    if problem.loss is not None:
        steps += f" {total} - {problem.loss} = {problem.answer}."
    return f"{steps} #### {problem.answer}"


def _body(facts: Facts, rng: random.Random, num_sentences: int) -> Words:
    style = facts.values["style"]
    # Every fact is stated: a clause with an object states topic, mood and role, too.
    clauses = [rng.choice(_OBJECT_CLAUSES), rng.choice(lexicon.WEATHER_CLAUSES)]
    clauses += [rng.choice(lexicon.CLAUSES) for _ in range(num_sentences - len(clauses))]
    rng.shuffle(clauses)
    sentences = [rng.choice(lexicon.FRAMES[style]).replace("{clause}", c) for c in clauses]
    if facts.has_quote:
        sentences.insert(rng.randrange(num_sentences + 1), rng.choice(lexicon.QUOTES))
    sentences.insert(0, rng.choice(lexicon.OPENINGS[style]))
    sentences.append(rng.choice(lexicon.CLOSINGS[style]))
    slots = _slots(facts)
    return [word for sentence in sentences for word in _filled(sentence, slots, rng)]


def _question(facts: Facts, rng: random.Random) -> Words:
    problem = facts.problem
    if problem is None:
        return []
    noun = rng.choice(lexicon.TOPIC_NOUNS[facts.values["topic"]])
    slots = {
        "person": ("person", (facts.values["person"],)),
        "noun": ("topic", (noun,)),
        "a": (None, (str(problem.first),)),
        "b": (None, (str(problem.second),)),
        "c": (None, (str(problem.loss),)),
    }
    return list(_filled(lexicon.PROBLEMS[problem.loss is not None], slots, rng))


def _slots(facts: Facts) -> Slots:
    topic, mood = facts.values["topic"], facts.values["mood"]
    return {
        **{name: (name, (value,)) for name, value in facts.values.items()},
        "noun": ("topic", lexicon.TOPIC_NOUNS[topic]),
        "verb": ("topic", lexicon.TOPIC_VERBS[topic]),
        "adjective": ("mood", lexicon.MOOD_ADJECTIVES[mood]),
        "adverb": ("mood", lexicon.MOOD_ADVERBS[mood]),
        "setting": ("topic", lexicon.TOPIC_SETTINGS[topic]),
        "trait": ("role", (lexicon.ROLE_TRAITS[facts.values["role"]],)),
        "cry": ("mood", lexicon.MOOD_CRIES[mood]),
    }


def _filled(template: str, slots: Slots, rng: random.Random) -> Iterator[tuple[str, str | None]]:
    for word in template.split():
        if word.startswith("{"):
            fact, choices = slots[word.strip("{}")]
            yield from ((filling, fact) for filling in rng.choice(choices).split())
        else:
            yield word, None


def _joined(words: Words) -> tuple[str, tuple[Mention, ...]]:
    """The words as text without a space before punctuation, and the places of the facts."""
    text, mentions, is_quote_open = "", [], False
    for word, fact in words:
        is_glued = word in _NO_SPACE_BEFORE or (word == '"' and is_quote_open)
        after_opening_quote = is_quote_open and text.endswith('"')
        if text and not is_glued and not after_opening_quote:
            text += " "
        if word == '"':
            is_quote_open = not is_quote_open
        if fact is not None and word not in _NO_SPACE_BEFORE:
            mentions.append(Mention(fact=fact, start=len(text), end=len(text) + len(word)))
        text += word
    return text, tuple(mentions)
