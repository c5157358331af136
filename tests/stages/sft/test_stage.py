"""The two models' training in one process: what it reads, how it goes on, what it leaves."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file
from tests.built import built_inputs

from interlingua.cluster.local import LocalPool, LocalTrainer, local_context
from interlingua.models.pair import verbalizer
from interlingua.recipes.world import world_mini
from interlingua.specs.injection import Full
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft.ar import ArProgram
from interlingua.stages.sft.av import AvProgram
from interlingua.stages.sft.batches import Draws, Texts
from interlingua.stages.sft.best_weights import ROWS_NAME, WEIGHTS_NAME
from interlingua.stages.sft.engine import TorchEngine
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import Share, TrainingDiverged, _dev_rows
from interlingua.store.artifact import build, find, lineage
from interlingua.store.progress import TIME, read_dev_evals, read_metrics
from interlingua.store.rows.explanations import (
    EXPLANATIONS_NAME,
    Explanation,
    MixedTeachers,
    write_explanations,
)
from interlingua.store.rows.splits import LEDGER_NAME, read_consumed

pytestmark = pytest.mark.slow


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def stages():
    return {stage.kind: stage for stage in graph_of(world_mini()) if stage.kind in {"av", "ar"}}


@pytest.fixture
def own_root(mini_root, tmp_path):
    """A root that shares everything before training."""
    for folder in mini_root.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def context(trainer):
    return local_context(world_mini().placement, LocalPool(), trainer)


class Breaking(LocalTrainer):
    """Ends the run before a step."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def fit(self, make, job, place):
        def breaking(job):
            program = make(job)
            real = program.micro_batches

            def micro_batches(step, share):
                if step == self._step:
                    raise Interrupted
                return real(step, share)

            program.micro_batches = micro_batches
            return program

        super().fit(breaking, job, place)


def without_times(lines):
    return [{name: value for name, value in line.items() if name != TIME} for line in lines]


@pytest.mark.parametrize("kind", ["av", "ar"])
def test_a_run_broken_off_twice_ends_bit_for_bit_as_an_unbroken_one(
    kind, stages, own_root, mini_nla_root
):
    stage = stages[kind]
    for step in (6, 11):
        with pytest.raises(Interrupted):
            build(stage, own_root, context(Breaking(step)))
    artifact, unbroken = build(stage, own_root, context(LocalTrainer())), find(stage, mini_nla_root)
    for name in (WEIGHTS_NAME, ROWS_NAME):
        assert (artifact.path / name).read_bytes() == (unbroken.path / name).read_bytes()
    assert artifact.record.metrics == unbroken.record.metrics
    # Every line and every evaluation; but for when it was, and how fast it went.
    ours, theirs = (
        [{n: v for n, v in line.items() if n != "rows_per_second"} for line in read_metrics(a.path)]
        for a in (artifact, unbroken)
    )
    assert ours == theirs
    assert [line["step"] for line in ours] == [10, 12]
    ours, theirs = (without_times(read_dev_evals(a.path)) for a in (artifact, unbroken))
    assert ours == theirs and len(ours) > 1


@pytest.mark.parametrize(("kind", "own"), [("av", Split.AV_SFT), ("ar", Split.AR_SFT)])
def test_each_model_reads_its_own_split_and_dev_and_never_test(kind, own, stages, mini_nla_root):
    artifact = find(stages[kind], mini_nla_root)
    ledger = read_consumed(artifact.path / LEDGER_NAME)
    assert ledger.keys() == {own, Split.DEV}
    upstream = {
        split
        for each in lineage(artifact, mini_nla_root)
        if (each.path / LEDGER_NAME).exists()
        for split in read_consumed(each.path / LEDGER_NAME)
    }
    assert Split.TEST not in upstream and Split.RL not in upstream


def test_every_row_of_a_look_stands_alone_and_gives_the_numbers(stages, mini_nla_root):
    artifact = find(stages["av"], mini_nla_root)
    rows = pq.read_table(artifact.path / ROWS_NAME).to_pylist()
    assert {row["host"] for row in rows} == {"toy-qwen3-1p7b", "toy-gpt2-medium"}
    num_tokens = sum(row["num_tokens"] for row in rows)
    for name in ("real", "shuffled", "zero"):
        mean = sum(row[f"nll_{name}"] for row in rows) / num_tokens
        assert artifact.record.metrics[f"dev/nll_{name}"] == pytest.approx(mean)


