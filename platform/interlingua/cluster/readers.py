"""Readers: actors, in each of which all stages that read a host are built one after the other.

So a host is opened once, however many splits are read of it, and every split stays a stage and an
artifact of its own. Knows neither hosts nor splits: stages of extraction with the same inputs share
a reader.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlingua.cluster.asked import Asked
from interlingua.cluster.extraction import KeepingPool
from interlingua.cluster.placement import options
from interlingua.specs.placement import Placement, Workers, WorkKind
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, build

Key = tuple[str, ...]  # what the stages of one reader have in common: their inputs


class Readers:
    """The readers of a graph: each has one host at a time, until the last stage that reads it.

    What one stage of a reader needs, all of them need: once it has begun it is never idle, so that
    no reader holds cores for which another stage waits.
    """

    def __init__(self, ray: Any, stages: Iterable[Stage], deaths_survived: int) -> None:
        self._ray = ray
        self._unfinished = Counter(key for stage in stages if (key := key_of(stage)) is not None)
        self._actors: dict[Key, Any] = {}
        self._asked: dict[Key, Asked] = {}
        self._free: list[tuple[Workers, Any]] = []  # behind the last stage of their host
        self._busy: set[Key] = set()
        self._deaths_survived = deaths_survived

    def is_busy(self, stage: Stage) -> bool:
        """True while the stage's reader builds another stage."""
        return key_of(stage) in self._busy

    def is_open(self, stage: Stage) -> bool:
        """True where the stage's reader has its host open."""
        return key_of(stage) in self._actors

    def held(self) -> dict[Key, Asked]:
        """What readers hold that build nothing now, with their pools: their next stage will."""
        return {key: one for key, one in self._asked.items() if key not in self._busy}

    def submit(self, stage: Stage, root: Path, context: Context, asked: Asked) -> Any:
        """Start the stage in its reader; returns Ray's reference to the artifact."""
        key = key_of(stage)
        assert key is not None and key not in self._busy
        if key not in self._actors:
            self._actors[key] = self._reused(asked.own) or self._made(context, asked.own)
        self._asked[key] = asked
        self._busy.add(key)
        build = self._actors[key].build.options(name=stage.name)
        return build.remote(stage, root, asked.placement)

    def note_end(self, stage: Stage, *, is_failed: bool) -> None:
        """Free the reader after the last stage of its host, and end it after a failed one."""
        key = key_of(stage)
        if key is None:
            return
        self._busy.remove(key)
        self._unfinished[key] -= 1
        if is_failed:
            # A failure may have left its process in any state: the next stage gets a new reader.
            self._ray.kill(self._actors.pop(key))
            del self._asked[key]
        elif not self._unfinished[key]:
            self._free.append((self._asked.pop(key).own, self._actors.pop(key)))

    def end_free(self) -> None:
        """End the readers for which there is no other host now."""
        while self._free:
            self._ray.kill(self._free.pop()[1])

    def _reused(self, own: Workers) -> Any | None:
        """A free reader that holds as much: imports take longer than to open a small host."""
        for index, (holds, _) in enumerate(self._free):
            if holds == own:
                return self._free.pop(index)[1]
        return None

    def _made(self, context: Context, own: Workers) -> Any:
        # A reader that dies starts again, and the stage goes on from the blocks that it has.
        actor_class = self._ray.remote(HostReader).options(
            **options(own), max_restarts=-1, max_task_retries=self._deaths_survived
        )
        return actor_class.remote(context)


class HostReader:
    """Actor that builds the stages of a host; its pool has the host open from one to the next."""

    def __init__(self, context: Context) -> None:
        self._context = replace(context, pool=KeepingPool())

    def build(self, stage: Stage, root: Path, placement: Placement) -> Artifact:
        """The stage's artifact; its workers take what this placement says."""
        context = replace(self._context, placement=placement)
        return build(stage, root, context, self._context.placement)


def key_of(stage: Stage) -> Key | None:
    """Key of the reader that builds the stage; None where the stage is no extraction."""
    if stage.work is not WorkKind.EXTRACTION:
        return None
    return tuple(sorted(upstream.key for upstream in stage.upstream.values()))
