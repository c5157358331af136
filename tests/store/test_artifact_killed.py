"""Builds in processes of their own that are killed, frozen, doubled, or short of room."""

import json
import os
import signal

import pytest

from interlingua.store.lock import STALE_SECONDS

PROGRAM = "build_counted.py"
pytestmark = pytest.mark.timeout(120)


def said(process):
    """The next word of the program."""
    return process.stdout.readline().strip()


def last_word(process):
    return process.communicate("\n")[0].split()[-1]


def kill(process):
    process.kill()
    process.communicate()


def journal(root):
    return root.with_name(root.name + ".journal").read_text().splitlines()


def entries(root):
    """What stands in the folder of the kind, by the suffix of its name."""
    return {path.suffix: path for path in (root / "counted").iterdir()}


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.txt")}


@pytest.fixture
def undisturbed(tmp_path, start_program):
    """The artifact of a build that nothing disturbed."""
    root = tmp_path / "undisturbed"
    assert last_word(start_program(PROGRAM, root, "nothing")) == "built"
    return entries(root)[""]


def test_a_killed_build_is_continued_to_the_same_result(tmp_path, start_program, undisturbed):
    root = tmp_path / "killed"
    process = start_program(PROGRAM, root, "pause_after=3")
    assert said(process) == "paused"
    kill(process)
    assert set(entries(root)) == {".partial", ".lock"}
    assert len(outputs(entries(root)[".partial"])) == 3

    assert last_word(start_program(PROGRAM, root, "nothing")) == "built"
    assert set(entries(root)) == {""}
    assert journal(root) == ["run", *(f"file {i}" for i in range(3)), "run", "file 3", "file 4"]
    assert entries(root)[""].name == undisturbed.name
    assert outputs(entries(root)[""]) == outputs(undisturbed)
    records = [
        json.loads((path / "artifact.json").read_text())
        for path in (entries(root)[""], undisturbed)
    ]
    for key in ("spec", "inputs", "fingerprint", "seed", "metrics"):
        assert records[0][key] == records[1][key]


def test_a_build_killed_after_its_last_output_has_no_record(tmp_path, start_program):
    root = tmp_path / "killed"
    process = start_program(PROGRAM, root, "pause_after=5")
    assert said(process) == "paused"
    kill(process)
    assert set(entries(root)) == {".partial", ".lock"}
    assert not list(root.rglob("artifact.json"))
    assert len(outputs(entries(root)[".partial"])) == 5

    assert last_word(start_program(PROGRAM, root, "nothing")) == "built"
    assert journal(root) == ["run", *(f"file {i}" for i in range(5)), "run"]


def test_of_two_builds_one_runs_and_the_other_uses_its_result(tmp_path, start_program):
    root = tmp_path / "shared"
    first = start_program(PROGRAM, root, "pause_after=2")
    assert said(first) == "paused"
    second = start_program(PROGRAM, root, "nothing")
    assert said(second) == "waiting"
    assert last_word(first) == "built"
    assert last_word(second) == "built"
    assert journal(root).count("run") == 1


def test_two_builds_after_a_kill_run_once(tmp_path, start_program):
    root = tmp_path / "shared"
    process = start_program(PROGRAM, root, "pause_after=2")
    assert said(process) == "paused"
    kill(process)
    builds = [start_program(PROGRAM, root, "nothing") for _ in range(2)]
    assert [last_word(build) for build in builds] == ["built", "built"]
    assert journal(root) == ["run", "file 0", "file 1", "run", *(f"file {i}" for i in (2, 3, 4))]


@pytest.mark.parametrize("num_written", [2, 5])
def test_a_frozen_build_that_wakes_up_late_publishes_nothing(tmp_path, start_program, num_written):
    root = tmp_path / "frozen"
    frozen = start_program(PROGRAM, root, f"pause_after={num_written}")
    assert said(frozen) == "paused"
    os.kill(frozen.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, frozen.pid, os.WSTOPPED)
    lock_file = entries(root)[".lock"]
    old = lock_file.stat().st_mtime - STALE_SECONDS - 1
    os.utime(lock_file, (old, old))

    assert last_word(start_program(PROGRAM, root, "nothing")) == "built"
    published = outputs(entries(root)[""])
    record = (entries(root)[""] / "artifact.json").read_bytes()

    os.kill(frozen.pid, signal.SIGCONT)
    assert last_word(frozen) == "LockLost"
    assert set(entries(root)) == {""}
    assert outputs(entries(root)[""]) == published
    assert (entries(root)[""] / "artifact.json").read_bytes() == record


@pytest.mark.parametrize(("limit", "num_whole"), [(32, 0), (64, 5)], ids=["output", "record"])
def test_without_room_nothing_is_published(tmp_path, start_program, undisturbed, limit, num_whole):
    root = tmp_path / "full"
    assert last_word(start_program(PROGRAM, root, f"limit_files={limit}")) == "StorageFull"
    assert set(entries(root)) == {".partial"}
    left = [path.name for path in entries(root)[".partial"].glob("[!.]*")]
    assert len(left) == num_whole and "artifact.json" not in left

    assert last_word(start_program(PROGRAM, root, "nothing")) == "built"
    assert outputs(entries(root)[""]) == outputs(undisturbed)
