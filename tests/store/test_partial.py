"""The folder of an unfinished artifact belongs to who holds the lock, and to nobody before."""

import json
import os
import time

import pytest

from interlingua.store.atomic import write_atomically
from interlingua.store.lock import Lock, LockLost, exclusive
from interlingua.store.partial import (
    ATTEMPTS_NAME,
    attempts,
    claimed,
    given_up,
    latest_folder,
    partial_folders,
    target_of,
)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "kind").mkdir()
    return tmp_path / "kind" / "label-0123456789ab"


def left_by_a_killed_owner(target):
    """The lock and the folder of an owner that did not release them."""
    lock_file = target.with_name(target.name + ".lock")
    with exclusive(target) as lock:
        folder = claimed(lock)
        entries = json.loads(lock_file.read_text())
    entries["process"]["start_ticks"] = 1
    lock_file.write_text(json.dumps(entries))
    return folder


def test_what_an_owner_writes_after_a_takeover_goes_nowhere(target):
    old = left_by_a_killed_owner(target)
    (old / "finished.txt").write_text("kept")
    with exclusive(target) as lock:
        new = claimed(lock)
        assert (new / "finished.txt").read_text() == "kept"
        assert latest_folder(target) == new and target_of(new) == target_of(old) == target
        with pytest.raises(FileNotFoundError), write_atomically(old / "late.txt") as file:
            file.write(b"late")
        with pytest.raises(FileNotFoundError):
            (old / "folder").mkdir()
        assert {path.name for path in new.iterdir()} == {"finished.txt", ATTEMPTS_NAME}


def test_a_folder_that_a_stale_owner_makes_again_is_no_ones_work(target):
    old = left_by_a_killed_owner(target)
    (old / "finished.txt").write_text("kept")
    with exclusive(target) as lock:
        new = claimed(lock)
        (old / "ray").mkdir(parents=True)  # as a library does
        given_up(lock, new)
    with exclusive(target) as lock:
        last = claimed(lock)
        assert (last / "finished.txt").exists()
        assert partial_folders(target) == [last]


def test_of_a_taker_that_died_before_it_could_rename_nothing_is_lost(target):
    old = left_by_a_killed_owner(target)
    (old / "finished.txt").write_text("kept")
    with exclusive(target):
        pass  # took the lock over, and made nothing of it
    with exclusive(target) as lock:
        assert (claimed(lock) / "finished.txt").exists()


def test_halves_are_swept_before_anything_is_written_again(target):
    """Who was frozen in the middle of a file may still write into it."""
    old = left_by_a_killed_owner(target)
    half = old / "checkpoints" / "5.partial"
    half.mkdir(parents=True)
    with (half / "weights").open("w") as file, exclusive(target) as lock:
        new = claimed(lock)
        assert list((new / "checkpoints").iterdir()) == []
        file.write("late")


def test_seconds_are_those_of_all_attempts(target):
    old = left_by_a_killed_owner(target)
    started = time.time() - 1000
    (old / ATTEMPTS_NAME).write_text(json.dumps([[started, None]]))
    (old / "output.txt").touch()
    for path in (*old.iterdir(), old):
        os.utime(path, (started + 300, started + 300))  # its last sign of life
    with exclusive(target) as lock:
        num_attempts, seconds = attempts(claimed(lock))
    assert num_attempts == 2
    assert 300 <= seconds < 310


def test_who_has_no_lock_claims_nothing(target):
    with pytest.raises(LockLost):
        claimed(Lock(target, "0" * 32))
    assert partial_folders(target) == []
