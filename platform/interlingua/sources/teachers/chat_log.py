"""What was asked of chat models in a root, and what they answered: append-only, paid once.

`<root>/answers/<model>-<digest>/<stage>.<token>.jsonl` is a file of one process. Before a request
goes out a line says so, with the most that it may take; behind it comes the answer, or why there is
none. A row is known by model, prompt, text and sample, so that another stage, recipe or run of the
root finds what is there. Knows no endpoint.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from interlingua.sources.teachers.chat_answer import Answer, Usage
from interlingua.sources.teachers.chat_lines import (
    Line,
    LogReader,
    Place,
    encoded,
    is_live,
    line_at,
)
from interlingua.specs.teachers import ChatTeacher
from interlingua.specs.text.canonical import canonical_json
from interlingua.store.atomic import naming_full_storage, sync

ANSWERS_FOLDER = "answers"
ASKED, ANSWERED, UNANSWERED = "asked", "answered", "unanswered"
NOTHING = Usage(0, 0)


class Known(Enum):
    """What the logs of a root know of a row."""

    NOTHING = auto()  # it may be asked: nobody was paid for it
    ANSWERED = auto()
    LOST = auto()  # it was asked, and the process died before an answer came
    FAILED = auto()  # it was asked, no answer came, and it may have been paid


def answers_folder(root: Path, teacher: ChatTeacher) -> Path:
    """Where the answers of this model to this prompt are, in a root."""
    readable = re.sub(r"[^a-zA-Z0-9-]+", "_", teacher.model).strip("_")[:60] or "model"
    return root / ANSWERS_FOLDER / f"{readable}-{_asked_digest(teacher)[:12]}"


def key_of(teacher: ChatTeacher, text: str, sample: int) -> str:
    """What a row is known by; how its answer is read is no part of it."""
    parts = f"{_asked_digest(teacher)}|{sample}|{text}"
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:32]


def _asked_digest(teacher: ChatTeacher) -> str:
    prompt = teacher.prompt
    asked = [teacher.model, prompt.user, prompt.system, prompt.temperature, prompt.top_p]
    return hashlib.sha256(canonical_json([*asked, prompt.max_new_tokens]).encode()).hexdigest()


class AnswerLog:
    """The log of one process, and what those of all others say.

    `owner` is the stage that asks: rows that an earlier process of it asked, and whose answers
    never came, are lost, as are those of any process that is gone.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder, self._owner = folder, owner
        self._file: BinaryIO | None = None
        self._path = folder / f"{owner}.{uuid4().hex[:8]}.jsonl"
        self._readers: dict[Path, LogReader] = {}
        self._answers: dict[str, Place] = {}
        self._without_answer: dict[str, Known] = {}
        self._open: dict[tuple[Path, str], Usage] = {}
        self._spent = NOTHING
        # What answers of this model took beyond what was expected: hidden prompts, thoughts.
        self.beyond = NOTHING
        self.num_written = self.num_synced = 0
        self._read()
        for path, key in self._open:
            if path.parent == folder and (path.name.startswith(f"{owner}.") or not is_live(path)):
                self._without_answer[key] = Known.LOST

    def known(self, key: str) -> Known:
        """What is known of a row."""
        if key in self._answers:
            return Known.ANSWERED
        return self._without_answer.get(key, Known.NOTHING)

    def answer(self, key: str) -> Answer:
        """The answer to a row that has one."""
        return Answer.from_jsonable(line_at(self._answers[key]).values)

    @property
    def num_answers(self) -> int:
        """The rows of this model and prompt that have answers."""
        return len(self._answers)

    def ask(self, key: str, worst: Usage, excess: Callable[[Usage], str | None] | None) -> Any:
        """Note that a row is asked now; or return what `excess` says of all that was spent.

        With `excess` nobody else notes a request meanwhile, so that two that fit one by one, and
        not together, are not both sent.
        """
        if excess is None:
            self._append(ASKED, key, worst=list(worst))
            return None
        with self._alone():
            self._read()
            if (limit := excess(self.spent())) is None:
                self._append(ASKED, key, worst=list(worst))
            return limit

    def answered(self, key: str, answer: Answer) -> None:
        """Note the answer to a row."""
        self._append(ANSWERED, key, **answer.as_jsonable())

    def unanswered(self, key: str, why: str, *, may_be_paid: bool) -> None:
        """Note that no answer to a row will come."""
        self._append(UNANSWERED, key, why=why, may_be_paid=may_be_paid)

    def spent(self) -> Usage:
        """The tokens of all answers in the root, and the most that those without one may take."""
        total = self._spent
        for worst in self._open.values():
            total = total.plus(worst)
        return total

    def sync(self) -> None:
        """Flush to disk what was written so far."""
        written = self.num_written
        if self._file is not None:
            os.fsync(self._file.fileno())
        self.num_synced = written

    def close(self) -> None:
        """Flush everything, and be no longer a process that may answer."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None

    def _append(self, event: str, key: str, **values: Any) -> None:
        written = encoded(event, key, values)
        with naming_full_storage(self._path):
            if self._file is None:
                self._file = self._opened()
            place = Place(self._path, self._file.tell(), len(written))
            self._file.write(written)
            self._file.flush()
        self.num_written += 1
        self._note(Line(event, key, values, place))

    def _opened(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        sync(self._folder)
        return file

    def _read(self) -> None:
        """Read what others have written, of all models: a budget is of a root."""
        for path in sorted(self._folder.parent.glob("*/*.jsonl")):
            if path != self._path:
                for line in self._readers.setdefault(path, LogReader(path)).new_lines():
                    self._note(line)

    def _note(self, line: Line) -> None:
        at, is_own = (line.place.path, line.key), line.place.path.parent == self._folder
        worst = self._open.pop(at, NOTHING)
        if line.event == ASKED:
            self._open[at] = Usage(*line.values["worst"])
        elif line.event == ANSWERED:
            usage = Usage(*line.values["usage"])
            self._spent = self._spent.plus(usage)
            if is_own:
                self.beyond = Usage(
                    max(self.beyond.prompt, usage.prompt - worst.prompt),
                    max(self.beyond.answer, usage.answer - worst.answer),
                )
                self._answers.setdefault(line.key, line.place)
        elif line.values["may_be_paid"]:
            self._spent = self._spent.plus(worst)
            if is_own:
                self._without_answer.setdefault(line.key, Known.FAILED)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with (self._folder.parent / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
