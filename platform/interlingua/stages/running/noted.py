"""A note in the run root for as long as a command builds there. Knows no command line."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from interlingua.stages.running.context import StagesFailed
from interlingua.store.artifact import Stage
from interlingua.store.process import this_process
from interlingua.store.provenance import command_of
from interlingua.store.run_notes import (
    DONE,
    FAILED,
    RUNNING,
    STOPPED,
    RunNote,
    beating,
    write_note,
)


@contextmanager
def noted_run(
    key: str, title: str, stages: Sequence[Stage], root: Path, *, cluster: str | None
) -> Iterator[None]:
    """Note that this process builds these stages, and at the end of the block how it went."""
    note = RunNote(
        key=key,
        title=title,
        command=command_of(sys.argv),
        cluster=cluster,
        process=this_process(),
        since=time.time(),
        stages={stage.key: [one.key for one in stage.upstream.values()] for stage in stages},
    )
    write_note(root, note)
    with beating(root, note):
        causes, state = dict[str, str](), RUNNING
        try:
            yield
            state = DONE
        except StagesFailed as error:
            state = FAILED
            causes = {name: _line(cause) for name, cause in error.causes.items()}
            raise
        except Exception as error:
            state, causes = FAILED, {"": _line(error)}
            raise
        except BaseException:
            state = STOPPED
            raise
        finally:
            write_note(root, replace(note, state=state, ended=time.time(), causes=causes))


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
