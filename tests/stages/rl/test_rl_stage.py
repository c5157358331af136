"""The stage: what it leaves, how it goes on, its ablations, and that its result opens as a pair."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.built import built_inputs
from tests.specs.small_rl import SPEC

from interlingua.cluster.local import LocalReinforcer
from interlingua.specs.splits import Split
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.nla.pair import (
    AR_PREFIX,
    AV_PREFIX,
    opened_reconstructor_of,
    opened_verbalizer,
    weights_of,
)
from interlingua.stages.rl import loop as rl
from interlingua.stages.rl import results
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.loop import START_ROWS_NAME
from interlingua.stages.rl.stage import check_pair, rl_stage
from interlingua.stages.sft.best_weights import BEST, ROWS_NAME, WEIGHTS_NAME
from interlingua.stages.sft.checkpoints import CHECKPOINTS
from interlingua.store.artifact import build
from interlingua.store.progress import TIME, read_dev_evals, read_metrics
from interlingua.store.rows.rollouts import read_rollouts, rollouts_name
from interlingua.store.rows.shards import ShardIndex
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed

pytestmark = pytest.mark.slow

LONG = replace(SPEC, max_new_tokens=30)
ROLLOUTS = [rollouts_name(step) for step in (0, 3, 6)]


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def built(make_stage, talking_root, context):
    return build(make_stage(LONG), talking_root, context)


@pytest.fixture(scope="module")
def before(make_stage, talking_root):
    return built_inputs(make_stage(LONG), talking_root)


def breaking_at(step, monkeypatch):
    real = rl.learn

    def learn(at, *args):
        if at == step:
            raise Interrupted
        return real(at, *args)

    monkeypatch.setattr(rl, "learn", learn)


def without_times(metrics):
    return {
        name: value
        for name, value in metrics.items()
        if not name.startswith("seconds_") and name != TIME
    }


def test_a_run_broken_off_twice_ends_bit_for_bit_as_an_unbroken_one(
    built, make_stage, own_root, context, monkeypatch
):
    (own_root / "rl").unlink(missing_ok=True)  # it is built anew
    stage = make_stage(LONG)
    for step in (3, 5):
        with monkeypatch.context() as patched, pytest.raises(Interrupted):
            breaking_at(step, patched)
            build(stage, own_root, context)
    artifact = build(stage, own_root, context)
    for name in (WEIGHTS_NAME, ROWS_NAME, START_ROWS_NAME, *ROLLOUTS):
        assert (artifact.path / name).read_bytes() == (built.path / name).read_bytes()
    assert without_times(artifact.record.metrics) == without_times(built.record.metrics)
    ours, theirs = (
        [without_times(line) for line in [*read_metrics(path), *read_dev_evals(path)]]
        for path in (artifact.path, built.path)
    )
    assert ours == theirs and [line["step"] for line in ours] == [1, 2, 3, 4, 5, 6, 0, 3, 6]


def test_checkpoints_hold_both_models_and_are_whole(make_stage, own_root, context, monkeypatch):
    (own_root / "rl").unlink(missing_ok=True)
    breaking_at(5, monkeypatch)
    with pytest.raises(Interrupted):
        build(make_stage(LONG), own_root, context)
    [checkpoints] = own_root.glob(f"rl/*.partial/{CHECKPOINTS}")
    assert [path.name for path in checkpoints.iterdir()] == ["4"]
    found = {str(path.relative_to(checkpoints / "4")) for path in checkpoints.rglob("*.*")}
    assert found == {"av/state.pt", "ar/state.pt", "state.json"}
    state = json.loads((checkpoints / "4" / "state.json").read_text())
    assert (
        state["counts"]["num_steps"] == 4 and state["counts"]["num_samples"] == 4 * LONG.num_samples
    )


def test_it_reads_rl_fit_and_dev_alone(built, before, make_stage):
    consumed = read_consumed(built.path / LEDGER_NAME)
    assert consumed.keys() == {Split.RL, Split.FIT, Split.DEV}
    corpus = RlCorpus(make_stage(LONG).spec, before, SplitAccess({Split.RL, Split.FIT, Split.DEV}))
    asked = {key[0] for step in range(LONG.num_steps) for key in corpus.asked(step).keys}
    assert set(consumed[Split.RL]) == asked


class Apart(LocalReinforcer):
    """Runs the loop, and says how many vectors were read before and after it."""

    def __init__(self, reads):
        super().__init__()
        self._reads = reads

    def play(self, play, job, place):
        assert self._reads == [], "vectors are read before the loop"
        ended = super().play(play, job, place)
        assert self._reads != []
        self._reads.clear()
        return ended


def test_the_ledger_is_that_of_the_loop_and_costs_no_read_of_a_vector(
    before, make_stage, own_root, context, monkeypatch
):
    (own_root / "rl").unlink(missing_ok=True)
    reads, real = [], ShardIndex.rows_at
    monkeypatch.setattr(
        ShardIndex, "rows_at", lambda self, keys: reads.append(len(keys)) or real(self, keys)
    )
    stage = make_stage(replace(LONG, num_steps=2))
    artifact = build(stage, own_root, replace(context, reinforcer=Apart(reads)))
    assert reads == []
    access = SplitAccess({Split.RL, Split.FIT, Split.DEV})
    corpus = RlCorpus(stage.spec, before, access)
    for step in range(2):
        corpus.asked(step)
    assert read_consumed(artifact.path / LEDGER_NAME) == access.consumed()


def test_failures_are_counted_and_earn_no_more_than_what_was_heard(built, before, make_stage):
    metrics = built.record.metrics
    assert 0 < metrics["num_failed"] < metrics["num_samples"] == 6 * LONG.num_samples
    assert metrics["num_steps"] == 6 and metrics["num_skipped_av"] == 0
    rows = pq.read_table(built.path / START_ROWS_NAME).to_pylist()
    lost = [row for row in rows if row["explanation"] is None]
    spec = make_stage(LONG).spec
    variances = RlCorpus(spec, before, SplitAccess({Split.RL, Split.FIT, Split.DEV})).variances
    for tag, variance in variances.items():
        own = [row for row in rows if row["host"] == tag]
        heard = [row for row in own if row["explanation"] is not None]
        for row in heard:
            assert row["reward"] == pytest.approx(-row["nmse"] / variance, rel=1e-5)
        least = min([LONG.failure_reward, *(row["reward"] for row in heard)])
        assert all(row["reward"] == least for row in own if row in lost)
    assert lost and len(set(variances.values())) > 1
    assert all(row["nmse"] == row["own_variance"] for row in lost)
    assert metrics["start/tag_failure_share"] == pytest.approx(len(lost) / len(rows))


def test_the_numbers_are_those_of_the_rows(built):
    rows = pq.read_table(built.path / ROWS_NAME).to_pylist()
    shares = [
        sum(row["nmse"] for row in own) / sum(row["own_variance"] for row in own)
        for tag in sorted({row["host"] for row in rows})
        for own in [[row for row in rows if row["host"] == tag]]
    ]
    metrics = built.record.metrics
    assert metrics["dev/fve_centred_own"] == pytest.approx(1 - np.mean(shares))
    assert {row["sample"] for row in rows} == {0, 1}
    assert metrics["dev/mean_tokens"] == pytest.approx(np.mean([r["num_tokens"] for r in rows]))
    assert {"dev/precision_all", "dev/said_topic", "dev/similarity_gap", "dev/unique_share",
            "dev/group_deviation", "dev/entropy_per_token", "dev/kl_per_token",
            "dev/fve_centred_own_gain_low", "train_variance"} <= metrics.keys()  # fmt: skip
    best = max(read_dev_evals(built.path), key=lambda dev_eval: dev_eval["fve_centred_own"])
    assert metrics["best_step"] == best["step"]
    assert not (built.path / BEST).exists() and not (built.path / CHECKPOINTS).exists()


def test_the_samples_of_every_evaluation_are_kept(built):
    """Of the same activations at every step; those of the start and of the best are among them."""
    rollouts = read_rollouts(built.path)
    assert list(rollouts) == [line["step"] for line in read_dev_evals(built.path)] == [0, 3, 6]
    asked = [
        [(row["host"], row["passage_id"], row["position"], row["sample"]) for row in rows]
        for rows in rollouts.values()
    ]
    assert asked[0] == asked[1] == asked[2] and len(set(asked[0])) == len(asked[0])
    assert rollouts[0] == pq.read_table(built.path / START_ROWS_NAME).to_pylist()
    best = built.record.metrics["best_step"]
    assert rollouts[best] == pq.read_table(built.path / ROWS_NAME).to_pylist()
    assert rollouts[0] != rollouts[6]


def test_the_result_is_opened_as_a_pair(built, before):
    trunk = before.pair.trunk
    opened_verbalizer(PairInputs(trunk, built, built), device="cpu", batch_rows=8)
    listener = opened_reconstructor_of(trunk, built, device="cpu", batch_rows=8)
    assert np.isfinite(listener.reconstruct(["about a farm."])).all()
    for name, prefix in (("av", AV_PREFIX), ("ar", AR_PREFIX)):
        assert (
            weights_of(built, prefix).keys()
            == weights_of(getattr(before.pair, name), prefix).keys()
        )


def scoring(monkeypatch, scores):
    """Give the looks of a run these scores, in turn; less is better."""
    real, turns = rl.evaluated_on_dev, iter(scores)

    def evaluated_on_dev(*args):
        dev_eval = real(*args)
        return dev_eval._replace(numbers={**dev_eval.numbers, "score": next(turns)})

    monkeypatch.setattr(rl, "evaluated_on_dev", evaluated_on_dev)


def test_what_is_kept_are_the_weights_and_rows_of_the_best_look(
    make_stage, own_root, context, monkeypatch
):
    (own_root / "rl").unlink(missing_ok=True)
    with monkeypatch.context() as patched:
        scoring(patched, [0.0, -1.0, 1.0])  # at 0, 3 and 6
        best_in_between = build(make_stage(LONG), own_root, context)
    with monkeypatch.context() as patched:
        scoring(patched, [0.0, -1.0])
        ended_there = build(make_stage(replace(LONG, num_steps=3)), own_root, context)
    assert best_in_between.record.metrics["best_step"] == 3
    for name in (WEIGHTS_NAME, ROWS_NAME):
        ours, theirs = (a.path / name for a in (best_in_between, ended_there))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_best_look_behind_the_checkpoint_goes_with_its_look(
    make_stage, own_root, context, before, monkeypatch
):
    """Where a run that goes on takes another course, as devices may."""
    (own_root / "rl").unlink(missing_ok=True)
    stage = make_stage(LONG)
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        scoring(patched, [0.0, -1.0])  # the best at 3, behind the checkpoint at 2
        breaking_at(3, patched)
        build(stage, own_root, context)
    scoring(monkeypatch, [1.0, 1.0])
    artifact = build(stage, own_root, context)
    assert artifact.record.metrics["best_step"] == 0
    assert changed(artifact, before) == set()
    assert (artifact.path / ROWS_NAME).read_bytes() == (
        artifact.path / START_ROWS_NAME
    ).read_bytes()


def changed(artifact, before):
    """Which of the two models have other weights than before."""
    return {
        name
        for name, prefix in (("av", AV_PREFIX), ("ar", AR_PREFIX))
        if any(
            not torch.equal(weight, weights_of(getattr(before.pair, name), prefix)[key])
            for key, weight in weights_of(artifact, prefix).items()
        )
    }


# One look, at the end: else the start may be the best.
LATE = replace(LONG.watch, evaluate_every=100)


@pytest.mark.parametrize(("frozen", "moved"), [("av", {"ar"}), ("ar", {"av"})])
def test_a_frozen_model_stays_as_it_was(
    frozen, moved, make_stage, own_root, context, before, monkeypatch
):
    (own_root / "rl").unlink(missing_ok=True)
    scoring(monkeypatch, [0.0, -1.0])  # better or worse: what is kept shall be the end
    spec = replace(LONG, num_steps=3, watch=LATE, **{frozen: None})
    artifact = build(make_stage(spec), own_root, context)
    assert changed(artifact, before) == moved
    if frozen == "av":
        assert artifact.record.metrics["dev/kl_per_token"] < 1e-8


def test_one_host_is_no_other_case(make_stage, own_root, context, recipe):
    (own_root / "rl").unlink(missing_ok=True)
    spec = replace(LONG, num_steps=2)
    artifact = build(make_stage(spec, host_tags=(recipe.anchor,)), own_root, context)
    rows = pq.read_table(artifact.path / ROWS_NAME)["host"].to_pylist()
    assert set(rows) == {recipe.anchor}


def test_another_pair_is_refused(make_stage, own_root, context):
    (own_root / "rl").unlink(missing_ok=True)
    stage = make_stage(LONG)
    other = replace(stage.spec, ar=replace(stage.spec.ar, max_tokens=1))
    with pytest.raises(ValueError, match="RlTraining.ar is another"):
        build(replace(stage, spec=other), own_root, context)


@pytest.mark.parametrize("name", ["av", "ar"])
def test_so_is_a_model_of_another_trunk(name, make_stage, before):
    model = getattr(before.pair, name)
    trunk = replace(model.record.inputs["trunk"], fingerprint="0" * 12)
    changed = replace(model.record, inputs={**model.record.inputs, "trunk": trunk})
    pair = before.pair._replace(**{name: replace(model, record=changed)})
    with pytest.raises(ValueError, match=f"the {name} was trained on trunk .*-000000000000"):
        check_pair(make_stage(LONG).spec, pair)


def test_so_is_a_host_without_inputs(make_stage):
    stage = make_stage(LONG)
    *others, tag = stage.spec.host_tags
    hosts = {other: stage.inputs.hosts[other] for other in others}
    with pytest.raises(ValueError, match=f"RlTraining names {tag}; the inputs have {others[0]}"):
        rl_stage(stage.spec, stage.inputs._replace(hosts=hosts), "pair")


def test_metrics_that_fail_cost_no_step(make_stage, own_root, context, monkeypatch, built):
    (own_root / "rl").unlink(missing_ok=True)
    stage = make_stage(LONG)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(results, "gains", lambda *_: (_ for _ in ()).throw(Interrupted()))
        build(stage, own_root, context)
    [checkpoints] = own_root.glob(f"rl/*.partial/{CHECKPOINTS}")
    assert [path.name for path in checkpoints.iterdir()] == ["4"]
    learned = []
    real = rl.learn
    monkeypatch.setattr(rl, "learn", lambda step, *args: learned.append(step) or real(step, *args))
    artifact = build(stage, own_root, context)
    assert learned == [4, 5]
    assert without_times(artifact.record.metrics) == without_times(built.record.metrics)
