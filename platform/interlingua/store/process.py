"""The identity of this process, and a test that another one is surely gone. Knows no lock."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ENDED_STATES = ("Z", "X")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process, told apart from every other one, also from a later one with the same pid."""

    hostname: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    boot_id, pid_namespace = _pid_space()
    stat = _state_and_start(os.getpid())
    return ProcessIdentity(
        hostname=socket.gethostname(),
        boot_id=boot_id,
        pid_namespace=pid_namespace,
        pid=os.getpid(),
        start_ticks=0 if stat is None else stat[1],
    )


def is_gone(process: ProcessIdentity) -> bool:
    """True when the process has surely ended; False when it lives or cannot be judged from here."""
    here = _pid_space()
    if here == ("", "") or here != (process.boot_id, process.pid_namespace):
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives and belongs to somebody else
    stat = _state_and_start(process.pid)
    if stat is None:
        return False
    # A zombie is in the table still; a pid that was given out again has another start.
    state, start_ticks = stat
    return state in ENDED_STATES or start_ticks != process.start_ticks


def _pid_space() -> tuple[str, str]:
    # A pid means something only within one boot and one container; without /proc nothing is known
    # and only a lock's heartbeat can tell.
    if not PROC.joinpath("self/ns/pid").exists():
        return "", ""
    boot_id = PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    return boot_id, os.readlink(PROC / "self/ns/pid")


def _state_and_start(pid: int) -> tuple[str, int] | None:
    try:
        text = PROC.joinpath(str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The command's name may hold spaces and brackets: count the fields behind its last bracket.
    after_name = text.rpartition(")")[2].split()
    # State and start time, the fields 3 and 22 of /proc/PID/stat in proc(5).
    return after_name[0], int(after_name[19])
