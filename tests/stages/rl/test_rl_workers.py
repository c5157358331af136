"""The workers of AR and AV_init as objects, without Ray: shares of ranks, attempts, dropout."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.specs.small_rl import LEARNER, SPEC
from torch import nn

from interlingua.cluster.failures import StaleAttempt
from interlingua.cluster.roles import (
    ReconstructorWorker,
    ReferenceWorker,
    engine_over,
    opened_reference,
)
from interlingua.cluster.supervisor import Supervisor
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement, Workers
from interlingua.specs.splits import Split
from interlingua.stages.rl.ar import EngineReconstructor, SupervisedReconstructor
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.local_roles import local_roles, opened_policy, opened_reconstructor
from interlingua.stages.sft.engine import ParamGroup, TorchEngine
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow

LONG = replace(SPEC, max_new_tokens=30)
ONE = Workers(count=1, cpus=1, gpus=0)
FROZEN = FrozenPlacement(workers=ONE, device="cpu", batch_rows=7)
LEARNS = LearnerPlacement(
    workers=ONE, device="cpu", batch_rows=7, micro_batch_rows=5, zero_stage=None
)


@pytest.fixture
def job(make_job):
    return make_job(LONG)


@pytest.fixture
def rollouts(job):
    corpus = RlCorpus(job.spec, job.inputs, SplitAccess({Split.RL, Split.FIT, Split.DEV}))
    return local_roles(job).av.sample(corpus.asked(0), num_samples=4, seed=0)


def begun(worker, rank, num_ranks, attempt=1):
    worker.join(rank, num_ranks, ("127.0.0.1", 1))
    worker.begin(attempt)
    return worker


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_ranks_share_the_samples_and_together_say_what_one_says(job, rollouts, num_ranks):
    judged = local_roles(job).judge(rollouts)
    for kind, place, method, expected in (
        (ReferenceWorker, FROZEN, "log_probs", judged.reference_NT),
        (ReconstructorWorker, LEARNS, "reconstruct", judged.a_NE),
    ):
        for rank in range(num_ranks):
            worker = begun(kind(pickle.dumps(job), place), rank, num_ranks)
            part = getattr(worker, method)(1, rollouts)
            np.testing.assert_allclose(part, expected[rank::num_ranks], atol=1e-4)


def test_an_attempt_that_is_over_is_not_answered(job, rollouts):
    worker = ReconstructorWorker(pickle.dumps(job), LEARNS)
    with pytest.raises(StaleAttempt):
        worker.reconstruct(1, rollouts)
    begun(worker, 0, 1, attempt=2)
    first = worker.step(2, rollouts, variance=0.5, factor=1.0, seed=0).loss
    for call in (worker.reconstruct, worker.save, worker.load, worker.write_weights):
        with pytest.raises(StaleAttempt, match="attempt 1 is over; this role answers 2"):
            call(1, rollouts)
    with pytest.raises(StaleAttempt):
        worker.step(1, rollouts, variance=0.5, factor=1.0, seed=0)
    worker.begin(3)  # as training begins: what the second attempt learned is gone
    assert worker.step(3, rollouts, variance=0.5, factor=1.0, seed=0).loss == first


def test_buffers_of_every_role_are_fp32_whatever_the_forward_is(make_job):
    """Positions in RoPE are exact in fp32 alone: its frequencies are a buffer."""
    half = replace(LEARNER, dtype="bfloat16")
    job = make_job(replace(LONG, av=half, ar=half))
    reference = opened_reference(job)._engine.module
    av = engine_over(opened_policy(job), half, job, LEARNS).module
    ar = engine_over(opened_reconstructor(job), half, job, LEARNS).module
    assert {weight.dtype for weight in reference.parameters()} == {torch.bfloat16}
    for role in (reference, av, ar):
        buffers = {name: buffer.dtype for name, buffer in role.named_buffers()}
        assert any("inv_freq" in name for name in buffers)
        assert set(buffers.values()) == {torch.float32}


class Forgetful(nn.Module):
    """Rebuilds a vector from the mean of its ids' embeddings, with dropout."""

    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(4000, width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, ids_NT, mask_NT):
        masked_NTE = self.embed(ids_NT) * mask_NT[..., None]
        return self.dropout(masked_NTE.sum(1))


def test_dropout_depends_on_the_step_alone(rollouts):
    width = rollouts.v_BE.shape[1]

    def loss_of(seed, before):
        torch.manual_seed(1)
        learner = SupervisedReconstructor(Forgetful(width))
        groups = [ParamGroup(list(learner.parameters()), 1e-3)]
        engine = TorchEngine(learner, groups, LEARNER, "cpu")
        ar = EngineReconstructor(
            engine, width=width, micro_batch_rows=5, batch_rows=7, device="cpu"
        )
        torch.manual_seed(before)  # whatever ran in this process
        return ar.step(rollouts, variance=1.0, factor=1.0, seed=seed).loss

    assert loss_of(seed=5, before=1) == loss_of(seed=5, before=2)
    assert loss_of(seed=5, before=1) != loss_of(seed=6, before=1)


class Unlucky(Supervisor):
    """Whose roles cannot begin at first, as in processes whose collective broke."""

    def __init__(self, out, num_failures):
        super().__init__(b"", None, {}, out)
        self.done, self._num_failures = [], num_failures

    def heal(self):
        self.done.append("heal")
        self._workers = {"av_init": ("i",), "ar": ("r",)}

    def _begin(self, ray, attempt):
        self.done.append("begin")
        if self._num_failures:
            self._num_failures -= 1
            raise ray.exceptions.RayError("connection closed")

    def _dismiss(self, ray, role):
        self.done.append(f"dismiss {role}")


def test_roles_that_cannot_begin_are_made_anew_once(tmp_path):
    import ray

    supervisor = Unlucky(tmp_path, num_failures=1)
    assert supervisor.begin() == (1, ("i",), ("r",))
    again = ["heal", "begin", "dismiss av_init", "dismiss ar", "heal", "begin"]
    assert supervisor.done == again
    assert Unlucky(tmp_path, num_failures=0).begin().attempt == 2
    with pytest.raises(ray.exceptions.RayError):
        Unlucky(tmp_path, num_failures=2).begin()
