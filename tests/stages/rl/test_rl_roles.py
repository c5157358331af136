"""The roles over engines: samples and their log-probs, AV_init, what the AR hears and learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.specs.small_rl import SPEC

from interlingua.core.policy import sample_losses
from interlingua.specs.splits import Split
from interlingua.stages.nla.pair import opened_reconstructor_of
from interlingua.stages.rl.av import switched
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.local_roles import local_roles, opened_policy
from interlingua.stages.rl.roles import NO_TOKEN
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow

LONG = replace(SPEC, max_new_tokens=30)


@pytest.fixture
def job(make_job):
    return make_job(LONG)


@pytest.fixture
def roles(job):
    return local_roles(job)


@pytest.fixture
def asked(job):
    return RlCorpus(job.spec, job.inputs, SplitAccess({Split.RL, Split.FIT, Split.DEV})).asked(0)


@pytest.fixture
def rollouts(roles, asked):
    return roles.av.sample(asked, num_samples=4, seed=0)


def test_log_probs_of_rollouts_are_those_of_the_policy_and_of_its_start(roles, rollouts):
    reference_NT = roles.judge(rollouts).reference_NT
    np.testing.assert_allclose(rollouts.log_probs_NT, reference_NT, atol=1e-4)
    assert (reference_NT[~rollouts.mask_NT] == 0).all() and (reference_NT < 0).any()


def test_after_a_step_the_start_is_still_the_start(roles, rollouts, asked):
    before_NT = roles.judge(rollouts).reference_NT
    advantages_N = np.tile([1.0, -1.0], len(rollouts.ids_NT) // 2)
    given = {"advantages_N": advantages_N, "reference_NT": before_NT, "factor": 1.0}
    for _ in range(3):
        stepped = roles.av.step(rollouts, **given)
    assert np.isfinite(stepped.grad_norm) and stepped.grad_norm > 0
    np.testing.assert_array_equal(roles.judge(rollouts).reference_NT, before_NT)
    again = roles.av.sample(asked, num_samples=4, seed=0)
    own_NT, reference_NT = again.log_probs_NT, roles.judge(again).reference_NT
    assert np.abs(own_NT - reference_NT).max() > 1e-2


def test_a_step_is_the_gradient_of_the_mean_of_the_samples_losses(job, rollouts):
    """Micro-batches of unequal lengths add up to one plain batch."""
    roles, plain = local_roles(job), opened_policy(job)
    reference_NT = roles.judge(rollouts).reference_NT - 0.2
    advantages_N = np.linspace(-1, 1, len(rollouts.ids_NT))
    found = roles.av.step(
        rollouts, advantages_N=advantages_N, reference_NT=reference_NT, factor=1.0
    )
    ids_NT = torch.from_numpy(rollouts.ids_NT.astype(np.int64))
    losses_N = sample_losses(
        plain.log_probs(rollouts.host_tag, torch.from_numpy(rollouts.own_v_NE), ids_NT),
        sampled_NT=torch.from_numpy(rollouts.log_probs_NT),
        reference_NT=torch.from_numpy(reference_NT),
        advantages_N=torch.from_numpy(advantages_N).float(),
        mask_NT=ids_NT != NO_TOKEN,
        clip_ratio=LONG.clip_ratio,
        kl_coef=LONG.kl_coef,
    )
    losses_N.mean().backward()
    grads = [w.grad for w in plain.parameters() if w.grad is not None]
    norm = torch.stack([grad.square().sum() for grad in grads]).sum().sqrt()
    assert found.loss == pytest.approx(losses_N.mean().item(), rel=1e-4)
    assert found.grad_norm == pytest.approx(norm.item(), rel=1e-3)


def test_samples_end_where_they_were_ended_and_failures_are_not_heard(roles, rollouts):
    texts, is_explanation_N = roles.av.explanations(rollouts), rollouts.is_explanation_N
    assert 0 < is_explanation_N.sum() < len(texts)  # both kinds
    assert [text is not None for text in texts] == is_explanation_N.tolist()
    for ids_T in rollouts.ids_NT:
        length = int((ids_T != NO_TOKEN).sum())
        assert (ids_T[:length] >= 0).all() and (ids_T[length:] == NO_TOKEN).all()
    a_NE = roles.judge(rollouts).a_NE
    assert np.isnan(a_NE[~is_explanation_N]).all() and np.isfinite(a_NE[is_explanation_N]).all()


def test_what_was_cut_off_is_no_explanation(make_job, asked):
    roles = local_roles(make_job(replace(LONG, max_new_tokens=5)))
    cut = roles.av.sample(asked, num_samples=2, seed=0)
    assert cut.ids_NT.shape[1] == 5 and not cut.is_explanation_N.any()
    assert np.isnan(roles.judge(cut).a_NE).all()
    assert roles.av.explanations(cut) == [None] * len(cut.ids_NT)


def test_the_ar_hears_what_a_listener_does(job, roles, rollouts):
    listener = opened_reconstructor_of(
        job.inputs.pair.trunk, job.inputs.pair.ar, device="cpu", batch_rows=7
    )
    expected_NE = listener.reconstruct(roles.av.explanations(rollouts))
    np.testing.assert_allclose(roles.judge(rollouts).a_NE, expected_NE, atol=1e-4)


def test_the_ar_learns_from_what_it_heard_alone(job, rollouts):
    roles = local_roles(job)
    losses = [roles.ar.step(rollouts, variance=0.5, factor=1.0, seed=0).loss for _ in range(4)]
    a_NE = local_roles(job).judge(rollouts).a_NE
    heard_N = rollouts.is_explanation_N
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a_NE, rollouts.own_v_NE)]
    expected = (2 * (1 - (unit[0] * unit[1]).sum(1)))[heard_N].mean() / 0.5
    assert losses[0] == pytest.approx(expected, rel=1e-4)
    assert losses[-1] < losses[0]
    silent = replace(rollouts, ar_prompts_NT=np.full_like(rollouts.ar_prompts_NT, NO_TOKEN))
    before = roles.ar.weights()
    assert roles.ar.step(silent, variance=0.5, factor=1.0, seed=0).grad_norm == 0
    assert all(torch.equal(weight, before[n]) for n, weight in roles.ar.weights().items())


def test_what_an_activation_says_does_not_depend_on_the_others(roles, asked, rollouts):
    half = replace(asked, **{name: getattr(asked, name)[1:3] for name in ("keys", "names", "v_BE")})
    own = roles.av.sample(half, num_samples=4, seed=0)
    width = own.ids_NT.shape[1]
    np.testing.assert_array_equal(own.ids_NT, rollouts.ids_NT[4:12, :width])
    other = roles.av.sample(half, num_samples=4, seed=1)
    assert not np.array_equal(other.ids_NT[:, :4], own.ids_NT[:, :4])


def test_switched_weights_come_back_also_after_an_error(job):
    policy = opened_policy(job)
    own = {name: weight.data for name, weight in policy.named_parameters()}
    others = {name: torch.zeros_like(weight) for name, weight in own.items()}
    with pytest.raises(RuntimeError), switched(policy, others):
        assert all((weight == 0).all() for weight in policy.parameters())
        raise RuntimeError
    assert all(weight.data is own[name] or weight.data.data_ptr() == own[name].data_ptr()
               for name, weight in policy.named_parameters())  # fmt: skip
