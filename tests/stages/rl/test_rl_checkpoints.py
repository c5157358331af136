"""Which look of a run of reinforcement learning keeps its weights."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from tests.specs.small_rl import SPEC

from interlingua.stages.rl.checkpoints import RunCheckpoints
from interlingua.stages.rl.dev_eval import DevEval
from interlingua.stages.rl.roles import Roles
from interlingua.stages.sft.best_weights import BEST, best_dev_eval
from interlingua.store.progress import read_dev_evals

WATCH = replace(SPEC.watch, min_delta=1e-3)


class Learner:
    """One rank, with one weight."""

    rank = 0

    def gathered(self, value):
        """The one value."""
        return [value]

    def weights(self):
        """The one weight."""
        return {"weight": torch.zeros(1)}

    def save(self, folder):
        """Nothing."""

    def load(self, folder):
        """Nothing."""


def kept_of(out):
    """Of two such learners."""
    return RunCheckpoints(Roles(Learner(), Learner(), SimpleNamespace()), WATCH, out)


def test_a_look_is_kept_that_is_better_by_more_than_the_margin_also_after_a_resume(tmp_path):
    scores = {0: -0.5, 3: -0.5009, 6: -0.502, 9: -0.5028, 12: -0.5031}
    kept = kept_of(tmp_path)
    for step in (0, 3, 6):
        kept.add(step, DevEval({"nmse": [1.0]}, {"score": scores[step]}))
        kept.checkpoint(step + 1)
    kept = kept_of(tmp_path)
    assert kept.resume() == 7
    for step in (9, 12):
        kept.add(step, DevEval({"nmse": [1.0]}, {"score": scores[step]}))
    looks = read_dev_evals(tmp_path)
    assert [add["step"] for add in looks if add["is_best"]] == [0, 6, 12]
    assert best_dev_eval(looks)["step"] == 12
    kept.checkpoint(13)
    assert [path.name for path in (tmp_path / BEST).iterdir()] == ["12"]