def job_of(stage, root, **changes):
    return TrainingJob(
        spec=stage.spec,
        inputs=built_inputs(stage, root),
        out=root,
        micro_batch_rows=3,
        threads=1,
        device="cpu",
    )


def test_ranks_share_a_batch_and_its_loss(stages, mini_root):
    program = AvProgram(job_of(stages["av"], mini_root))
    whole = program.micro_batches(5, Share(0, 1, 100))
    halves = [program.micro_batches(5, Share(rank, 2, 3)) for rank in (0, 1)]
    assert len({batch.host_tag for batch in whole}) == 1
    assert [len(half) for half in halves] == [2, 2]
    keys = [key for half in halves for batch in half for key in batch.keys]
    assert sorted(keys) == sorted(key for batch in whole for key in batch.keys)
    expected = sum(program.module(batch).item() for batch in whole)
    # Each rank's part counts twice: gradients are averaged over the two.
    parts = [sum(program.module(batch).item() for batch in half) for half in halves]
    assert np.mean(parts) == pytest.approx(expected, rel=1e-5)


def test_hosts_take_turns_and_a_step_is_the_same_whenever_it_is_asked(stages, mini_root):
    program = AvProgram(job_of(stages["av"], mini_root))
    tags = [program.micro_batches(step, Share(0, 1, 8))[0].host_tag for step in range(4)]
    assert tags == ["toy-qwen3-1p7b", "toy-gpt2-medium"] * 2
    first, again = (program.micro_batches(3, Share(0, 1, 8))[0] for _ in range(2))
    assert first.keys == again.keys and first.response_BT.equal(again.response_BT)
    assert first.h_BD.equal(again.h_BD)


PROGRAMS = {"av": AvProgram, "ar": ArProgram}


def looked_at(kind, stage, root, micro_batch_rows):
    """The batches of a look and its rows."""
    program = PROGRAMS[kind](replace(job_of(stage, root), micro_batch_rows=micro_batch_rows))
    engine = TorchEngine(program.module, program.groups(), program.optim, "cpu")
    return program.dev_batches(), _dev_rows(program, engine)


@pytest.mark.parametrize("kind", ["av", "ar"])
def test_a_look_has_the_batches_of_a_step_and_its_own_order_whatever_they_are(
    kind, stages, mini_root
):
    (whole,), rows = looked_at("ar", stages["ar"], mini_root, 100)
    expected = [(tag, key) for tag in stages["ar"].spec.host_tags for key in sorted_keys(whole)]
    for micro_batch_rows in (3, 5):
        batches, found = looked_at(kind, stages[kind], mini_root, micro_batch_rows)
        inputs = [batch.inputs if kind == "ar" else batch for batch in batches]
        assert max(len(batch.keys) for batch in inputs) == micro_batch_rows
        assert [(row["host"], (row["passage_id"], row["position"])) for row in found] == expected
        if kind == "ar":
            widths = [batch.ids_BT.shape[1] for batch in inputs]
            assert widths == sorted(widths) and widths[0] < widths[-1]
            for own, other in zip(found, rows, strict=True):
                assert own["nmse"] == pytest.approx(other["nmse"], rel=1e-5)


def test_a_look_whose_logits_would_be_large_has_the_same_numbers(stages, mini_root, monkeypatch):
    _, whole = looked_at("av", stages["av"], mini_root, 3)
    monkeypatch.setattr(verbalizer, "BYTES_AT_ONCE", 2**18)
    program = AvProgram(job_of(stages["av"], mini_root))
    own = {program.module.verbalizer.num_parts(b.response_BT.numel()) for b in program._dev}
    assert len(own) > 1 and program._num_parts == max(own)
    _, in_parts = looked_at("av", stages["av"], mini_root, 3)
    for one, other in zip(whole, in_parts, strict=True):
        assert one["passage_id"] == other["passage_id"]
        assert one["nll_real"] == pytest.approx(other["nll_real"], rel=1e-5)


def sorted_keys(batch):
    """In the order of the rows, which is not that of their lengths."""
    keys = [key for _, key in sorted(zip(batch.places, batch.inputs.keys, strict=True))]
    assert keys != list(batch.inputs.keys)
    return keys


