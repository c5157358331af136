"""The loop with the real AV under a judge whose taste is known: what it learns, what holds it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.specs.small_rl import LEARNER, SPEC
from tests.stages.rl.stepping import disagreeing

from interlingua.specs.rl import CollapseGates
from interlingua.specs.splits import Split
from interlingua.specs.training import RateDecay
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.dev_eval import failed_gate
from interlingua.stages.rl.local_roles import local_roles
from interlingua.stages.rl.loop import TooManySkipped, reinforce
from interlingua.stages.rl.roles import Judgement
from interlingua.store.progress import DEV_EVALS_NAME, read_dev_evals, read_metrics
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow

TOY = replace(
    SPEC,
    num_steps=24,
    max_new_tokens=8,
    av=replace(LEARNER, learning_rate=3e-3),
    ar=None,
    kl_coef=0.0,
    watch=replace(SPEC.watch, evaluate_every=24, checkpoint_every=24),
)


class EvenTokens:
    """Rebuilds the vector by as much as a sample's ids are even."""

    def __init__(self, judge):
        self._judge = judge

    def __call__(self, rollouts):
        even_NT = (rollouts.ids_NT % 2 == 0) & rollouts.mask_NT
        share_N1 = (even_NT.sum(axis=1) / rollouts.num_tokens_N)[:, None]
        v_NE = rollouts.own_v_NE
        aside_NE = np.roll(v_NE, 1, axis=1)
        aside_NE -= v_NE * (aside_NE * v_NE).sum(axis=1, keepdims=True) / v_NE.shape[1]
        a_NE = share_N1 * v_NE + (1 - share_N1) * aside_NE
        return Judgement(a_NE, self._judge(rollouts).reference_NT)


def reinforced(job, judge=EvenTokens, spoil=lambda roles: None):
    """The metrics of every step, what stopped the run, and how it ended."""
    access = SplitAccess({Split.RL, Split.FIT, Split.DEV})
    corpus = RlCorpus(job.spec, job.inputs, access)
    roles = local_roles(job)
    roles = roles._replace(judge=judge(roles.judge))
    spoil(roles)
    ended = reinforce(job.spec.rl, roles, corpus, job.out)
    return read_metrics(job.out), ended.stopped_by, ended


def test_the_reward_rises(make_job):
    steps, gate, _ = reinforced(make_job(TOY))
    assert gate is None and len(steps) == TOY.num_steps
    first, last = (np.mean([s["reward"] for s in part]) for part in (steps[:4], steps[-4:]))
    assert last > first + 0.15
    start, end = read_dev_evals(make_job(TOY).out)
    assert end["kl_per_token"] > 0.05 and start["kl_per_token"] < 1e-8
    assert {"seconds_sample", "seconds_judge", "seconds_learn_av", "seconds_learn_ar",
            "seconds_wait", "entropy_per_token", "mean_tokens"} <= steps[0].keys()  # fmt: skip


def test_a_large_coefficient_keeps_the_policy_at_its_start(make_job):
    learner = replace(TOY.av, learning_rate=1e-3, decay=RateDecay.COSINE)
    kl = {}
    for kl_coef in (0.0, 5.0):
        job = make_job(replace(TOY, av=learner, kl_coef=kl_coef))
        reinforced(job)
        kl[kl_coef] = read_dev_evals(job.out)[-1]["kl_per_token"]
        (job.out / DEV_EVALS_NAME).unlink()
    assert kl[5.0] < 0.05 < 0.2 < kl[0.0], kl


class Noise(EvenTokens):
    """Rebuilds every vector almost alike: rewards differ by far less than the floor, by chance."""

    def __call__(self, rollouts):
        judged = super().__call__(rollouts)
        rng = np.random.default_rng(int(rollouts.ids_NT.sum()))
        v_NE = rollouts.own_v_NE
        away_NE = rng.normal(size=v_NE.shape) * rng.uniform(size=(len(v_NE), 1))
        return judged._replace(a_NE=v_NE + 0.01 * np.abs(v_NE).mean() * away_NE)


