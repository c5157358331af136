"""Mistakes in files of one's own: each is one line with file, row or field, before any work."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.own_data import own_recipe, write_rows

from interlingua.recipes.own import WITHOUT_MODEL
from interlingua.recipes.world import world_mini
from interlingua.sources import checks
from interlingua.sources.checks import check_files
from interlingua.sources.pinned import pinned
from interlingua.specs.corpora import HubText, Mixture, MixturePart, TextFiles
from interlingua.specs.extraction import Spans, TokenPositions
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile
from interlingua.specs.teachers import ExplanationFile

NUM, D, TAG = 80, 8, "mine"
CONFIG = {
    "model_type": "llama",
    "hidden_size": D,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 32,
}
TEXTS = [{"id": f"t{number}", "text": f"A lamp of {number} suns."} for number in range(NUM)]
EXPLAINED = [{"id": row["id"], "explanation": f"lamp {row['id']}."} for row in TEXTS]
H_ND = np.random.default_rng(0).normal(size=(NUM, D)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A model that is a configuration, texts, explanations and vectors, all as they should be."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    write_rows(tmp_path / "texts.jsonl", TEXTS)
    write_rows(tmp_path / "explanations.jsonl", EXPLAINED)
    np.save(tmp_path / "h.npy", H_ND)
    return tmp_path


def recipe_on(folder, *, h="h.npy", texts=None, **changed):
    """Of all three; what is changed is a field of one of them."""
    index = str(folder / "texts.jsonl")
    return own_recipe(
        folder,
        texts=texts or TextFiles(path=str(folder / "texts.jsonl"), id_field="id"),
        block=AtBlock(index=1),
        activations=h and ActivationFile(path=str(folder / h), **({"index": index} | changed)),
    )


def refusal(recipe):
    with pytest.raises(ValueError) as refused:
        check_files(pinned(recipe))
    line = str(refused.value)
    assert "\n" not in line
    return line


def with_row(rows, place, **changed):
    """The rows with one of them changed; a field of None is left out."""
    row = {name: value for name, value in (rows[place] | changed).items() if value is not None}
    return [*rows[:place], row, *rows[place + 1 :]]


def test_what_is_right_passes(folder):
    check_files(pinned(recipe_on(folder)))
    check_files(world_mini())


def test_files_that_are_gone_behind_a_finished_run_are_left_out(folder):
    recipe = pinned(recipe_on(folder))
    for name in ("texts.jsonl", "explanations.jsonl", "h.npy"):
        (folder / name).unlink()
    check_files(pinned(recipe))


OF_TEXTS = {
    "missing field": (
        with_row(TEXTS, 4, text=None),
        "line 5 has no field 'text'; name in text_field one that it has: id",
    ),
    "empty text": (with_row(TEXTS, 4, text=" "), "line 5: field 'text' is empty; leave it out"),
    "no text": (
        with_row(TEXTS, 4, text=7),
        "line 5: field 'text' is a number (7); a text is a string or a list of messages: name "
        "another field with text_field, or leave the row out",
    ),
    "no id": (
        with_row(TEXTS, 4, id=""),
        "line 5: field 'id' is empty; a name is a string or a whole number: name another field "
        "with id_field, or set it to none",
    ),
    "id twice": (
        with_row(TEXTS, 4, id="t1"),
        "line 5: field 'id' is 't1', as in {folder}/texts.jsonl, line 2; each row needs a name of "
        "its own: change one, or number the rows with id_field=none",
    ),
}


@pytest.mark.parametrize("mistake", OF_TEXTS)
def test_of_texts(folder, mistake):
    rows, words = OF_TEXTS[mistake]
    write_rows(folder / "texts.jsonl", rows)
    expected = f"{folder}/texts.jsonl, {words.format(folder=folder)}"
    assert refusal(recipe_on(folder)) == expected


def test_a_split_that_comes_out_empty(folder):
    write_rows(folder / "texts.jsonl", TEXTS[:2])
    line = refusal(recipe_on(folder, h=None))
    assert "came out empty: passages.split." in line and line.endswith(
        " of 2 passages. Bring more documents, or a larger share"
    )


OF_EXPLANATIONS = {
    "missing field": (
        with_row(EXPLAINED, 70, explanation=None),
        "{path}, line 71 has no field 'explanation'; name in text_field one that it has: id",
    ),
    "empty": (
        with_row(EXPLAINED, 70, explanation=""),
        "{path}, line 71: explanation is empty; fill it in, or leave the row out",
    ),
    "cut off": (
        with_row(EXPLAINED, 70, explanation="<explanation>lamp"),
        "{path}, line 71: explanation has <explanation> and no </explanation>: it was cut off; "
        "leave the row out",
    ),
    "no id": (
        with_row(EXPLAINED, 70, id=0.5),
        "{path}, line 71: id is float; an id is a text or a whole number: name another field with "
        "id_field, or leave the row out",
    ),
    "no row": ([], "{path} has no row; name a file of explanations"),
}


@pytest.mark.parametrize("mistake", OF_EXPLANATIONS)
def test_of_explanations(folder, mistake):
    rows, words = OF_EXPLANATIONS[mistake]
    path = write_rows(folder / "explanations.jsonl", rows)
    assert refusal(recipe_on(folder)) == words.format(path=path)


@pytest.mark.parametrize("first_rows", [10_000, 20])
def test_explanations_of_other_rows(folder, monkeypatch, first_rows):
    """Also where there are more texts than are looked at first."""
    monkeypatch.setattr(checks, "FIRST_ROWS", first_rows)
    path = write_rows(folder / "explanations.jsonl", [r | {"id": "x" + r["id"]} for r in EXPLAINED])
    line = refusal(recipe_on(folder))
    assert line.startswith(f"0 of {NUM} rows of {path} are of the ")
    assert "a row has id 'xt0', a passage id 't" in line
    assert "Name in ExplanationFile.id_field what the corpus names in its id_field" in line


def test_explanations_of_later_texts_alone_are_no_mistake(folder, monkeypatch):
    monkeypatch.setattr(checks, "FIRST_ROWS", 8)
    write_rows(folder / "explanations.jsonl", EXPLAINED[8:])
    check_files(pinned(recipe_on(folder, h=None)))


def test_a_large_file_is_not_read_through(folder, monkeypatch):
    """What lies behind its first rows is found by the stage that reads it."""
    monkeypatch.setattr(checks, "FIRST_ROWS", 8)
    monkeypatch.setattr(checks, "MOST_BYTES", 8)
    write_rows(folder / "texts.jsonl", with_row(TEXTS, 50, text=""))
    write_rows(folder / "explanations.jsonl", with_row(EXPLAINED, 50, explanation=""))
    check_files(pinned(recipe_on(folder, h=None)))
    write_rows(folder / "explanations.jsonl", with_row(EXPLAINED, 5, explanation=""))
    assert "line 6: explanation is empty" in refusal(recipe_on(folder, h=None))


class _Code:
    def __reduce__(self):
        return os.getcwd, ()


def of_vectors(folder):
    """Files of vectors with a mistake, each with what is said of it."""
    h_ND = H_ND.copy()
    h_ND[7, 3] = np.nan
    for name, array_ND in (
        ("nan", h_ND),
        ("wide", np.hstack([H_ND, H_ND])),
        ("more", np.vstack([H_ND, H_ND])),
        ("whole", np.zeros((NUM, D), np.int64)),
        ("flat", H_ND[0]),
    ):
        np.save(folder / f"{name}.npy", array_ND)
    torch.save({"h": torch.from_numpy(H_ND), "more": _Code()}, folder / "code.pt")
    torch.save({"h": torch.from_numpy(H_ND), "g": torch.from_numpy(H_ND)}, folder / "two.pt")
    return {
        "nan.npy": "1 rows hold NaN, infinite or missing numbers, 0 are zero; the first is row 7. "
        "Read them again in a wider dtype, or leave them out of the file and of its index",
        "wide.npy": f"is {2 * D} wide, {TAG} {D}: name the host that the vectors are of, or the "
        "file of this host",
        "more.npy": f"{2 * NUM} vectors: row i of the index says what vector i is of; name the "
        "index of these vectors",
        "whole.npy": "is int64; vectors are float16, bfloat16, float32 or float64",
        "flat.npy": f"has the shape ({D},); it must be [rows, width], a vector a row",
        "code.pt": "holds more than tensors, and opening it would run code that is in it: save the "
        "tensor alone",
        "two.pt": "has 2 of what may be the tensor; it has h, g: name it in ActivationFile.tensor",
    }


def test_of_vectors(folder):
    for name, words in of_vectors(folder).items():
        line = refusal(recipe_on(folder, h=name))
        assert str(folder / name) in line and words in line


def test_nan_behind_the_first_texts_is_left_to_its_stage_and_before_them_is_not(
    folder, monkeypatch
):
    monkeypatch.setattr(checks, "FIRST_ROWS", 20)
    for row, is_found in ((7, True), (70, False)):
        h_ND = H_ND.copy()
        h_ND[row] = np.inf
        np.save(folder / "h.npy", h_ND)
        recipe = recipe_on(folder)
        assert (
            "the first is row 7." in refusal(recipe)
            if is_found
            else not check_files(pinned(recipe))
        )


def test_more_vectors_than_texts_go_by_number(folder):
    np.save(folder / "h.npy", np.vstack([H_ND, H_ND[:3]]))
    numbered = TextFiles(path=str(folder / "texts.jsonl"))
    teacher = ExplanationFile(path=str(folder / "explanations.jsonl"), id_field=None)
    write_rows(
        folder / "explanations.jsonl",
        [{"text": row["text"], "explanation": "lamp"} for row in TEXTS],
    )
    recipe = recipe_on(folder, texts=numbered, index=None)
    lessons = replace(recipe.av_lessons, teacher=teacher)
    assert refusal(replace(recipe, av_lessons=lessons, ar_lessons=lessons)) == (
        f"{folder}/h.npy has {NUM + 3} vectors, the corpus {NUM} texts: vector i is of text i. "
        "Name in ActivationFile.index a file that says which text a vector is of"
    )


def test_an_index_of_other_texts(folder):
    index = write_rows(folder / "index.jsonl", [{"id": f"x{number}"} for number in range(NUM)])
    line = refusal(recipe_on(folder, index=str(index)))
    assert line.startswith(f"none of the {NUM} rows of {index} is of the ")
    assert "a row has id 'x0', a passage the id 't" in line
    assert line.endswith("Name in ActivationFile.id_field what the corpus names in its id_field")


def test_an_index_that_names_a_text_twice(folder):
    index = write_rows(folder / "index.jsonl", with_row(TEXTS, 9, id="t2"))
    assert refusal(recipe_on(folder, index=str(index))) == (
        f"{index}, line 10: vectors 2 and 9 are both of id 't2'; leave one of them out of the file "
        "and of its index"
    )


def test_a_block_that_the_host_does_not_have(folder):
    recipe = recipe_on(folder)
    (host,) = recipe.hosts
    recipe = replace(recipe, hosts=(replace(host, block=AtBlock(index=3)),))
    assert "hosts.mine.block is 3, but its blocks are 0..2: hidden_states[K+1]" in refusal(recipe)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (Spans(per_passage=1, min_sentence=0, seed=0), "bring vectors of whole passages"),
        (TokenPositions(per_passage=1, min_position=0, seed=0), "position_field is none"),
    ],
)
def test_a_reading_that_the_file_is_not_of(folder, read, words):
    recipe = recipe_on(folder)
    explained = recipe.av_lessons
    lessons = replace(recipe.av_lessons, teacher=WITHOUT_MODEL)
    recipe = replace(recipe, av_lessons=lessons, ar_lessons=lessons, read=read)
    assert words in refusal(recipe)
    assert refusal(replace(recipe, av_lessons=explained)) == (
        "ExplanationFile.position_field is none, but activations are read within passages: name "
        f"the field that says where a row of {folder}/explanations.jsonl stands, or read whole "
        "passages"
    )


def test_texts_of_a_mixture_are_looked_at_and_those_of_the_hub_are_not_fetched(folder):
    part = MixturePart(
        tag="a", share=0.5, corpus=TextFiles(path=str(folder / "texts.jsonl"), id_field="id")
    )
    other = write_rows(folder / "other.jsonl", with_row(TEXTS, 3, text=""))
    bad = replace(part, tag="b", corpus=replace(part.corpus, path=str(other)))
    mixed = Mixture(parts=(part, bad))
    assert f"{other}, line 4: field 'text' is empty" in refusal(
        recipe_on(folder, h=None, texts=mixed)
    )
    hub = HubText(dataset="some/data", revision="0" * 40, files="*.jsonl")
    mixed = Mixture(parts=(part, replace(part, tag="b", corpus=hub)))
    check_files(pinned(recipe_on(folder, h=None, texts=mixed)))
