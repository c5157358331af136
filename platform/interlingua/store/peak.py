"""The most memory that any process of a stage took. Knows no stage.

Linux keeps the peak of every process, and can restart it: a worker process builds stage after
stage. A stage's other processes note theirs in its folder.
"""

import os
from pathlib import Path

from interlingua.store.atomic import write_atomically

PEAKS_FOLDER = "peaks"
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FIELD = "VmHWM:"  # the peak of the resident set, in KiB


def restart_peak() -> None:
    """Restart the peak of this process at what it takes now, where the system can."""
    # 5: of all that can be cleared, the peak alone (proc(5)).
    try:
        CLEAR.write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the peak is that of the process's life


def own_peak_bytes() -> int | None:
    """The peak of this process; None where the system does not say."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith(FIELD)), None)
    return None if kilobytes is None else 1024 * int(kilobytes)


def note_peak(out: Path) -> None:
    """Leave this process's peak in the stage's folder."""
    if (peak := own_peak_bytes()) is None:
        return
    folder = out / PEAKS_FOLDER
    folder.mkdir(exist_ok=True)
    # By node, too: on a shared disk two nodes may have a process of the same number.
    with write_atomically(folder / f"{os.getpid()}@{os.uname().nodename}") as file:
        file.write(str(peak).encode())


def peak_bytes(out: Path) -> int | None:
    """The largest peak of any process of the stage, this one's among them."""
    noted = [int(path.read_text()) for path in (out / PEAKS_FOLDER).glob("[0-9]*")]
    return max([*noted, *filter(None, [own_peak_bytes()])], default=None)