def test_noise_below_the_floor_leaves_the_policy_where_the_anchor_holds_it(make_job):
    learner = replace(TOY.av, learning_rate=1e-3, decay=RateDecay.COSINE)
    kl = {}
    for floor in (0.1, 0.0):
        job = make_job(replace(TOY, av=learner, advantage_floor=floor, kl_coef=0.2))
        reinforced(job, judge=Noise)
        kl[floor] = read_dev_evals(job.out)[-1]["kl_per_token"]
        (job.out / DEV_EVALS_NAME).unlink()
    assert kl[0.1] < 0.02 < 0.05 < kl[0.0], kl


def test_hosts_take_turns_and_each_sees_new_activations(make_job):
    job = make_job(SPEC)
    corpus = RlCorpus(job.spec, job.inputs, SplitAccess({Split.RL, Split.FIT, Split.DEV}))
    asked = [corpus.asked(step) for step in range(6)]
    tags = set(job.spec.host_tags)
    assert all(
        {a.host_tag, b.host_tag} == tags for a, b in zip(asked[::2], asked[1::2], strict=True)
    )
    again = corpus.asked(3)
    assert again.names == asked[3].names and (again.v_BE == asked[3].v_BE).all()
    of_one = [a.keys for a in asked if a.host_tag == asked[0].host_tag]
    assert not set(of_one[0]) & set(of_one[1])
    assert len({name for a in asked for name in a.names}) == 6 * SPEC.activations_per_step


class Spoiled:
    """Gradients that are not finite, at some steps."""

    def __init__(self, engine, steps):
        self._module, self._steps, self._turn = engine.module, steps, -1
        self.num_unchanged = 0
        weight = next(w for w in self._module.parameters() if w.requires_grad)
        weight.register_hook(self._spoil)
        engine_step = engine.step

        def step(batches, factor):
            self._turn += 1
            before = weight.detach().clone()
            stepped = engine_step(batches, factor)
            self.num_unchanged += torch.equal(before, weight)
            return stepped

        engine.step = step

    def _spoil(self, gradient):
        return gradient * float("inf") if self._turn in self._steps else gradient


def test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted(make_job):
    spoiled = []
    spec = replace(TOY, num_steps=6, max_skipped_share=0.5)
    steps, _, ended = reinforced(
        make_job(spec), spoil=lambda roles: spoiled.append(Spoiled(roles.av._engine, {1, 3}))
    )
    assert [s["num_skipped_av"] for s in steps] == [0, 1, 0, 1, 0, 0]
    assert ended.counts["num_skipped_av"] == 2 == spoiled[0].num_unchanged
    assert all(np.isfinite(s["reward"]) for s in steps)


@pytest.mark.parametrize("name", ["av", "ar"])
def test_too_many_of_them_end_the_run(name, make_job):
    spec = replace(SPEC, num_steps=10, max_skipped_share=0.2, max_new_tokens=30)

    def spoil(roles):
        Spoiled(getattr(roles, name)._engine, {1, 2, 3, 4})

    with pytest.raises(
        TooManySkipped, match=rf"3 of \d steps of the {name.upper()} .* allows 2 of 10"
    ):
        reinforced(make_job(spec), spoil=spoil)


def test_rewards_are_of_the_ar_that_the_samples_met(make_job):
    """What the AR learns of a step changes the rewards of the next ones alone."""
    rewards = {}
    for ar in (LEARNER, None):
        job = make_job(replace(SPEC, num_steps=2, ar=ar, max_new_tokens=30))
        steps, _, _ = reinforced(job, judge=lambda judge: judge)
        rewards[ar] = [step["reward"] for step in steps]
        (job.out / DEV_EVALS_NAME).unlink()
    assert rewards[LEARNER][0] == rewards[None][0]
    assert rewards[LEARNER][1] != rewards[None][1]


def test_a_policy_too_far_from_its_start_is_stopped(make_job):
    watch = replace(TOY.watch, max_kl_per_token=0.01)
    steps, gate, _ = reinforced(make_job(replace(TOY, watch=watch)))
    assert gate.startswith("kl_per_token is") and len(steps) < TOY.num_steps
    assert read_dev_evals(make_job(TOY).out)[-1]["is_best"]


