"""A model that runs here as a teacher: what it reads, how its answers are read, what is counted."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.chat_model import save_chat_model
from tests.own_model import POSITIONS

from interlingua.models.sampling.chat_model import Answer
from interlingua.sources.source import Site, teacher_of
from interlingua.sources.teachers.local_teacher import (
    REASONS,
    ModelTeacher,
    name_of,
    read_text,
)
from interlingua.specs.splits import Split
from interlingua.specs.teachers import LocalTeacher, Prompt, TaggedAnswer
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

WHOLE = Site(position=-1, span=None)
PROMPT = Prompt(user="What is this about? {text}", system="You explain.", max_new_tokens=24)
SPEC = LocalTeacher(source="someone/chat", revision="a" * 40, prompt=PROMPT)
TAGGED = replace(SPEC, prompt=replace(PROMPT, answer=TaggedAnswer(tag="analysis")))


def passage(text):
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=Split.AV_SFT,
        text=text,
        facts={},
        mentions=(),
    )


PASSAGES = [passage(text) for text in ("the old mill", "rain on the lake", "a red door", "bread")]
ASKED = [(one, WHOLE) for one in PASSAGES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_chat_model(tmp_path_factory.mktemp("chat"))


def teacher(folder, spec=SPEC, batch_rows=4):
    return teacher_of(spec, source=str(folder), revision=None, device="cpu", batch_rows=batch_rows)


class Scripted:
    """A model that gives these answers, one after the other, and notes what it was asked."""

    most_tokens = None

    def __init__(self, folder, *answers):
        self.tokenizer = teacher(folder)._model.tokenizer
        self._answers, self.specs, self.prompts = list(answers), [], []

    def answers(self, prompts, keys, spec, *, top_p, beginning):
        self.specs.append(spec)
        self.prompts += [self.tokenizer.decode(ids) for ids in prompts]
        return [[self._answers.pop(0) for _ in range(spec.samples)] for _ in prompts]


def answered(text, *, is_cut_off=False):
    return Answer(text=text, num_tokens=3, is_cut_off=is_cut_off)


def explained(folder, *answers, spec=SPEC, asked=ASKED[:1], num_samples=1):
    model = Scripted(folder, *answers)
    made = ModelTeacher(spec, model)
    found = made.explain(asked, num_samples)
    nonzero = {name: count for name, count in made.counts().items() if count}
    nonzero.pop("prompt_tokens", None)
    return [[text for _, text in row] for row in found], nonzero, model


def test_texts_are_drawn_by_seed_passage_site_and_sample(folder):
    found = teacher(folder).explain(ASKED, 2)
    assert {name for row in found for name, _ in row} == {name_of(SPEC)}
    assert teacher(folder, batch_rows=1).explain(ASKED, 2) == found
    made = teacher(folder)
    assert [made.explain([one], 2)[0] for one in ASKED] == found
    assert teacher(folder, replace(SPEC, seed=1)).explain(ASKED, 2) != found
    elsewhere = Site(position=3, span=(0, 8), is_token=True)
    again = Site(position=4, span=(0, 8), is_token=True)
    one, other = made.explain([(PASSAGES[0], elsewhere), (PASSAGES[0], again)], 2)
    assert one != other


def test_of_every_row_it_is_counted_how_it_ended(folder):
    made = teacher(folder)
    found = made.explain([(passage(f"text {number}"), WHOLE) for number in range(20)], 3)
    counts = made.counts()
    assert counts["num_explained"] == sum(map(len, found))
    assert sum(counts[name] for name in ("num_explained", *REASONS)) == 60
    assert counts["num_cut_off"] > 0 and any(len(row) > 1 for row in found)
    assert counts["answer_tokens"] > 60 and counts["prompt_tokens"] > 20 * 10


@pytest.mark.parametrize(
    ("answer", "texts", "counted"),
    [
        (answered(" An old mill. "), ["An old mill."], "num_explained"),
        (answered("An old", is_cut_off=True), [], "num_cut_off"),
        (answered(" \n"), [], "num_empty"),
        (answered("A mill.</explanation>"), [], "num_malformed"),
        (answered("A mill.<|im_start|>user"), [], "num_malformed"),
    ],
)
def test_a_whole_answer_is_an_explanation_or_counted(folder, answer, texts, counted):
    found, counts, _ = explained(folder, answer)
    assert (found, counts) == ([texts], {counted: 1, "answer_tokens": 3})


@pytest.mark.parametrize(
    ("answer", "texts", "counted"),
    [
        (answered("<analysis>- A mill.\n- Old.</analysis>"), ["A mill.\n\nOld."], "num_explained"),
        (answered("<analysis>A mill.</analysis> An", is_cut_off=True), [], "num_cut_off"),
        (answered("A mill."), [], "num_malformed"),
    ],
)
def test_a_tagged_answer_is_an_explanation_or_counted(folder, answer, texts, counted):
    found, counts, _ = explained(folder, answer, spec=TAGGED)
    assert (found, counts) == ([texts], {counted: 1, "answer_tokens": 3})


def test_of_several_samples_some_may_fail(folder):
    answers = [answered("One."), answered("", is_cut_off=True), answered("Three.")]
    found, counts, model = explained(folder, *answers, answered("One."), num_samples=4)
    assert found == [["One.", "Three."]]
    assert counts == {
        "num_explained": 2,
        "num_cut_off": 1,
        "num_repeated": 1,
        "answer_tokens": 12,
    }
    assert model.specs[0].samples == 4


def test_greedily_there_is_one_answer(folder):
    spec = replace(SPEC, prompt=replace(PROMPT, temperature=0))
    found, _, model = explained(folder, answered("One."), spec=spec, num_samples=3)
    assert found == [["One."]] and model.specs[0].samples == 1
    made = teacher(folder, replace(spec, prompt=replace(spec.prompt, max_new_tokens=40)))
    assert made.explain(ASKED, 3) == made.explain(ASKED, 1)


def test_it_is_asked_about_what_was_read(folder):
    text = "The mill is old. Rain fell."
    sentence = Site(position=17, span=(17, 27))
    token = Site(position=3, span=(0, 8), is_token=True)
    asked = [(passage(text), site) for site in (WHOLE, sentence, token)]
    _, _, model = explained(folder, *[answered("x")] * 3, asked=asked)
    users = [prompt.partition("about? ")[2].partition("<|im_end|>")[0] for prompt in model.prompts]
    assert users == [text, "Rain fell.", "The mill"]
    assert all("You explain." in prompt for prompt in model.prompts)
    assert read_text(passage(text), sentence) == "Rain fell."


def test_blank_and_too_long_texts_are_counted_and_not_asked_about(folder):
    made = teacher(folder)
    asked = [(passage(" "), WHOLE), (passage("long " * POSITIONS), WHOLE), ASKED[0]]
    found = made.explain(asked, 4)
    assert found[:2] == [[], []]
    counts = made.counts()
    assert counts["num_without_text"] == counts["num_too_long"] == 4
    assert sum(counts[name] for name in ("num_explained", *REASONS)) == 12


def test_its_name_is_the_models_and_a_hash_of_all_that_counts():
    name, _, digest = name_of(SPEC).rpartition("-")
    assert name == "chat" and len(digest) == 12
    others = [
        replace(SPEC, seed=1),
        replace(SPEC, revision="b" * 40),
        replace(SPEC, dtype="bfloat16"),
        replace(SPEC, prompt=replace(PROMPT, temperature=0.5)),
        TAGGED,
    ]
    assert len({name_of(one) for one in (SPEC, *others)}) == 6


def test_known_by_its_hash_it_has_the_same_name_wherever_it_lies():
    here = replace(SPEC, source="/here/model.gguf", revision=None, files_sha256="c" * 64)
    assert name_of(here) == name_of(replace(here, source="/there/model.gguf"))
    assert name_of(here).rpartition("-")[0] == "model"
    assert name_of(here) != name_of(replace(here, files_sha256="d" * 64))


def test_a_model_that_cannot_be_asked_is_named(tmp_path):
    folder = save_chat_model(tmp_path, template=None)
    with pytest.raises(ValueError, match="someone/chat has no chat template.*-Instruct"):
        teacher(folder)