def test_draws_come_in_whole_permutations():
    keys = [(f"{n:016d}", -1) for n in range(7)]
    draws = Draws(keys, seed=0, name="host")
    found = draws.draw(0, 21)
    for epoch in range(3):
        part = found[7 * epoch : 7 * epoch + 7]
        assert sorted(key for key, _ in part) == keys
        assert {times for _, times in part} == {epoch}
    assert found[5:9] == draws.draw(5, 4)
    assert [k for k, _ in found[:7]] != [k for k, _ in Draws(keys, seed=1, name="host").draw(0, 7)]


def test_what_cannot_be_used_is_skipped_and_counted():
    texts = {("a", -1): ["fine", " ", "far too long for it"], ("b", -1): [""]}
    usable = Texts(texts, lambda text: list(map(ord, text)), 10)
    assert ("a", -1) in usable and ("b", -1) not in usable
    assert usable.counts == {"num_explanations": 4, "num_empty": 2, "num_too_long": 1}
    assert usable.ids_of(("a", -1), 0) == usable.ids_of(("a", -1), 5) == list(map(ord, "fine"))
    with pytest.raises(ValueError, match="no activation has a finite row and a usable"):
        Draws([], seed=0, name="host")


def test_two_teachers_in_one_corpus_are_refused_unless_accepted(stages, own_root):
    stage = stages["av"]
    folder = find(stage.inputs.explanations, own_root).path
    table = pq.read_table(folder / EXPLANATIONS_NAME).to_pylist()
    rows = [Explanation(**{**row, "split": Split(row["split"])}) for row in table]
    mixed = own_root / "mixed"
    mixed.mkdir()
    write_explanations(mixed, [*rows[:-1], replace(rows[-1], teacher="another")])
    from interlingua.store.rows.explanations import check_one_teacher

    with pytest.raises(MixedTeachers, match="another, world-"):
        check_one_teacher(mixed, accepts=())
    with pytest.raises(MixedTeachers, match="--set accepts_teachers=another,world-"):
        check_one_teacher(mixed, accepts=("another",))
    check_one_teacher(mixed, accepts=("another", "world"))
    check_one_teacher(folder, accepts=())


def test_a_loss_that_is_no_number_ends_the_run(stages, own_root):
    stage = stages["av"]
    optim = replace(stage.spec.av.optim, learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    spec = replace(stage.spec, av=replace(stage.spec.av, optim=optim))
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        build(replace(stage, spec=spec), own_root, context(LocalTrainer()))


def test_an_affine_verbalizer_records_how_far_each_slot_went(stages, own_root):
    stage = stages["av"]
    av = stage.spec.av
    av = replace(av, injection=replace(av.injection, num_slots=3, affine=Full()))
    artifact = build(
        replace(stage, spec=replace(stage.spec, av=av)), own_root, context(LocalTrainer())
    )
    metrics = artifact.record.metrics
    assert all(0 < x < 1 for x in metrics["affine/from_identity"])
    assert len(metrics["affine/from_identity"]) == len(metrics["affine/share"]) == 3
    weights = load_file(artifact.path / WEIGHTS_NAME)
    delta_SDD = weights["verbalizer.affine.delta_MDD"]
    expected_S = np.linalg.norm(delta_SDD, axis=(1, 2)) / np.sqrt(delta_SDD.shape[-1])
    np.testing.assert_allclose(metrics["affine/from_identity"], expected_S, rtol=1e-4)


def test_encoders_trained_with_the_av_move_and_are_what_comes_after_them(own_root):
    recipe = world_mini()
    recipe = replace(recipe, av=replace(recipe.av, encoder_learning_rate=1e-3))
    whole = graph_of(recipe)
    local = context(LocalTrainer())
    by_name = {(stage.kind, stage.label): stage for stage in whole}
    tuned = by_name["tuned_encoder", "toy-gpt2-medium"]
    build(by_name["av", "sft"], own_root, local)
    before = load_file(
        find(by_name["av", "sft"].inputs.hosts["toy-gpt2-medium"].encoder, own_root).path
        / "encoder.safetensors"
    )
    after = load_file(build(tuned, own_root, local).path / "encoder.safetensors")
    assert not np.allclose(before["weight"], after["weight"])
    np.testing.assert_array_equal(before["mean"], after["mean"])
    held_out = by_name["encoder", "toy-lfm-7b"]
    assert held_out.inputs.targets["toy-gpt2-medium"].encoder is tuned
    assert by_name["ar", "sft"].inputs.hosts["toy-gpt2-medium"].encoder is tuned
