"""The host stage: resumed as if never broken, honest about what it read, loadable by anybody."""

import shutil

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM

from interlingua.models.hosts.host import load_tokenizer
from interlingua.published.hosts import pool_host
from interlingua.specs.splits import Split
from interlingua.stages.graph.hosts import host_stages
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import build, find, folder
from interlingua.store.partial import latest_folder
from interlingua.store.progress import read_metrics
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed
from interlingua.world import pretraining as pretrain
from interlingua.world.exam import exam_metrics, exam_rows
from interlingua.world.pretraining import CHECKPOINT_NAME, EXAM_NAME

pytestmark = pytest.mark.slow

torch.set_num_threads(1)

TAGS = ["toy-qwen3-1p7b", "toy-lfm-7b"]
SAME_BYTES = ("model.safetensors", "tokenizer.json", "config.json", LEDGER_NAME)


class Broken(Exception):
    """Stands for whatever ends a process in the middle of its work."""


@pytest.fixture(scope="module", params=TAGS)
def stage(request, recipe):
    return host_stages(recipe, passages_stage(recipe.passages))[request.param]


@pytest.fixture(scope="module")
def artifact(stage, root, context):
    """The host as an unbroken run leaves it."""
    return build(stage, root, context)


@pytest.fixture
def own_root(root, tmp_path):
    """A run root of the test's own, in which the passages are built."""
    shutil.copytree(root / "passages", tmp_path / "passages")
    return tmp_path


def read(recipe, root, split):
    path = find(passages_stage(recipe.passages), root).path / PASSAGES_NAME
    return list(read_passages(path, {split}, SplitAccess({split})))


def steps_until(monkeypatch, limit):
    """Let `limit` optimizer steps happen, then raise; returns the list of those that happened."""
    happened = []
    real_step = pretrain._step

    def step(model, optimizer, ids_BT, rate):
        if len(happened) == limit:
            raise Broken
        happened.append(rate)
        return real_step(model, optimizer, ids_BT, rate)

    monkeypatch.setattr(pretrain, "_step", step)
    return happened


@pytest.mark.parametrize("broken_after", [3, 5, 12, 23])
def test_a_broken_run_ends_as_an_unbroken_one(
    stage, artifact, own_root, context, monkeypatch, broken_after
) -> None:
    with monkeypatch.context() as patch:
        steps_until(patch, broken_after)
        with pytest.raises(Broken):
            build(stage, own_root, context)
    assert find(stage, own_root) is None
    with monkeypatch.context() as patch:
        happened = steps_until(patch, -1)
        resumed = build(stage, own_root, context)
    every = stage.spec.pretrain.checkpoint_every
    assert len(happened) == stage.spec.pretrain.num_steps - broken_after // every * every
    for name in SAME_BYTES:
        assert (resumed.path / name).read_bytes() == (artifact.path / name).read_bytes(), name
    # Without the time of day, which a line also says.
    assert read_metrics(resumed.path) == read_metrics(artifact.path)
    assert pq.read_table(resumed.path / EXAM_NAME).equals(pq.read_table(artifact.path / EXAM_NAME))
    assert without_seconds(resumed) == without_seconds(artifact)


def test_a_run_broken_in_its_exam_keeps_its_training(
    stage, artifact, own_root, context, monkeypatch
) -> None:
    def broken(*_args, **_kwargs):
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "exam_rows", broken)
        with pytest.raises(Broken):
            build(stage, own_root, context)
    happened = steps_until(monkeypatch, -1)
    resumed = build(stage, own_root, context)
    assert len(happened) == 4  # steps 21 to 24 lie beyond the last checkpoint
    for name in SAME_BYTES:
        assert (resumed.path / name).read_bytes() == (artifact.path / name).read_bytes(), name
    # Without the time of day, which a line also says.
    assert read_metrics(resumed.path) == read_metrics(artifact.path)


def without_seconds(artifact):
    metrics = dict(artifact.record.metrics)
    assert metrics.pop("train_seconds") > 0
    return metrics


def test_it_reads_pretrain_whole_and_of_dev_only_what_it_examines(recipe, artifact, root) -> None:
    consumed = read_consumed(artifact.path / LEDGER_NAME)
    assert set(consumed) == {Split.PRETRAIN, Split.DEV}
    assert consumed[Split.PRETRAIN] == {p.passage_id for p in read(recipe, root, Split.PRETRAIN)}
    examined = pq.read_table(artifact.path / EXAM_NAME)["passage_id"].to_pylist()
    dev = [p.passage_id for p in read(recipe, root, Split.DEV)]
    assert examined == dev[: recipe.hosts[0].source.dev_passages]
    assert consumed[Split.DEV] == set(examined)


def test_plain_transformers_opens_the_folder(stage, recipe, artifact, root) -> None:
    model = AutoModelForCausalLM.from_pretrained(artifact.path).eval()
    assert model.config.model_type == pool_host(stage.spec.stands_for).model_type
    assert model.dtype == torch.float32
    dev = read(recipe, root, Split.DEV)[: stage.spec.dev_passages]
    again = exam_rows(model, load_tokenizer(str(artifact.path)), dev)
    assert again.equals(pq.read_table(artifact.path / EXAM_NAME))


def test_the_recorded_metrics_follow_from_the_recorded_rows(stage, artifact) -> None:
    metrics = without_seconds(artifact)
    rows = pq.read_table(artifact.path / EXAM_NAME)
    expected = exam_metrics(rows, seed=stage.spec.pretrain.seed)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    train = stage.spec.pretrain
    assert metrics["train_tokens"] == train.num_steps * train.rows * train.num_tokens
    model = AutoModelForCausalLM.from_pretrained(artifact.path)
    assert metrics["num_parameters"] == sum(weight.numel() for weight in model.parameters())


def test_training_lowers_the_loss_and_reports_it(stage, artifact) -> None:
    reports = read_metrics(artifact.path)
    assert [report["step"] for report in reports] == [10, 20, 24]
    assert all(report["num_steps"] == 24 for report in reports)
    assert reports[-1]["loss"] < reports[0]["loss"]
    assert artifact.record.metrics["dev_nll"] < 6.5


def test_no_checkpoint_is_left(artifact) -> None:
    assert not (artifact.path / CHECKPOINT_NAME).exists()


def test_the_partial_folder_holds_a_checkpoint_while_it_runs(
    stage, own_root, context, monkeypatch
) -> None:
    steps_until(monkeypatch, 7)
    with pytest.raises(Broken):
        build(stage, own_root, context)
    partial = latest_folder(folder(stage, own_root))
    state = torch.load(partial / CHECKPOINT_NAME, weights_only=True)
    assert state["step"] == 5
    assert read_consumed(partial / LEDGER_NAME).keys() == {Split.PRETRAIN, Split.DEV}
