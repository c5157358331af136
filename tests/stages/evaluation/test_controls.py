"""Texts of other rows: of another document where that is asked, of the same where that is."""

import numpy as np
import pytest

from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.controls import of_other_rows
from interlingua.store.rows.verbalized import Rebuilt, Verbalized

NUM_SAMPLES = 2
# Documents x and y have three passages each and z one; the passage p has two positions.
DOCUMENTS = {
    "p": "x", "q": "x", "r": "x", "s": "y", "t": "y", "u": "y", "v": "z",
}  # fmt: skip
KEYS = [("p", 3), ("p", 7), *((passage, 5) for passage in "qrstuv")]


def spoken(keys):
    """Texts that name their row and sample, and vectors that are their places."""
    drawn = [(key, sample) for key in keys for sample in range(NUM_SAMPLES)]
    rows = [
        Verbalized(
            passage_id=key[0], position=key[1], split=Split.TEST, predictor=Predictor.SAMPLED,
            sample=sample, text=f"{key} {sample}", explanation=f"{key} {sample}", num_tokens=1,
            log_prob=0.0,
        )
        for key, sample in drawn
    ]  # fmt: skip
    a_NE = np.arange(len(rows), dtype=float)[:, None] + 1
    return Rebuilt([key for key, _ in drawn], rows, a_NE)


@pytest.fixture
def found():
    return of_other_rows(spoken(KEYS), DOCUMENTS, seed=0)


def sources(rebuilt):
    """Whose text every row has, by the text's own words."""
    own = spoken(KEYS)
    place = {row.text: (key, row.sample) for key, row in zip(own.keys, own.rows, strict=True)}
    return [place[row.text] for row in rebuilt.rows]


def test_what_is_shuffled_is_of_another_document(found):
    shuffled = found[Predictor.SHUFFLED_EXPLANATIONS]
    assert shuffled.keys == spoken(KEYS).keys
    for key, (source, _) in zip(shuffled.keys, sources(shuffled), strict=True):
        assert DOCUMENTS[key[0]] != DOCUMENTS[source[0]]


def test_of_the_same_document_is_another_row_of_it_in_the_same_draw(found):
    same = found[Predictor.SAME_DOCUMENT]
    assert set(same.keys) == {key for key in KEYS if key != ("v", 5)}
    pairs = list(zip(same.keys, same.rows, sources(same), strict=True))
    for key, row, (source, sample) in pairs:
        assert source != key and DOCUMENTS[source[0]] == DOCUMENTS[key[0]]
        assert row.sample == sample
    assert len(pairs) == len({(key, row.sample) for key, row, _ in pairs}) == 2 * 7


@pytest.mark.parametrize("predictor", [Predictor.SHUFFLED_EXPLANATIONS, Predictor.SAME_DOCUMENT])
def test_a_text_and_its_vector_stay_together(predictor, found):
    own = spoken(KEYS)
    vector = {row.text: a for row, a in zip(own.rows, own.a_NE[:, 0], strict=True)}
    rebuilt = found[predictor]
    assert [vector[row.text] for row in rebuilt.rows] == rebuilt.a_NE[:, 0].tolist()


def test_where_every_document_has_one_row_nothing_is_of_the_same():
    keys = [key for key in KEYS if key[0] in "psv"][1:]
    documents = {"p": "x", "s": "y", "v": "z"}
    assert Predictor.SAME_DOCUMENT not in of_other_rows(spoken(keys), documents, seed=0)


def test_passages_of_one_document_are_not_shuffled_with_each_other_whatever_the_seed():
    """A derangement by passage would pair them now and then."""
    keys = [(passage, 5) for passage in "qrstuv"]
    for seed in range(20):
        shuffled = of_other_rows(spoken(keys), DOCUMENTS, seed=seed)[
            Predictor.SHUFFLED_EXPLANATIONS
        ]
        for key, (source, _) in zip(shuffled.keys, sources(shuffled), strict=True):
            assert DOCUMENTS[key[0]] != DOCUMENTS[source[0]], seed
