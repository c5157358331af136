"""Which look is the best: by more than a margin, also where a run was broken off."""

import itertools
import time

import numpy as np
import pytest
import torch
from torch import nn

from interlingua.specs.training import OptimSpec, RateDecay, WatchSpec
from interlingua.stages.sft.best_weights import BEST, best_dev_eval, best_of, is_better
from interlingua.stages.sft.checkpoints import CHECKPOINTS
from interlingua.stages.sft.engine import ParamGroup, TorchEngine
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import train
from interlingua.store.progress import read_dev_evals, read_metrics

SCORES = [1.0, 0.9999, 0.5, 0.49991, 0.49989, 0.4]  # of looks at steps 0, 2, 4, ...
BETTER = [True, False, True, False, True, True]


class Interrupted(Exception):
    """Stands for whatever ends a process."""


class Counting(nn.Module):
    """One weight. Its gradient is 1: a step of AdamW without memory is one of the learning rate."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, _batch):
        """Less, the more steps there were."""
        return -self.weight.sum()


class Scripted:
    """A program whose weight counts steps, and whose looks have the scores that are said."""

    def __init__(self, scores, breaks_at=None):
        self._scores, self._breaks_at = scores, breaks_at
        self.module, self.seed = Counting(), 0
        self.num_steps, self.batch_rows = 2 * len(scores) - 2, 1
        self.optim = OptimSpec(
            learning_rate=1.0,
            warmup_steps=0,
            decay=RateDecay.CONSTANT,
            betas=(0.0, 0.0),
            weight_decay=0.0,
            clip_norm=1.0,
            dtype="float32",
        )
        self.watch = WatchSpec(
            seed=0, validate_every=2, checkpoint_every=3, dev_rows=1, min_delta=1e-4
        )

    def groups(self):
        """The weight."""
        return [ParamGroup([self.module.weight], 1.0)]

    def micro_batches(self, step, _share):
        """One."""
        if step == self._breaks_at:
            raise Interrupted
        return [None]

    def dev_batches(self):
        """Two, in the wrong order."""
        return [1, 0]

    def dev_rows(self, batch):
        """One row, which says at which step it was made."""
        return [((batch,), {"batch": batch, "step": round(self.module.weight.item())})]

    def summarized(self, rows):
        """The score of the step."""
        assert [row["batch"] for row in rows] == [0, 1]
        return {"score": self._scores[rows[0]["step"] // 2]}

    def counts(self):
        """Nothing is counted."""
        return {}


def run(out, breaks_at=None, scores=SCORES):
    """Train once, to the end or to where it breaks."""
    program = Scripted(scores, breaks_at)
    engine = TorchEngine(program.module, program.groups(), program.optim, "cpu")
    job = TrainingJob(spec=None, inputs={}, out=out, micro_batch_rows=1, threads=1, device="cpu")
    train(program, engine, job)


@pytest.mark.parametrize("breaks", [(), (5,), (4, 7, 9)])
def test_a_look_is_better_by_more_than_the_margin_also_after_a_resume(breaks, tmp_path):
    for step in breaks:
        with pytest.raises(Interrupted):
            run(tmp_path, breaks_at=step)
        kept = {int(path.name) for path in (tmp_path / BEST).iterdir()}
        assert int(best_dev_eval(read_dev_evals(tmp_path))["step"]) in kept
    run(tmp_path)
    assert [dev_eval["is_best"] for dev_eval in read_dev_evals(tmp_path)] == BETTER
    assert (tmp_path / CHECKPOINTS / "9").exists()
    weights, columns, dev_eval = best_of(tmp_path)
    assert dev_eval["step"] == 10 == round(weights["weight"].item())
    np.testing.assert_array_equal(columns["step"], [10, 10])


def test_what_is_no_better_than_the_start_by_the_margin_leaves_the_start(tmp_path):
    run(tmp_path, scores=[1.0, 0.99999, 0.99995])
    weights, _, dev_eval = best_of(tmp_path)
    assert dev_eval["step"] == 0 and weights["weight"].item() == 0


def test_rows_per_second_count_the_steps_since_the_last_report(tmp_path, monkeypatch):
    """A second passes between two looks at the clock; reports come at steps 10 and 12."""
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    run(tmp_path, scores=[1.0] * 7)
    rates = {line["step"]: line["rows_per_second"] for line in read_metrics(tmp_path)}
    assert rates == {10: 10.0, 12: 2.0}


def test_a_score_that_is_no_number_is_no_better():
    dev_evals = [{"step": 0, "score": 1.0, "is_best": True}]
    assert not is_better(float("nan"), dev_evals, min_delta=0.0)
    assert is_better(float("nan"), [], min_delta=0.0)
    assert is_better(0.9, dev_evals, min_delta=0.0) and not is_better(0.9, dev_evals, min_delta=0.2)
