"""Readers: an actor for each host, in which all stages that read it are built one after the other.

So a host is opened once, however many splits are read of it, and every split stays a stage and an
artifact of its own. Knows neither hosts nor splits: stages of extraction with the same inputs share
a reader.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlingua.cluster.extraction import KeepingPool
from interlingua.specs.placement import WorkKind
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, build

Key = tuple[str, ...]  # what the stages of one reader have in common: their inputs


class Readers:
    """The readers of a graph: each is made for its first stage and ends behind its last.

    What one stage of a reader needs, all of them need: once it has begun it is never idle, so that
    no reader holds cores for which another stage waits.
    """

    def __init__(self, ray: Any, stages: Iterable[Stage], deaths_survived: int) -> None:
        self._ray = ray
        self._unfinished = Counter(key for stage in stages if (key := key_of(stage)) is not None)
        self._actors: dict[Key, Any] = {}
        self._busy: set[Key] = set()
        self._deaths_survived = deaths_survived

    def is_busy(self, stage: Stage) -> bool:
        """Whether the stage's reader is building another one."""
        return key_of(stage) in self._busy

    def is_open(self, stage: Stage) -> bool:
        """Whether the stage's reader has what it reads open."""
        return key_of(stage) in self._actors

    def submit(self, stage: Stage, root: Path, context: Context, num_cpus: float) -> Any:
        """A reference to the stage's artifact."""
        key = key_of(stage)
        assert key is not None and key not in self._busy
        if key not in self._actors:
            # A reader that dies starts again, and the stage goes on from the blocks that it has.
            self._actors[key] = (
                self._ray.remote(HostReader)
                .options(
                    num_cpus=num_cpus,
                    max_restarts=-1,
                    max_task_retries=self._deaths_survived,
                )
                .remote(context)
            )
        self._busy.add(key)
        return self._actors[key].build.options(name=stage.name).remote(stage, root)

    def note_end(self, stage: Stage, *, is_failed: bool) -> None:
        """Let the reader go behind its last stage, or where one failed: the next opens anew."""
        key = key_of(stage)
        if key is None:
            return
        self._busy.remove(key)
        self._unfinished[key] -= 1
        if is_failed or not self._unfinished[key]:
            self._ray.kill(self._actors.pop(key))


class HostReader:
    """The actor: without workers of its own the host is open in its process."""

    def __init__(self, context: Context) -> None:
        self._context = replace(context, pool=KeepingPool())

    def build(self, stage: Stage, root: Path) -> Artifact:
        """The stage's artifact."""
        return build(stage, root, self._context, self._context.placement)


def key_of(stage: Stage) -> Key | None:
    """Which reader builds the stage; None where it is not an extraction."""
    if stage.work is not WorkKind.EXTRACTION:
        return None
    return tuple(sorted(upstream.key for upstream in stage.inputs.values()))