def test_sampler_and_trainer_agree_and_where_the_av_stays_nobody_asks(make_job):
    spec = replace(TOY, num_steps=4)
    steps, gate, _ = reinforced(make_job(spec))
    assert gate is None and len(steps) == 4
    assert all(0 < step["log_ratio_mean"] <= step["log_ratio_p99"] < 1e-4 for step in steps)
    (make_job(spec).out / DEV_EVALS_NAME).unlink()
    still = replace(SPEC, num_steps=2, av=None, watch=replace(SPEC.watch, max_log_ratio=1e-9))
    steps, gate, _ = reinforced(make_job(still))
    assert gate is None and not any("log_ratio" in name for step in steps for name in step)


def test_a_sampler_that_disagrees_with_the_trainer_is_seen_and_stopped(make_job):
    def spoil(roles):
        off = disagreeing(roles.av.sample, lambda n: np.where(np.arange(n) < n // 16, 0.5, 0.1))
        roles.av.sample = off

    watch = replace(TOY.watch, max_log_ratio=0.2)
    steps, gate, _ = reinforced(make_job(replace(TOY, num_steps=3, watch=watch)), spoil=spoil)
    # All that was sampled is off by 0.1, and one in sixteen samples by 0.5.
    assert len(steps) == 1 and steps[0]["log_ratio_p99"] == pytest.approx(0.5, abs=1e-3)
    assert 0.1 < steps[0]["log_ratio_mean"] < 0.2
    assert gate == "log_ratio_p99 is 0.5000, above its gate at 0.2000"


GATES = CollapseGates(
    least_unique_share=0.8,
    least_distinct_words=0.9,
    most_added_failures=0.05,
    least_gap_share=0.5,
)


@pytest.mark.parametrize(
    ("name", "passes", "fails"),
    [
        ("unique_share", 0.73, 0.71),
        ("distinct_word_share", 0.73, 0.71),
        ("tag_failure_share", 0.14, 0.16),
        ("similarity_gap", 0.06, 0.04),
    ],
)
def test_a_gate_closes_relative_to_the_start_and_says_its_name(name, passes, fails):
    start = {
        "unique_share": 0.9,
        "distinct_word_share": 0.8,
        "tag_failure_share": 0.1,
        "similarity_gap": 0.1,
    }
    watch = replace(SPEC.watch, gates=GATES)
    assert failed_gate({**start, name: passes}, start, watch) is None
    for worse in (fails, float("nan")):
        assert failed_gate({**start, name: worse}, start, watch).startswith(name)
    assert failed_gate({**start, name: fails}, start, SPEC.watch) is None
    without = {**start, "similarity_gap": -0.01}
    assert failed_gate({**without, "similarity_gap": -0.02}, without, watch) is None


# Two texts of an activation are alike by accident here: the gap is not looked at.
FAILURES_ONLY = replace(
    GATES, least_unique_share=0.0, least_distinct_words=0.0, least_gap_share=0.0
)


class Silencing(EvenTokens):
    """Likes samples that never close a tag."""

    def __call__(self, rollouts):
        judged = super().__call__(rollouts)
        a_NE = np.where(rollouts.is_explanation_N[:, None], -rollouts.own_v_NE, rollouts.own_v_NE)
        return judged._replace(a_NE=a_NE)


def test_a_collapse_ends_the_run_with_the_weights_before_it(make_job):
    watch = replace(SPEC.watch, evaluate_every=4, checkpoint_every=30, gates=FAILURES_ONLY)
    spec = replace(TOY, num_steps=24, max_new_tokens=30, watch=watch)
    steps, gate, _ = reinforced(make_job(spec), judge=Silencing)
    assert gate.startswith("tag_failure_share") and len(steps) < spec.num_steps
    looks = read_dev_evals(make_job(spec).out)
    assert looks[0]["is_best"] and not looks[-1]["is_best"]
