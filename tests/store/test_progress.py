"""Reports of a running stage: whole lines, continued at a checkpoint, read from the end."""

import json
import time

import pytest

from interlingua.store.progress import (
    PROGRESS_NAME,
    MetricsLog,
    last_metrics,
    read_metrics,
    read_timed_metrics,
)


def reported(folder, steps, resume_step=0):
    log = MetricsLog(folder, resume_step=resume_step)
    for step in steps:
        log.append(step, loss=step / 3)
    return log


def test_reports_are_read_back_in_order(tmp_path):
    reported(tmp_path, [10, 20])
    assert read_metrics(tmp_path) == [{"step": 10, "loss": 10 / 3}, {"step": 20, "loss": 20 / 3}]
    assert last_metrics(tmp_path).items() >= {"step": 20, "loss": 20 / 3}.items()


def test_before_the_first_report_there_is_none(tmp_path):
    assert read_metrics(tmp_path) == []
    assert last_metrics(tmp_path) is None
    MetricsLog(tmp_path, resume_step=0)
    assert read_metrics(tmp_path) == []
    assert last_metrics(tmp_path) is None


def test_a_resumed_stage_forgets_what_lies_beyond_its_checkpoint(tmp_path):
    reported(tmp_path, [10, 20, 30])
    reported(tmp_path, [30, 40], resume_step=20)
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20, 30, 40]


def test_a_broken_run_leaves_the_same_file_as_an_unbroken_one(tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    broken.mkdir()
    unbroken.mkdir()
    reported(unbroken, range(1, 40))
    reported(broken, range(1, 25))
    reported(broken, range(11, 40), resume_step=10)
    assert read_metrics(broken) == read_metrics(unbroken)
    times = [line["time"] for line in read_timed_metrics(broken)]
    assert times == sorted(times) and len(times) == 39


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    reported(tmp_path, [10])
    with (tmp_path / PROGRESS_NAME).open("a") as file:
        file.write('{"step": 20, "lo')
    assert [line["step"] for line in read_metrics(tmp_path)] == [10]
    assert last_metrics(tmp_path)["step"] == 10
    # and a resumed stage writes on a line of its own
    reported(tmp_path, [20], resume_step=10)
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20]


@pytest.mark.parametrize("tail_bytes", range(40, 160))
def test_the_newest_report_is_found_wherever_the_tail_begins(tmp_path, tail_bytes):
    reported(tmp_path, range(100))
    assert last_metrics(tmp_path, tail_bytes=tail_bytes)["step"] == 99


def test_a_report_that_is_longer_than_the_tail_is_found(tmp_path):
    MetricsLog(tmp_path, resume_step=0).append(7, **{f"loss_{n}": 0.5 for n in range(2000)})
    assert len((tmp_path / PROGRESS_NAME).read_bytes()) > 3 * 4096
    assert last_metrics(tmp_path)["step"] == 7


def test_a_reader_beside_the_writer_never_sees_half_a_report(tmp_path):
    log = reported(tmp_path, [])
    for step in range(50):
        log.append(step, loss=float(step))
        assert last_metrics(tmp_path)["step"] == step
        assert len(read_metrics(tmp_path)) == step + 1


def test_a_resumed_log_is_replaced_whole(tmp_path):
    reported(tmp_path, [10, 20])
    with (tmp_path / PROGRESS_NAME).open() as file:  # as a driver that tails it
        MetricsLog(tmp_path, resume_step=10)
        assert [json.loads(line)["step"] for line in file] == [10, 20]
    assert [line["step"] for line in read_metrics(tmp_path)] == [10]
    assert [path.name for path in tmp_path.iterdir()] == [PROGRESS_NAME]


def test_a_report_is_one_line_of_json(tmp_path):
    before = time.time()
    MetricsLog(tmp_path, resume_step=0).append(5, loss=0.25, learning_rate=1e-3)
    [line] = (tmp_path / PROGRESS_NAME).read_text().splitlines()
    line = json.loads(line)
    assert before - 0.001 <= line.pop("time") <= time.time() + 0.001
    assert line == {"step": 5, "loss": 0.25, "learning_rate": 0.001}
