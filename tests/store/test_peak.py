"""The memory of a stage: of its largest process, from its start, and none where nothing says."""

import os
import sys

import numpy as np
import pytest
from tests.skipping import lacking

from interlingua.store import peak
from interlingua.store.peak import (
    PEAKS_FOLDER,
    note_peak,
    own_peak_bytes,
    peak_bytes,
    restart_peak,
)

SOME = 64 * 2**20


@pytest.fixture
def linux():
    """The system by its name, not by what is tested: there a peak that is not counted must fail."""
    if sys.platform != "linux":
        lacking("only Linux counts the peak of a process")


@pytest.mark.usefixtures("linux")
def test_what_was_freed_still_counts():
    before = own_peak_bytes()
    held = np.ones(SOME + before, dtype=np.uint8)
    size = len(held)
    del held
    assert own_peak_bytes() >= size


@pytest.mark.usefixtures("linux")
def test_a_peak_starts_anew():
    held = np.ones(4 * SOME, dtype=np.uint8)
    high = own_peak_bytes()
    del held
    restart_peak()
    assert own_peak_bytes() <= high - 3 * SOME


def test_the_largest_process_is_the_stages(tmp_path):
    (tmp_path / PEAKS_FOLDER).mkdir()
    own = own_peak_bytes() or 0
    (tmp_path / PEAKS_FOLDER / "7").write_text(str(10 * own + 1))
    (tmp_path / PEAKS_FOLDER / "8").write_text("5")
    assert peak_bytes(tmp_path) == 10 * own + 1


@pytest.mark.usefixtures("linux")
def test_a_process_notes_its_own_under_its_number(tmp_path):
    note_peak(tmp_path)
    note_peak(tmp_path)
    [path] = (tmp_path / PEAKS_FOLDER).iterdir()
    assert path.name == f"{os.getpid()}@{os.uname().nodename}"
    assert 0 < int(path.read_text()) <= own_peak_bytes()


@pytest.mark.usefixtures("linux")
def test_this_process_counts_beside_those_that_noted_less(tmp_path):
    (tmp_path / PEAKS_FOLDER).mkdir()
    (tmp_path / PEAKS_FOLDER / "7").write_text("5")
    assert peak_bytes(tmp_path) > 5


def test_what_a_killed_writer_left_is_no_peak(tmp_path):
    (tmp_path / PEAKS_FOLDER).mkdir()
    (tmp_path / PEAKS_FOLDER / ".7.0a0a0a0a.tmp").write_text("")
    peak_bytes(tmp_path)


def test_a_system_that_does_not_say_gives_none(tmp_path, monkeypatch):
    for name in ("STATUS", "CLEAR"):
        monkeypatch.setattr(peak, name, tmp_path / "nowhere" / name)
    restart_peak()
    note_peak(tmp_path)
    assert own_peak_bytes() is peak_bytes(tmp_path) is None
    assert not (tmp_path / PEAKS_FOLDER).exists()
    (tmp_path / "status").write_text("Name:\tpython\nVmPeak:\t12 kB\n")
    monkeypatch.setattr(peak, "STATUS", tmp_path / "status")
    assert own_peak_bytes() is None
    (tmp_path / "status").write_text("VmPeak:\t12 kB\nVmHWM:\t     7 kB\n")
    assert own_peak_bytes() == 7 * 1024
