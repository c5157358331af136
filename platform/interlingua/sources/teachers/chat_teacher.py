"""Explanations by a chat model behind an OpenAI-compatible endpoint.

An answer is paid once: it is read from the log of the root wherever it is needed again. So a
malformed one is not asked for again either: another would cost as much, and a record that counts
them says more of a prompt than one that hides them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from interlingua.sources.source import Explained, Site
from interlingua.sources.teachers.chat_answer import Answer, Usage
from interlingua.sources.teachers.chat_asking import Backoff, Means, Pace, Row, asked
from interlingua.sources.teachers.chat_budget import Budget
from interlingua.sources.teachers.chat_endpoint import FAILED, Endpoint
from interlingua.sources.teachers.chat_log import NOTHING, AnswerLog, Known, answers_folder, key_of
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ChatTeacher
from interlingua.store.partial import target_of
from interlingua.store.rows.passages import Passage

BACKOFF = Backoff()
LOST, REPEATED, WITHOUT_TEXT = "num_lost", "num_repeated", "num_without_text"


class OnRows(Protocol):
    """Is called with rows that have come to their end, and what they have cost now."""

    def __call__(self, num_rows: int, *, tokens: int, dollars: float, is_asked: bool) -> None:
        """Take note of it."""


def no_rows(num_rows: int, *, tokens: int, dollars: float, is_asked: bool) -> None:
    """Nobody wants to know how far it is."""


def opened(
    spec: ChatTeacher,
    *,
    place: TeachingPlacement,
    out: Path,
    on_rows: OnRows = no_rows,
    backoff: Backoff = BACKOFF,
) -> "ByChat":
    """The teacher, for the stage that works in `out`; nothing is asked yet."""
    return ByChat(spec, place, out, on_rows, backoff)


class ByChat:
    """Asks what nobody asked before; every row ends with an explanation or a counted reason."""

    prepares_on: tuple[Split, ...] = ()

    def __init__(
        self,
        spec: ChatTeacher,
        place: TeachingPlacement,
        out: Path,
        on_rows: OnRows,
        backoff: Backoff,
    ) -> None:
        self._spec, self._place, self._on_rows = spec, place, on_rows
        self._log = AnswerLog(answers_folder(out.parent.parent, spec), target_of(out).name)
        self._budget = Budget(place)
        self._means = Means(
            teacher=spec,
            place=place,
            endpoint=Endpoint(spec, place),
            log=self._log,
            budget=self._budget,
            pace=Pace(place.requests_per_minute),
            backoff=backoff,
            # A frozen process that was taken for dead has no folder any more when it wakes.
            is_ours=out.is_dir,
            on_answer=self._on_answer,
        )
        self._counts, self._usage = Counter[str](), NOTHING
        self._models, self._counted = set[str](), set[str]()

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Nothing: a prompt holds one text."""

    def explain(
        self, asked_of: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """Up to so many explanations of every site; the others are in the counts."""
        rows = [self._rows(_text(passage, site), num_samples) for passage, site in asked_of]
        # By key: two sites with one text are one row.
        distinct = {row.key: row for of_site in rows for row in of_site}
        new = [row for row in distinct.values() if self._is_new(row.key)]
        self._report(sum(map(len, rows)) - len(new), is_asked=False)
        reasons = asked(self._means, new)
        self._report(len(reasons), is_asked=True)
        return [self._explained(of_site, reasons) for of_site in rows]

    def counts(self) -> Mapping[str, Any]:
        """Rows by how they ended, tokens and dollars of their answers, and who answered."""
        return {
            **self._counts,
            "prompt_tokens": self._usage.prompt,
            "answer_tokens": self._usage.answer,
            "dollars": self._budget.dollars(self._usage),
            "endpoint": self._means.endpoint.host,
            "models": sorted(self._models),
        }

    def _rows(self, text: str, num_samples: int) -> list[Row]:
        if not text.strip():
            self._counts[WITHOUT_TEXT] += num_samples
            self._report(num_samples, is_asked=False)
            return []
        return [Row(key_of(self._spec, text, sample), text) for sample in range(num_samples)]

    def _is_new(self, key: str) -> bool:
        known = self._log.known(key)
        if known is Known.ANSWERED:
            return False
        return known is Known.NOTHING or self._place.repeats_lost

    def _explained(self, rows: Sequence[Row], reasons: Mapping[str, str]) -> list[Explained]:
        found: list[Explained] = []
        for row in rows:
            text, reason = self._end_of(row.key, reasons)
            if text is not None and (self._spec.model, text) in found:
                text, reason = None, REPEATED
            if text is not None:
                found.append((self._spec.model, text))
            self._counts[reason or "num_explained"] += 1
        return found

    def _end_of(self, key: str, reasons: Mapping[str, str]) -> tuple[str | None, str | None]:
        """The explanation of a row, or what it is counted as."""
        known = self._log.known(key)
        if known is not Known.ANSWERED:
            return None, reasons.get(key, LOST if known is Known.LOST else FAILED)
        answer = self._log.answer(key)
        if key not in self._counted:
            self._counted.add(key)
            self._usage = self._usage.plus(answer.usage)
            self._counts["num_estimated"] += answer.is_estimated
            self._models |= {answer.model} if answer.model else set()
        return answer.explanation(self._spec.prompt)

    def _on_answer(self, answer: Answer) -> None:
        self._report(1, is_asked=True, usage=answer.usage)

    def _report(self, num_rows: int, *, is_asked: bool, usage: Usage = NOTHING) -> None:
        dollars = self._budget.dollars(usage)
        self._on_rows(num_rows, tokens=usage.total, dollars=dollars, is_asked=is_asked)


def _text(passage: Passage, site: Site) -> str:
    """What was read at a site: of a token, the text up to it."""
    return passage.text if site.span is None else passage.text[slice(*site.span)]
