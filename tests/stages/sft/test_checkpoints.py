"""One keeper for all trainings: which evaluation keeps its weights, and what a resume forgets."""

import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from interlingua.stages.sft.best_weights import BEST, ROWS_NAME, best_dev_eval, best_of
from interlingua.stages.sft.checkpoints import CHECKPOINTS, RunCheckpoints, forget_training
from interlingua.store.progress import numbers_of, read_dev_evals, read_metrics, read_timed_metrics


class Trained:
    """One weight, in one of several ranks that agree on everything."""

    def __init__(self, rank=0, seen=()):
        self.rank, self.weight, self._seen = rank, 0.0, seen

    def gathered(self, value):
        """Its own value, and of numbers those that other ranks see."""
        return [value, *self._seen] if isinstance(value, int) else [value]

    def trained_weights(self):
        """The one weight."""
        return {"weight": torch.tensor([self.weight])}

    def save(self, folder):
        """The weight, in a file of its own for every rank."""
        (folder / str(self.rank)).write_text(json.dumps(self.weight))

    def load(self, folder):
        """The weight as it was."""
        self.weight = json.loads((folder / str(self.rank)).read_text())


def opened(out, **ranks):
    trained = Trained(**ranks)
    return RunCheckpoints(trained, out, min_delta=1e-3), trained


def evaluated(checkpoints, trained, step, score, **how):
    """An evaluation whose weights and rows say at which step it was."""
    trained.weight = float(step)
    checkpoints.add(step, {"score": score, "fve": -score}, pa.table({"step": [step]}), **how)


def test_what_is_better_by_more_than_the_margin_is_the_best_also_after_a_resume(tmp_path):
    scores = {0: -0.5, 3: -0.5009, 6: -0.502, 9: -0.5028, 12: -0.5031}
    checkpoints, trained = opened(tmp_path)
    for step in (0, 3, 6):
        evaluated(checkpoints, trained, step, scores[step])
        checkpoints.checkpoint(step + 1)
    checkpoints, trained = opened(tmp_path)
    assert checkpoints.resume() == 7 and trained.weight == 6
    for step in (9, 12):
        evaluated(checkpoints, trained, step, scores[step])
    dev_evals = read_dev_evals(tmp_path)
    assert [line["step"] for line in dev_evals if line["is_best"]] == [0, 6, 12]
    assert best_dev_eval(dev_evals)["step"] == 12
    checkpoints.checkpoint(13)
    assert [path.name for path in (tmp_path / BEST).iterdir()] == ["12"]
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir()] == ["13"]
    forget_training(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} & {BEST, CHECKPOINTS} == set()


def test_an_evaluation_that_may_not_be_the_best_is_noted_and_leaves_the_best_before_it(tmp_path):
    checkpoints, trained = opened(tmp_path)
    evaluated(checkpoints, trained, 0, 0.0)
    evaluated(checkpoints, trained, 3, -1.0, may_be_best=False)
    weights, columns, dev_eval = best_of(tmp_path)
    assert (weights["weight"].item(), columns["step"], dev_eval["step"]) == (0, [0], 0)
    assert [line["step"] for line in read_dev_evals(tmp_path)] == [0, 3]


def test_a_run_that_takes_another_course_after_a_resume_finds_the_best_before_it(tmp_path):
    checkpoints, trained = opened(tmp_path)
    evaluated(checkpoints, trained, 0, 0.0)
    checkpoints.checkpoint(2)
    evaluated(checkpoints, trained, 3, -1.0)  # the best, and behind the checkpoint
    checkpoints, trained = opened(tmp_path)
    assert checkpoints.resume() == 2
    evaluated(checkpoints, trained, 3, 1.0)
    weights, columns, dev_eval = best_of(tmp_path)
    assert (weights["weight"].item(), columns["step"], dev_eval["step"]) == (0, [0], 0)


def test_an_evaluation_at_the_step_of_the_checkpoint_is_made_again(tmp_path):
    checkpoints, trained = opened(tmp_path)
    evaluated(checkpoints, trained, 0, 0.0)
    evaluated(checkpoints, trained, 4, -1.0)
    checkpoints.checkpoint(4)
    assert {path.name for path in (tmp_path / BEST).iterdir()} == {"0", "4"}
    checkpoints, trained = opened(tmp_path)
    assert checkpoints.resume() == 4
    assert [line["step"] for line in checkpoints.dev_evals] == [0]


def test_the_ranks_go_on_from_the_step_that_all_of_them_see(tmp_path):
    checkpoints, trained = opened(tmp_path)
    evaluated(checkpoints, trained, 0, 0.0)
    checkpoints.checkpoint(2)
    late, _ = opened(tmp_path, seen=(0,))
    assert late.resume() == 0


def test_another_rank_saves_its_part_and_writes_nothing_else(tmp_path):
    checkpoints, trained = opened(tmp_path, rank=1)
    evaluated(checkpoints, trained, 0, 0.0)
    checkpoints.report(1, {"loss": 1.0})
    checkpoints.checkpoint(1)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith("peaks")} == {"checkpoints/1.partial/1"}


def test_reports_and_evaluations_say_when_and_are_apart(tmp_path):
    checkpoints, trained = opened(tmp_path)
    checkpoints.resume()
    checkpoints.report(1, {"loss": 2.0})
    evaluated(checkpoints, trained, 1, -0.5)
    checkpoints.report(2, {"loss": 1.0})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    [dev_eval] = read_dev_evals(tmp_path)
    first, second = read_timed_metrics(tmp_path)
    assert first["time"] <= dev_eval["time"] <= second["time"] <= time.time() + 0.001
    assert numbers_of(dev_eval) == {"fve": 0.5}


def test_rows_that_cannot_be_written_leave_no_line_that_names_them(tmp_path, monkeypatch):
    checkpoints, trained = opened(tmp_path)

    def broken(*_):
        raise OSError("full")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="full"):
        evaluated(checkpoints, trained, 0, 0.0)
    assert read_dev_evals(tmp_path) == [] and not (tmp_path / BEST / "0" / ROWS_NAME).exists()
