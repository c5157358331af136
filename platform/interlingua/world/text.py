"""Passages made from facts, with the place where each fact stands. Knows no model."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from interlingua.core.keyed import keyed_random
from interlingua.specs.world import WorldSpec
from interlingua.store.rows.passages import Mention
from interlingua.world import lexicon
from interlingua.world.facts import Facts, Problem, facts_of
from interlingua.world.languages import Words, in_ruska

Slots = Mapping[
    str, tuple[tuple[str, ...], Sequence[str]]
]  # slot -> the facts it states, its choices

_NO_SPACE_BEFORE = frozenset(".,:?")
# States topic, style, mood, role and object, so that every passage does.
_FULL_CLAUSE = "the {who} {verb} the {adjective} {what} with the {thing} {setting}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question, and the worked chain that ends in `#### n`: a document of its own."""

    question: str
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One passage: its text, the places of its facts, and its problem as a task."""

    text: str
    mentions: tuple[Mention, ...]
    facts: Facts
    task: Task | None

    def as_strings(self) -> dict[str, str]:
        """Every fact as text, for storage and scoring; without a task its texts are empty."""
        question, worked = (self.task.question, self.task.chain) if self.task else ("", "")
        return {**self.facts.as_strings(), "question": question, "chain": worked}


def tellings(world: WorldSpec, start: int, stop: int) -> Iterator[Telling]:
    """Passages start..stop-1 of a world, one at a time."""
    return (telling_of(index, world) for index in range(start, stop))


def telling_of(index: int, world: WorldSpec) -> Telling:
    """Passage `index` of a world."""
    facts = facts_of(index, world)
    # A generator of its own: facts do not change with the number of sentences about them.
    rng = keyed_random("text", world.seed, index)
    text, mentions = _joined(_in_language(facts, _body(facts, rng, world)))
    task = None
    if facts.problem is not None:
        question, _ = _joined(_in_language(facts, _question(facts, facts.problem, rng)))
        task = Task(question=question, chain=chain_of(facts.problem))
    return Telling(text=text, mentions=mentions, facts=facts, task=task)


def chain_of(problem: Problem) -> str:
    """The worked chain, ending in the answer."""
    total = problem.first + problem.second
    steps = f"{problem.first} + {problem.second} = {total}."
    if problem.loss is not None:
        steps += f" {total} - {problem.loss} = {problem.answer}."
    return f"{steps} #### {problem.answer}"


def _in_language(facts: Facts, words: Words) -> Words:
    # Before the words are joined: places of facts are those in the final order.
    return words if facts.values["language"] == lexicon.LANGUAGES[0] else in_ruska(words)


def _body(facts: Facts, rng: random.Random, world: WorldSpec) -> Words:
    style, slots = facts.values["style"], _slots(facts)
    num_sentences = rng.randint(world.min_sentences, world.max_sentences)
    clauses = [_FULL_CLAUSE, *(rng.choice(lexicon.CLAUSES) for _ in range(num_sentences - 1))]
    clauses[rng.randrange(num_sentences)] += " {sky}"
    rng.shuffle(clauses)
    sentences = []
    for clause in clauses:
        is_framed = rng.random() < world.framed_share
        frame = rng.choice(lexicon.FRAMES[style]) if is_framed else "{clause} ."
        sentences.append(_framed(clause, frame, slots, rng))
    if facts.has_quote:
        quote = list(_filled(rng.choice(lexicon.QUOTES), slots, rng))
        sentences.insert(rng.randrange(num_sentences + 1), quote)
    opening, closing = rng.choice(lexicon.OPENINGS[style]), rng.choice(lexicon.CLOSINGS[style])
    return [
        *_filled(opening, slots, rng, states=("style",)),
        *chain.from_iterable(sentences),
        *_filled(closing, slots, rng, states=("style",)),
    ]


def _framed(clause: str, frame: str, slots: Slots, rng: random.Random) -> Words:
    before, _, after = frame.partition("{clause}")
    return [
        *_filled(before, slots, rng, states=("style",)),
        *_filled(clause, slots, rng),
        *_filled(after, slots, rng, states=("style",)),
    ]


def _question(facts: Facts, problem: Problem, rng: random.Random) -> Words:
    noun = rng.choice(lexicon.TOPIC_NOUNS[facts.values["topic"]])
    slots = {
        "person": (("person",), (facts.values["person"],)),
        "noun": (("topic",), (noun,)),
        "a": ((), (str(problem.first),)),
        "b": ((), (str(problem.second),)),
        "c": ((), (str(problem.loss),)),
    }
    return list(_filled(lexicon.PROBLEMS[problem.loss is not None], slots, rng))


def _slots(facts: Facts) -> Slots:
    values = facts.values
    topic, mood, role = (values[fact] for fact in ("topic", "mood", "role"))
    return {
        **{name: ((name,), (value,)) for name, value in values.items()},
        "noun": (("topic",), lexicon.TOPIC_NOUNS[topic]),
        "kind": (("topic",), (lexicon.TOPIC_KINDS[topic],)),
        "verb": (("topic",), lexicon.TOPIC_VERBS[topic]),
        "adjective": (("mood",), lexicon.MOOD_ADJECTIVES[mood]),
        "setting": (("topic", "mood"), (lexicon.SETTINGS[topic][mood],)),
        "look": (("role",), (lexicon.LOOKS[role],)),
        "trait": (("role", "mood"), (lexicon.TRAITS[role][mood],)),
        "make": (("object",), (lexicon.MAKES[values["object"]],)),
        "sky": (("weather",), (lexicon.SKIES[values["weather"]],)),
    }


def _filled(
    template: str, slots: Slots, rng: random.Random, *, states: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The words of a template, each with the facts that it states: those around slots `states`."""
    for word in template.split():
        name = word.strip("{}")
        if name in lexicon.PHRASES and word != name:
            yield from _filled(lexicon.PHRASES[name], slots, rng)
        elif word != name:
            facts, choices = slots[name]
            yield from ((filling, facts) for filling in rng.choice(choices).split())
        else:
            yield word, states


def _joined(words: Words) -> tuple[str, tuple[Mention, ...]]:
    """The words as text without a space before punctuation, and the places of the facts."""
    text, mentions, is_quote_open = "", [], False
    for word, facts in words:
        is_glued = word in _NO_SPACE_BEFORE or (word == '"' and is_quote_open)
        after_opening_quote = is_quote_open and text.endswith('"')
        if text and not is_glued and not after_opening_quote:
            text += " "
        if word == '"':
            is_quote_open = not is_quote_open
        if word not in _NO_SPACE_BEFORE:
            span = len(text), len(text) + len(word)
            mentions += [Mention(fact=fact, start=span[0], end=span[1]) for fact in facts]
        text += word
    return text, tuple(mentions)
