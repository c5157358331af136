"""The stage's own loop, watched: what was sampled, who stood where, and who is killed."""

import json
import os
import re
import signal
from pathlib import Path

IDS_NAME, GROUPS_NAME, KILLED_NAME = "ids.jsonl", "groups.json", "killed"
MARK = "INTERLINGUA_TEST_CLUSTER"
AR, AV_INIT, SUPERVISOR = "ReconstructorWorker", "ReferenceWorker", "Supervisor"
ITSELF, NODE_OF_AR = "itself", "node of the AR"


class Spied:
    """Plays as the stage does; the last rank kills `victim` before the samples of a step, once."""

    def __init__(self, victim=None, step=4):
        self._victim, self._step = victim, step

    def __call__(self, job, roles, on_dev_eval):
        from interlingua.stages.rl.loop import play

        sample = roles.av.sample

        def spied(asked, **how):
            is_due = asked.names[0].startswith(f"{self._step}|")
            if is_due and roles.av.rank == len(roles.av.gathered(None)) - 1:
                self._kill(job.out)
            rollouts = sample(asked, **how)
            if roles.av.rank == 0:
                self._note(job.out, asked, rollouts)
            return rollouts

        roles.av.sample = spied
        return play(job, roles, on_dev_eval)

    def _note(self, out, asked, rollouts):
        with (out / IDS_NAME).open("a") as file:
            file.write(json.dumps([asked.names[0], rollouts.ids_NT.tolist()]) + "\n")
        if MARK in os.environ and not (out / GROUPS_NAME).exists():
            from ray.util import placement_group_table

            rows = placement_group_table().values()
            (out / GROUPS_NAME).write_text(json.dumps([r for r in rows if r["state"] == "CREATED"]))

    def _kill(self, out):
        if self._victim is None or (out / KILLED_NAME).exists():
            return
        (out / KILLED_NAME).touch()
        os.kill(self._target(), signal.SIGKILL)

    def _target(self):
        """One process: of a group it is not the first, where there are several."""
        if self._victim == ITSELF:
            return os.getpid()
        if self._victim == NODE_OF_AR:  # its raylet is the parent of the workers on it
            status = Path(f"/proc/{max(processes(f'ray::{AR}'))}/status").read_text()
            return int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE).group(1))
        return max(processes(f"ray::{self._victim}"))


def processes(title):
    """The processes of this cluster whose title begins so."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_named = (folder / "cmdline").read_bytes().startswith(title.encode())
            if is_named and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def sampled(out):
    """The ids of every step, by name; the same again where another attempt came to it."""
    lines = [json.loads(line) for line in (out / IDS_NAME).read_text().splitlines()]
    steps = [(name, rows) for name, rows in lines if name[0].isdecimal()]
    ids = dict(steps)
    assert len(ids) > 1 and all(ids[name] == rows for name, rows in steps)
    return ids
