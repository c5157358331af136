"""Builds one stage of five small files, in a process of its own that a test can stop and kill.

argv: root, then what to do in the middle of the run:
  nothing           run to the end
  pause_after=N     after N files say "paused" and wait for a line on stdin
  limit_files=N     let no file grow beyond N bytes from then on
Lines on stdout: paused, waiting (the lock logged something), built, or the name of the error.
"""

import hashlib
import logging
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from interlingua.store.artifact import Stage, build
from interlingua.store.atomic import StorageFull, write_atomically
from interlingua.store.lock import LockLost

NUM_FILES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSpec:
    seed: int


def say(word):
    print(word, flush=True)


class SayWaiting(logging.Handler):
    """Tells the test that somebody else holds the lock, or held it until now."""

    def emit(self, record):
        say("waiting")


def write_counted(spec, inputs, out, context):
    journal, action, value = context
    with journal.open("a") as file:
        file.write("run\n")
    for index in range(NUM_FILES):
        if action == "pause_after" and index == value:
            say("paused")
            sys.stdin.readline()
        if action == "limit_files":
            resource.setrlimit(resource.RLIMIT_FSIZE, (value, resource.RLIM_INFINITY))
        write_one(out / f"{index}.txt", spec, index, journal)
    if action == "pause_after" and value == NUM_FILES:
        say("paused")
        sys.stdin.readline()
    return {"num_files": NUM_FILES, "saw_record": (out / "artifact.json").exists()}


def write_one(path, spec, index, journal):
    if path.exists():
        return
    with write_atomically(path) as file:
        file.write(hashlib.sha256(f"{spec.seed}|{index}".encode()).hexdigest().encode())
    with journal.open("a") as file:
        file.write(f"file {index}\n")


def main():
    root = Path(sys.argv[1])
    action, _, value = sys.argv[2].partition("=")
    logging.getLogger("interlingua.store.lock").addHandler(SayWaiting())
    stage = Stage(
        kind="counted",
        label="five",
        spec=CountedSpec(seed=3),
        run=write_counted,
        inputs={},
        revision=1,
    )
    journal = root.with_name(root.name + ".journal")
    try:
        build(stage, root, (journal, action, int(value or 0)))
    except (LockLost, StorageFull) as error:
        say(type(error).__name__)
        os._exit(3)
    say("built")


if __name__ == "__main__":
    main()
