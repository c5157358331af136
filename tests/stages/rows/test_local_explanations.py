"""Explanations by a model that runs here: the same bytes whatever the blocks, and broken off."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from tests.chat_model import TEMPLATE
from tests.models.gguf_files import small_llama, write_gguf
from tests.own_model import tokenizer_of_texts
from tests.stages.rows.local_explanations import (
    PROMPT,
    CountingPool,
    placed,
    stages_of,
    taught,
)
from transformers import PreTrainedTokenizerFast

from interlingua.cluster.local import local_context
from interlingua.commands.building.plan import show_plan
from interlingua.memory.parameters import num_parameters
from interlingua.memory.stages import PROCESS_BYTES
from interlingua.published.hosts import UNIVERSAL_POOL
from interlingua.sources.pinned import pinned
from interlingua.sources.teachers.local_teacher import REASONS, name_of
from interlingua.specs.placement import WorkKind
from interlingua.specs.teachers import TaggedAnswer
from interlingua.stages.graph.order import graph_of
from interlingua.stages.graph.stage_memory import memory_of
from interlingua.stages.rows import local_explanations
from interlingua.store.artifact import build, find, folder
from interlingua.store.blocks import DONE_FOLDER
from interlingua.store.progress import read_metrics
from interlingua.store.rows.explanations import EXPLANATIONS_NAME, read_explanations
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    place = tmp_path_factory.mktemp("taught")
    return taught(place, place / "chat")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def built(recipe, root, *, pool=None, block_rows=7, batch_rows=3):
    """The explanations, and all that they need."""
    context = local_context(placed(recipe, block_rows=block_rows, batch_rows=batch_rows), pool=pool)
    return [build(stage, root, context) for stage in stages_of(recipe).values()][-1]


def texts_of(artifact):
    return (artifact.path / EXPLANATIONS_NAME).read_bytes()


@pytest.fixture(scope="module")
def expected(recipe, tmp_path_factory):
    return built(recipe, tmp_path_factory.mktemp("expected"), block_rows=1000, batch_rows=64)


def test_every_text_ends_with_explanations_or_a_counted_reason(recipe, expected):
    counts = expected.record.metrics
    rows = read_explanations(expected.path, {"av_sft"}, SplitAccess({"av_sft"}))
    assert counts["num_sites"] > 14
    assert counts["num_explained"] == counts["num_rows"] == sum(map(len, rows.values())) > 10
    ended = counts["num_explained"] + sum(counts[name] for name in REASONS)
    assert ended == counts["num_sites"] * recipe.av_lessons.samples
    table = pq.read_table(expected.path / EXPLANATIONS_NAME)
    assert set(table["teacher"].to_pylist()) == {name_of(recipe.av_lessons.teacher)}


def test_all_texts_are_in_the_ledger_and_the_model_in_the_lineage(recipe, expected):
    ledger = read_consumed(expected.path / LEDGER_NAME)
    assert {split: len(ids) for split, ids in ledger.items()} == {
        "av_sft": expected.record.metrics["num_sites"]
    }
    stages = stages_of(recipe)
    assert list(stages) == ["passages", "adopted", "explanations"]
    explanations = stages["explanations"]
    assert explanations.work is explanations.device is WorkKind.VERBALIZING
    assert expected.record.inputs["model"].fingerprint == stages["adopted"].fingerprint


@pytest.mark.parametrize(("block_rows", "batch_rows"), [(2, 1), (7, 3)])
def test_neither_blocks_nor_batches_change_a_text(recipe, expected, root, block_rows, batch_rows):
    made = built(recipe, root, block_rows=block_rows, batch_rows=batch_rows)
    assert texts_of(made) == texts_of(expected)
    own, theirs = made.record.metrics, expected.record.metrics
    assert {name: own[name] for name in own} == {name: theirs[name] for name in own}
    assert not (made.path / local_explanations.BLOCKS_FOLDER).exists()


def test_broken_off_it_goes_on_and_ends_with_the_same_bytes(recipe, expected, root):
    with pytest.raises(InterruptedError):
        built(recipe, root, pool=CountingPool(breaks_before=2))
    pool = CountingPool()
    made = built(recipe, root, pool=pool)
    num_blocks = -(-expected.record.metrics["num_sites"] // 7)
    assert pool.num_done == num_blocks - 2 > 0
    assert texts_of(made) == texts_of(expected)
    assert made.record.metrics == built(recipe, root.parent / "other").record.metrics
    assert read_metrics(made.path)[-1]["step"] == expected.record.metrics["num_sites"]


def test_blocks_of_another_size_are_made_again(recipe, expected, root):
    with pytest.raises(InterruptedError):
        built(recipe, root, pool=CountingPool(breaks_before=3), block_rows=3)
    pool = CountingPool()
    made = built(recipe, root, pool=pool, block_rows=10)
    assert pool.num_done == -(-expected.record.metrics["num_sites"] // 10)
    assert texts_of(made) == texts_of(expected)
    assert len(list((made.path / DONE_FOLDER).iterdir())) == pool.num_done


def test_killed_when_the_blocks_were_joined_none_is_made_again(recipe, expected, root, monkeypatch):
    def removed_and_killed(path):
        shutil.rmtree(path)
        raise InterruptedError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(local_explanations, "shutil", SimpleNamespace(rmtree=removed_and_killed))
        with pytest.raises(InterruptedError):
            built(recipe, root)
    pool = CountingPool()
    made = built(recipe, root, pool=pool)
    assert pool.num_done == 0
    assert texts_of(made) == texts_of(expected)
    assert made.record.metrics == expected.record.metrics


def test_its_progress_says_how_long_it_will_take(recipe, root):
    built(recipe, root)
    stage = stages_of(recipe)["explanations"]
    reports = read_metrics(find(stage, root).path)
    assert [report["step"] for report in reports][:2] == [7, 14]
    assert all(report["texts_per_second"] > 0 for report in reports)
    assert reports[0]["seconds_left"] > 0 == reports[-1]["seconds_left"]
    assert {report["num_steps"] for report in reports} == {reports[-1]["step"]}


def test_where_no_answer_is_an_explanation_the_reasons_are_named(recipe, root):
    prompt = replace(PROMPT, answer=TaggedAnswer(tag="analysis"))
    lessons = replace(recipe.av_lessons, teacher=replace(recipe.av_lessons.teacher, prompt=prompt))
    message = r"no row of av_sft has an explanation, of \d+ texts \(num_cut_off \d+, .*malformed"
    with pytest.raises(ValueError, match=message):
        built(replace(recipe, av_lessons=lessons), root)


def test_a_gguf_file_explains_as_its_folder_does_and_is_needed_no_more(tmp_path, root):
    tokenizer = tokenizer_of_texts()
    model = small_llama(tokenizer.get_vocab_size(), is_tied=True, positions=512)
    write_gguf(tmp_path / "chat.gguf", model, tokenizer)
    recipe = taught(tmp_path, tmp_path / "chat.gguf")
    stages = stages_of(recipe)
    assert stages["adopted"].spec.files_sha256 == recipe.av_lessons.teacher.files_sha256
    context = local_context(placed(recipe, block_rows=64, batch_rows=8))
    for kind in ("passages", "adopted"):
        build(stages[kind], root, context)
    (tmp_path / "chat.gguf").unlink()
    made = build(stages["explanations"], root, context)
    source = folder(stages["adopted"], root) / "model"
    assert PreTrainedTokenizerFast.from_pretrained(source).chat_template != TEMPLATE
    assert made.record.metrics["num_rows"] > 0
    copy = tmp_path / "chat"
    shutil.copytree(source, copy)
    other = built(taught(tmp_path, copy), tmp_path / "other")
    texts = [pq.read_table(one.path / EXPLANATIONS_NAME)["text"] for one in (made, other)]
    assert texts[0].equals(texts[1])


def test_a_dry_run_shows_its_size(recipe, root, capsys):
    show_plan(recipe, graph_of(recipe), root)
    [row] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("teacher ")]
    assert row.split()[1:4] == ["42,464", "0", "165.9"]  # fp32: four bytes a parameter


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("bfloat16", 2)])
def test_it_asks_for_the_memory_of_its_weights(recipe, dtype, width):
    size = next(one for one in UNIVERSAL_POOL if one.tag == "qwen3-4b")
    teacher = replace(
        recipe.av_lessons.teacher,
        source=size.hub_id,
        revision="a" * 40,
        files_sha256=None,
        dtype=dtype,
    )
    lessons = replace(recipe.av_lessons, teacher=teacher)
    stage = stages_of(replace(recipe, av_lessons=lessons))["explanations"]
    place = recipe.placement
    own = memory_of(stage, place, device="cpu", has_workers=False)
    assert own.own == own.each == PROCESS_BYTES + width * num_parameters(size)
    dealing_out = memory_of(stage, place, device="cpu", has_workers=True)
    assert (dealing_out.own, dealing_out.each) == (0, own.each)
    assert memory_of(stage, place, device="cuda", has_workers=False).own == 0


def test_its_pin_is_the_hash_of_its_files(recipe):
    teacher = recipe.av_lessons.teacher
    assert teacher.files_sha256 == recipe.hosts[0].source.files_sha256
    assert teacher == recipe.ar_lessons.teacher


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "someone/chat"}, r"av_lessons.teacher.revision is none for the hub id 'some"),
        ({"source": "./gone"}, r"av_lessons.teacher.source=./gone: nothing is there"),
        ({"source": ""}, r"taught needs --set av_lessons.teacher.source=\.\.\."),
    ],
)
def test_a_model_that_is_not_known_is_refused_by_its_field(recipe, changed, message):
    teacher = replace(recipe.av_lessons.teacher, files_sha256=None, **changed)
    lessons = replace(recipe.av_lessons, teacher=teacher)
    with pytest.raises(ValueError, match=message):
        pinned(replace(recipe, av_lessons=lessons))
