"""Several teachers in one corpus: each passage has one of them, and a training refuses the lot."""

import os
import shutil
from dataclasses import replace

import pytest
from tests.sources.openai import MODEL, served
from tests.sources.teachers.asking import WHOLE, passage, stage_folder

from interlingua.cluster.local import local_context
from interlingua.recipes.world import world_mini
from interlingua.sources.pinned import pinned, unset
from interlingua.sources.source import teacher_of
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.recipe import TeachingSpec
from interlingua.specs.teachers import ChatTeacher, MixedTeachers, Prompt, TeacherPart
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import build
from interlingua.store.rows.explanations import MixedTeachers as Mixed
from interlingua.store.rows.explanations import check_one_teacher, teachers_of

WORLD = world_mini().av_lessons.teacher
NAMES = ("first-1", "second-1")


def chat_part(tag, share, model):
    prompt = Prompt(user=f"{tag}: {{text}}", max_new_tokens=20)
    return TeacherPart(tag=tag, share=share, teacher=ChatTeacher(model=model, prompt=prompt))


@pytest.fixture
def endpoint():
    with served() as fake:
        yield fake


def opened(root, url, share=0.25, seed=0):
    parts = (chat_part("a", share, NAMES[0]), chat_part("b", 1 - share, NAMES[1]))
    return teacher_of(
        MixedTeachers(parts=parts, seed=seed),
        place=TeachingPlacement(url=url),
        out=stage_folder(root),
    )


def test_each_passage_has_the_teacher_that_is_drawn_for_it(tmp_path, endpoint):
    asked = [(passage(f"text {number}"), WHOLE) for number in range(120)]
    teacher = opened(tmp_path, endpoint.url)
    found = teacher.explain(asked, 2)
    assert all(len({name for name, _ in texts}) == 1 and len(texts) == 2 for texts in found)
    tags = [teacher.tag_of(one.passage_id) for one, _ in asked]
    for (one, _), texts, tag in zip(asked, found, tags, strict=True):
        assert texts[0][0] == NAMES["ab".index(tag)]
        assert f"{tag}: {one.text}" in texts[0][1], "an explanation is of another passage"
    assert 15 <= tags.count("a") <= 45
    # Whatever is asked, and in which order.
    again = opened(tmp_path / "other", endpoint.url)
    names = [texts[0][0] for texts in again.explain(asked[::-1], 1)]
    assert names == [texts[0][0] for texts in found[::-1]]
    other = opened(tmp_path, endpoint.url, seed=1)
    assert [other.tag_of(one.passage_id) for one, _ in asked] != tags


def test_numbers_are_summed_and_names_stand_by_part(tmp_path, endpoint):
    teacher = opened(tmp_path, endpoint.url)
    teacher.explain([(passage(f"text {number}"), WHOLE) for number in range(40)], 1)
    counts = teacher.counts()
    assert counts["num_explained"] == 40 == counts["a/num_sites"] + counts["b/num_sites"]
    assert counts["prompt_tokens"] == 40 * 15
    assert counts["a/models"] == counts["b/models"] == [MODEL]


def mixed_recipe(url, *accepts):
    half = TeacherPart(tag="world", share=0.5, teacher=WORLD)
    lessons = TeachingSpec(
        teacher=MixedTeachers(parts=(half, chat_part("chat", 0.5, "fake-1"))), samples=1
    )
    mini = world_mini()
    place = replace(mini.placement, teaching=TeachingPlacement(url=url))
    return replace(mini, av_lessons=lessons, placement=place, accepts_teachers=accepts)


def test_without_an_endpoint_the_recipe_says_what_is_missing():
    assert unset(mixed_recipe("")) == ["placement.teaching.url"]
    with pytest.raises(ValueError, match="needs --set placement.teaching.url=..."):
        pinned(mixed_recipe(""))
    assert unset(mixed_recipe("http://127.0.0.1:9/v1")) == unset(world_mini()) == []


@pytest.mark.slow
def test_a_training_refuses_what_it_did_not_accept(mini_root, tmp_path, endpoint):
    root = tmp_path / "runs"
    shutil.copytree(mini_root, root, copy_function=os.link)
    recipe = mixed_recipe(endpoint.url)
    stages = {(stage.kind, stage.label): stage for stage in graph_of(recipe)}
    av, context = stages["av", "sft"], local_context(recipe.placement)
    made = build(stages["explanations", "teacher-av_sft"], root, context)
    build(stages["explanations", "teacher-dev"], root, context)
    chat, world = teachers_of(made.path)
    assert chat == "fake-1" and world.startswith("world-")
    assert made.record.metrics["world/num_sites"] > 0 < made.record.metrics["chat/num_sites"]
    with pytest.raises(Mixed, match=f"--set accepts_teachers=fake-1,{world}"):
        build(av, root, context)
    check_one_teacher(made.path, accepts=("fake-1", "world"))
    accepting = graph_of(mixed_recipe(endpoint.url, "fake-1", "world"))
    (other,) = (stage for stage in accepting if stage.kind == "av")
    assert other.spec.accepts_teachers == ("fake-1", "world")
    assert other.fingerprint != av.fingerprint
