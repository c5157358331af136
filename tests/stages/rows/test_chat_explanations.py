"""A recipe on texts of one's own, explained by a chat model, from the texts to a trained AV."""

import logging
from dataclasses import replace

import pytest
from tests.own_data import own_recipe, write_rows
from tests.own_model import save_model, texts
from tests.sources.openai import MODEL, said, served

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.sources.pinned import pinned
from interlingua.specs.extraction import Spans
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ChatTeacher, Prompt, TaggedAnswer
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.stages.running.recipe_runs import RecipeRun
from interlingua.stages.running.tracked import TrackingWatcher
from interlingua.stages.running.uploader import Uploader
from interlingua.store.artifact import build, find
from interlingua.store.progress import PROGRESS_NAME, read_metrics
from interlingua.store.rows.explanations import read_explanations, teachers_of
from interlingua.store.rows.splits import SplitAccess
from interlingua.tracking.database import DATABASE_NAME
from interlingua.tracking.mlflow_tracker import MlflowTracker

pytestmark = pytest.mark.slow

KEY, COUNT, SAMPLES = "sk-secret-of-the-test-0123", 120, 2
PROMPT = Prompt(user="Text: {text}", answer=TaggedAnswer(tag="analysis"), max_new_tokens=40)


def answered(asked):
    """Words of the text; of one in twelve nothing, and the key where a text has its number."""
    words = asked.text.split()
    if len(asked.text) % 12 == 0:
        return said(None, refusal="no")
    inside = " ".join(words[1 + asked.time_of_text : 9 + asked.time_of_text])
    return said(f"Sure, {asked.key}. <analysis>\n- {inside}\n</analysis>")


@pytest.fixture(scope="module")
def endpoint():
    with served(answered) as fake:
        yield fake


@pytest.fixture(scope="module")
def recipe(endpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    save_model(folder / "model")
    rows = ({"id": f"t{n}", "text": text, "doc": f"d{n}"} for n, text in enumerate(texts(COUNT)))
    write_rows(folder / "texts.jsonl", rows)
    mine = own_recipe(folder, explanations=ChatTeacher(model="fake-1", prompt=PROMPT))
    lessons = replace(mine.av_lessons, samples=SAMPLES)
    teaching = TeachingPlacement(
        url=endpoint.url, key_variable="MY_KEY", prompt_price=1.0, answer_price=2.0, concurrency=8
    )
    placement = replace(mine.placement, teaching=teaching)
    return pinned(replace(mine, av_lessons=lessons, ar_lessons=lessons, placement=placement))


@pytest.fixture(scope="module")
def root(recipe, tmp_path_factory):
    """All up to the AV, reported to MLflow, with every log line in a file beside it."""
    base = tmp_path_factory.mktemp("built")
    root, log = base / "runs", logging.FileHandler(base / "log.txt")
    root.mkdir()
    stages = needed_for("av", graph_of(recipe))
    logging.getLogger().addHandler(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_KEY", KEY)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(logging.getLogger(), "level", logging.DEBUG)
        uploader = Uploader(MlflowTracker(root), RecipeRun(recipe, stages))
        shown = ConsoleWatcher(root, stages)
        with shown, TrackingWatcher(shown, uploader, root) as watcher:
            LocalBackend().build_all(stages, root, local_context(recipe.placement), watcher)
    logging.getLogger().removeHandler(log)
    log.close()
    return root


@pytest.fixture(scope="module")
def made(recipe, root):
    """The explanations of every split that were built."""
    stages = [stage for stage in graph_of(recipe) if stage.kind == "explanations"]
    return {stage.label: found for stage in stages if (found := find(stage, root))}


def test_an_av_is_trained_on_what_the_model_answered(recipe, root, made, endpoint):
    (av,) = (stage for stage in graph_of(recipe) if stage.kind == "av")
    assert find(av, root) is not None
    artifact = made["teacher-av_sft"]
    assert teachers_of(artifact.path) == ["fake-1"]
    split = Split.AV_SFT
    found = read_explanations(artifact.path, {split}, SplitAccess({split}))
    asked = " ".join(one.text for one in endpoint.asked)
    assert len(found) > 20
    for own in found.values():
        assert len(own) == SAMPLES and all(text in asked for text in own)
    assert {one.key for one in endpoint.asked} == {KEY}


def test_the_record_says_how_every_row_ended_and_what_it_cost(made, endpoint):
    for artifact in made.values():
        metrics = artifact.record.metrics
        assert metrics["num_explained"] == metrics["num_rows"] and metrics["models"] == [MODEL]
        num_asked = metrics["num_rows"] + metrics.get("num_refused", 0)
        assert metrics["prompt_tokens"] == 15 * num_asked
        assert metrics["dollars"] == pytest.approx(35e-6 * num_asked)
        assert f"http://{metrics['endpoint']}/v1" == endpoint.url
    paid = sum(artifact.record.metrics["prompt_tokens"] for artifact in made.values())
    assert paid == 15 * len(endpoint.asked)
    assert any("num_refused" in artifact.record.metrics for artifact in made.values())


def test_progress_ends_with_every_row(made):
    for artifact in made.values():
        assert (artifact.path / PROGRESS_NAME).exists()
        last = read_metrics(artifact.path)[-1]
        assert last["step"] == last["num_steps"] and last["minutes_left"] == 0
        metrics = artifact.record.metrics
        assert last["tokens"] == metrics["prompt_tokens"] + metrics["answer_tokens"]


def test_the_key_is_in_no_file_of_the_root_and_in_no_log(root):
    files = {path: path.read_bytes() for path in root.parent.rglob("*") if path.is_file()}
    assert root / DATABASE_NAME in files and root.parent / "log.txt" in files
    assert b"127.0.0.1" in files[root.parent / "log.txt"], "nothing of requests was logged"
    logs = [content for path, content in files.items() if path.parent.parent.name == "answers"]
    assert logs and all(b"[key]" in content for content in logs)
    assert [path for path, content in files.items() if KEY.encode() in content] == []


def test_sentences_are_asked_by_themselves_and_a_second_run_asks_nothing(
    recipe, root, endpoint, monkeypatch
):
    monkeypatch.setenv("MY_KEY", KEY)
    num_asked, context = len(endpoint.asked), local_context(recipe.placement)
    again = replace(recipe, av_lessons=replace(recipe.av_lessons, samples=1))
    build(taught(again), root, context)
    assert len(endpoint.asked) == num_asked, "fewer samples of the same texts are there"
    spans = replace(again, read=Spans(per_passage=2, min_sentence=0, seed=0))
    build(taught(spans), root, context)
    read = endpoint.asked[num_asked:]
    assert read and all(one.text.count(".") == 1 for one in read)


def taught(recipe):
    (stage,) = (stage for stage in graph_of(recipe) if stage.label == "teacher-av_sft")
    return stage
