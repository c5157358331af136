"""Two corpora mixed, in pieces, of one language: what is uncertain is uncertain by documents."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.own_data import TAG, built, own_recipe, write_rows
from tests.own_model import save_model, texts

from interlingua import NLA
from interlingua.report.numbers import DOCUMENTS, NUMBERS_NAME, PASSAGES, read_numbers
from interlingua.report.page.page import PAGE_NAME
from interlingua.specs.corpora import Mixture, MixturePart, NearDuplicates, Pieces, TextFiles
from interlingua.specs.evaluation import Predictor
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExtractiveTeacher
from interlingua.stages.rows.passages import SHARDS_NAME
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.splits import SplitAccess

MOST_WORDS, NUM_EACH = 24, 80
GERMAN = "Der Bauer und die Frau sind nicht mit dem Wagen auf den Markt in der Stadt gegangen."


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """English letters, and notes every fourth of which is German and every tenth a letter."""
    made = tmp_path_factory.mktemp("mixture")
    save_model(made / "model")
    told = texts(4 * NUM_EACH)
    letters = [" ".join(two) for two in zip(told[::4], told[1::4], strict=True)]
    notes = [" ".join(two) for two in zip(told[2::4], told[3::4], strict=True)]
    write_rows(made / "letters.jsonl", ({"text": one} for one in letters))
    for number in range(0, NUM_EACH, 10):
        notes[number] = f"{letters[number]} So it was written."
    for number in range(1, NUM_EACH, 4):
        notes[number] = f"{GERMAN} Es ist das Jahr {1900 + number}."
    write_rows(made / "notes.jsonl", ({"body": one} for one in notes))
    return made


def recipe(folder: Path) -> Recipe:
    """As many letters as notes."""
    letters = TextFiles(path=str(folder / "letters.jsonl"))
    notes = TextFiles(path=str(folder / "notes.jsonl"), text_field="body")
    mine = own_recipe(
        folder,
        model=HubHost(tag=TAG, source=str(folder / "model")),
        texts=Mixture(
            parts=(
                MixturePart(tag="letters", share=0.5, corpus=letters),
                MixturePart(tag="notes", share=0.5, corpus=notes),
            )
        ),
        explanations=ExtractiveTeacher(),
        block=AtBlock(index=1),
    )
    passages = replace(
        mine.passages,
        pieces=Pieces(most_words=MOST_WORDS),
        least_words=4,
        languages=("en",),
        near_duplicates=NearDuplicates(),
    )
    evaluation = replace(mine.evaluation, rows=40)
    return replace(mine, passages=passages, evaluation=evaluation)


@pytest.fixture(scope="module")
def artifacts(folder, tmp_path_factory):
    """All artifacts of the recipe."""
    return built(recipe(folder), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def passages(artifacts):
    path = artifacts["passages", "mixture"].path / PASSAGES_NAME
    return list(read_passages(path, set(Split), SplitAccess(Split)))


def test_pieces_of_both_corpora_are_english_and_short(passages, artifacts):
    assert {one.row_id.partition("/")[0] for one in passages} == {"letters", "notes"}
    assert not [one for one in passages if "Bauer" in one.text]
    assert max(len(one.text.split()) for one in passages) <= MOST_WORDS
    documents = {one.document_id for one in passages}
    assert len(passages) > 2 * len(documents) > NUM_EACH


def test_what_was_left_out_is_counted(artifacts):
    made = artifacts["passages", "mixture"]
    shards = json.loads((made.path / SHARDS_NAME).read_text())
    assert {one["part"]: one["rows"] for one in shards} == {"letters": NUM_EACH, "notes": NUM_EACH}
    metrics = made.record.metrics
    assert metrics["num_other_language"] == NUM_EACH // 4
    # Every tenth note is a letter again, in pieces.
    assert metrics["num_repeated"] > NUM_EACH // 10


def test_no_passage_that_is_evaluated_is_nearly_one_of_another_split(passages):
    evaluated = [one for one in passages if one.split in (Split.TEST, Split.DEV)]
    of = {one.passage_id: shingles(one.text) for one in passages}
    for one in evaluated:
        mine = of[one.passage_id]
        for other in passages:
            theirs = of[other.passage_id]
            if other.split != one.split and mine & theirs:
                # MinHash estimates: a little above a half may be missed.
                assert len(mine & theirs) / len(mine | theirs) < 0.75


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(*(words[start:] for start in range(5)), strict=False))


def test_intervals_are_over_documents(artifacts):
    evaluation = artifacts["evaluation", "own"].path
    numbers = read_numbers(evaluation / NUMBERS_NAME)
    rows = read_scored(evaluation)
    covers = {one.covers for one in numbers.all}
    assert DOCUMENTS in covers and PASSAGES not in covers
    documents = set(rows["document_id"].tolist())
    assert len(documents) < len(set(rows["passage_id"].tolist()))
    assert numbers.get(TAG, Predictor.SAMPLED, "nmse").num_units == len(documents)


def test_another_row_of_the_document_is_a_predictor(artifacts):
    numbers = read_numbers(artifacts["evaluation", "own"].path / NUMBERS_NAME)
    assert numbers.get(TAG, Predictor.SAME_DOCUMENT, "nmse") is not None
    page = (artifacts["report", "own"].path / PAGE_NAME).read_text()
    assert "documents" in page
    nla = NLA.load(artifacts["bundle", "own"].path)
    [[one]] = nla.verbalize(texts=["the farmer carried a basket."], host=TAG, max_new_tokens=6)
    assert one.raw_text
