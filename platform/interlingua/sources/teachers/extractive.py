"""Explanations without a model that explains: words of the text, chosen by rule.

A text names the words around the site, words up to it that are rare elsewhere (tf-idf), and, where
it is asked for, what a model says next. Knows no language: a word is a run of letters and digits;
scripts that are written without spaces are cut into pairs of characters.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, log
from random import Random
from typing import Protocol

from interlingua.core.keyed import keyed_random
from interlingua.core.spans import Span
from interlingua.sources.source import Explained, Site, Teacher
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExtractiveTeacher
from interlingua.specs.text.canonical import canonical_json
from interlingua.store.rows.passages import Passage

MOST_WORDS = 2_000_000  # that are counted; beyond it those that were met once are forgotten
AROUND = ('the text reads up to "{}"', 'the last words are "{}"', 'it has just read "{}"',
          'here stands "{}"')  # fmt: skip
SALIENT = ("it is about {}", "words that stand out: {}", "it mentions {}", "marked by {}")
NEXT = ('next comes "{}"', 'it would go on with "{}"', 'what follows may be "{}"')

# Thai, Lao, Burmese, Khmer, and what Chinese and Japanese are written in.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# Vowels and marks of Hebrew, Arabic and the scripts of India, which \w leaves out.
_MARKS = r"\u0300-\u036f\u0591-\u05bd\u064b-\u0652\u0900-\u0963\u0966-\u0dff"
_LETTER = rf"(?:(?![{_UNSPACED}])[\w{_MARKS}])"
_WORD = re.compile(rf"[{_UNSPACED}]{{1,2}}|{_LETTER}+(?:['\u2019]{_LETTER}+)*")


class NextTokens(Protocol):
    """A model that goes on with texts."""

    def next_text(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """What comes after each of the texts, greedily, in up to so many tokens."""


def opened(spec: ExtractiveTeacher, host: NextTokens | None = None) -> Teacher:
    """The teacher; `host` says what comes next, where that is asked for."""
    if spec.next_tokens and host is None:
        raise ValueError(
            f"ExtractiveTeacher.next_tokens is {spec.next_tokens}, but no host is given that says "
            "what comes next: set it to 0, or give the anchor"
        )
    return Extractive(spec, host)


class Extractive:
    """A teacher by rule; the same words of the same texts every time."""

    # Of one split, so that a word is as rare in explanations of every other.
    prepares_on: tuple[Split, ...] = (Split.FIT,)

    def __init__(self, spec: ExtractiveTeacher, host: NextTokens | None) -> None:
        self._spec, self._host, self._counts = spec, host, Counter[str]()
        self._num_passages_with = Counter[str]()
        self._num_passages = 0
        digest = hashlib.sha256(canonical_json(spec).encode()).hexdigest()
        self._name = f"extractive-{digest[:12]}"

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Count in how many passages each word is; without one of `fit`, all are as rare."""
        self._num_passages_with.clear()
        self._num_passages = 0
        for passage in passages:
            if passage.split not in self.prepares_on:
                continue
            self._num_passages += 1
            self._num_passages_with.update({word.casefold() for word in words(passage.text)})
            if len(self._num_passages_with) > MOST_WORDS:
                _forget_rare(self._num_passages_with)
        self._counts["num_passages_counted"] = self._num_passages
        self._counts["num_words"] = len(self._num_passages_with)

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """So many texts of every site, in wordings drawn by seed, passage, position and sample."""
        texts = [_so_far(passage, site) for passage, site in asked]
        behind = dict.fromkeys(texts, "")
        if self._host is not None and self._spec.next_tokens:
            distinct = [text for text in behind if text.strip()]
            following = self._host.next_text(distinct, self._spec.next_tokens)
            behind |= dict(zip(distinct, following, strict=True))
        return [
            self._texts(passage, site, behind[text], num_samples)
            for (passage, site), text in zip(asked, texts, strict=True)
        ]

    def _texts(
        self, passage: Passage, site: Site, behind: str, num_samples: int
    ) -> list[Explained]:
        text = _so_far(passage, site)
        if not text.strip():
            self._counts["num_without_explanation"] += 1
            return []
        self._counts["num_explained"] += 1
        around = _last_words(text, _read_from(site), self._spec.words_around)
        salient = self._salient(text)
        return [
            (self._name, _worded(around, salient, behind, self._drawing(passage, site, sample)))
            for sample in range(num_samples)
        ]

    def counts(self) -> Mapping[str, int]:
        """Sites with and without a text, and the size of what words were counted in."""
        return self._counts

    def _drawing(self, passage: Passage, site: Site, sample: int) -> Random:
        return keyed_random(self._spec.seed, passage.passage_id, site.position, sample)

    def _salient(self, text: str) -> list[str]:
        """The words of the text with the highest tf-idf, as they are first written there."""
        written: dict[str, str] = {}
        times = Counter[str]()
        for word in words(text):
            written.setdefault(word.casefold(), word)
            times[word.casefold()] += 1
        ranked = sorted(times, key=lambda word: (-times[word] * self._rarity(word), word))
        return [written[word] for word in ranked[: self._spec.salient_words]]

    def _rarity(self, word: str) -> float:
        if not self._num_passages:
            return 1.0
        # Zero for a word of every passage, however often it is here: "the" is rare nowhere.
        return log((1 + self._num_passages) / (1 + self._num_passages_with[word]))


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text)


def _so_far(passage: Passage, site: Site) -> str:
    """The text up to the end of the site: what comes later is not known there."""
    return passage.text if site.span is None else passage.text[: site.span[1]]


def _read_from(site: Site) -> int:
    """The first character that is read: of a token, that is the text's."""
    return 0 if site.span is None or site.is_token else site.span[0]


def _last_words(text: str, start: int, count: int) -> str:
    """The end of a text from `start` on: so many words, with what stands between them."""
    found: list[Span] = [match.span() for match in _WORD.finditer(text, start)]
    begin = found[-count:][0][0] if found else start
    return " ".join(text[begin:].split())


def _worded(around: str, salient: Sequence[str], behind: str, rng: Random) -> str:
    """One text of the clauses there are, with some of the salient words, in the order given."""
    clauses = [rng.choice(AROUND).format(around)]
    if salient:
        # At least half of them: with too few, texts of one site would have nothing in common.
        count = rng.randint(ceil(len(salient) / 2), len(salient))
        chosen = sorted(rng.sample(range(len(salient)), count))
        clauses.append(rng.choice(SALIENT).format(", ".join(salient[i] for i in chosen)))
    if behind := " ".join(behind.split()):
        clauses.append(rng.choice(NEXT).format(behind))
    return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)


def _forget_rare(counted: Counter[str]) -> None:
    for word in [word for word, times in counted.items() if times == 1]:
        del counted[word]
