"""Evaluations of a server: each opened once, in a thread, when it is first asked for.

What is read is checked first against the hashes that it was published with. Knows no HTTP.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from interlingua.serving.backend import NotAvailable
from interlingua.serving.explorer.answers import EvaluationAnswer
from interlingua.serving.explorer.claims import truth_behind
from interlingua.serving.explorer.lineage import bundle_name, evaluation_at
from interlingua.serving.explorer.shown import evaluation_answer
from interlingua.serving.explorer.table import RowTable
from interlingua.serving.http.errors import UnknownName
from interlingua.store.artifact import Artifact, verify
from interlingua.store.integrity import CorruptFile
from interlingua.store.record import CorruptRecord
from interlingua.store.rows.splits import SplitViolation

if TYPE_CHECKING:
    from interlingua.sources.source import Truth

UNREADABLE = (CorruptFile, CorruptRecord, SplitViolation, OSError, ValueError)

Made = TypeVar("Made")


class MadeOnce(Generic[Made]):
    """Things by name, made in a thread; all who wait for one share its making.

    At most `most` are kept, those that were asked for last. What fails is tried again by the next
    who asks.
    """

    def __init__(self, make: Callable[[str], Made], most: int) -> None:
        self._make, self._most = make, most
        self._made: OrderedDict[str, Made] = OrderedDict()
        self._making: dict[str, asyncio.Task[Made]] = {}

    async def get(self, name: str) -> Made:
        """The thing of a name."""
        if name in self._made:
            self._made.move_to_end(name)
            return self._made[name]
        if name not in self._making:
            self._making[name] = asyncio.create_task(self._new(name))
        # Whoever leaves meanwhile must not end it for the others.
        return await asyncio.shield(self._making[name])

    async def _new(self, name: str) -> Made:
        try:
            made = await asyncio.to_thread(self._make, name)
        finally:
            del self._making[name]
        self._made[name] = made
        while len(self._made) > self._most:
            self._made.popitem(last=False)
        return made


class Evaluations:
    """The evaluations of a server by name; at most so many of them with all their rows."""

    def __init__(
        self, folders: Mapping[str, str], bundles: Mapping[str, str], *, most_open: int
    ) -> None:
        self._folders = {name: Path(folder) for name, folder in folders.items()}
        self._bundles = {name: Path(folder) for name, folder in bundles.items()}
        count = max(1, len(folders))
        self._tables = MadeOnce(self._table, most_open)
        self._answers = MadeOnce(self._answer, count)
        self._truths = MadeOnce(self._truth, count)

    @property
    def names(self) -> Sequence[str]:
        """The names, in order."""
        return list(self._folders)

    async def table(self, name: str) -> RowTable:
        """All rows of an evaluation."""
        return await self._tables.get(self._known(name))

    async def answer(self, name: str) -> EvaluationAnswer:
        """What an evaluation is of."""
        return await self._answers.get(self._known(name))

    async def truth(self, name: str) -> "Truth":
        """What is known to be true of its passages; raises NotAvailable where nothing is."""
        return await self._truths.get(self._known(name))

    def _known(self, name: str) -> str:
        if name not in self._folders:
            here = ", ".join(self._folders) or "none"
            raise UnknownName("name", f"the evaluation is {name!a}; here are: {here}")
        return name

    def _table(self, name: str) -> RowTable:
        return _read(RowTable.read, self._sound(name).path)

    def _answer(self, name: str) -> EvaluationAnswer:
        evaluation = self._sound(name)
        bundle = bundle_name(evaluation, self._bundles)
        return _read(lambda sound: evaluation_answer(name, sound, bundle), evaluation)

    def _truth(self, name: str) -> "Truth":
        return truth_behind(self._sound(name))

    def _sound(self, name: str) -> Artifact:
        return _read(_verified, self._folders[name])


def _verified(folder: Path) -> Artifact:
    """The evaluation in a folder, every byte of it read; nothing is written there."""
    evaluation = evaluation_at(folder)
    verify(evaluation, is_thorough=True)
    return evaluation


Given = TypeVar("Given")


def _read(read: Callable[[Given], Made], given: Given) -> Made:
    """What is read; raises NotAvailable, with the reason, where it is not as it was written."""
    try:
        return read(given)
    except UNREADABLE as error:
        raise NotAvailable(str(error)) from error
