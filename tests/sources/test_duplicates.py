"""Of texts that are nearly one, those of the latest split stay, in whatever order they come."""

import random
from collections import Counter

import numpy as np
import pytest

from interlingua.sources import duplicates
from interlingua.sources.duplicates import band_of, without_near_duplicates
from interlingua.sources.minhash import MinHash
from interlingua.specs.corpora import NearDuplicates
from interlingua.specs.splits import Split
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

SPEC = NearDuplicates(most_shared=0.5, shingle_words=3, seed=0)


def passage(text, split, document="d"):
    return Passage(
        passage_id=passage_id(text),
        document_id=document,
        split=split,
        text=text,
        facts={},
        mentions=(),
    )


def words_of(rng, count):
    return [f"w{rng.randrange(5000)}" for _ in range(count)]


def with_changed_end(words, num_changed, rng):
    return words[: len(words) - num_changed] + words_of(rng, num_changed)


def left(passages, spec=SPEC):
    counts = Counter()
    stay = list(without_near_duplicates(lambda: iter(passages), spec, counts))
    return stay, +counts


def shingles(text, count=3):
    words = text.split()
    return {tuple(words[n : n + count]) for n in range(len(words) - count + 1)}


def shared(one, other):
    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


def test_a_signature_estimates_what_two_texts_share():
    rng, errors = random.Random(0), []
    for num_changed in range(0, 60, 2):
        words = words_of(rng, 60)
        one, other = " ".join(words), " ".join(with_changed_end(words, num_changed, rng))
        a_H, b_H = MinHash(3, seed=num_changed).signatures([one, other])
        errors.append((a_H == b_H).mean() - shared(one, other))
    assert abs(np.mean(errors)) < 0.02 and 0.01 < np.std(errors) < 0.06


def test_a_signature_depends_on_neither_batch_nor_case_nor_punctuation():
    rng = random.Random(1)
    texts = [" ".join(words_of(rng, n)) for n in (1, 2, 3, 40, 5)]
    together_NH = MinHash(3, 0).signatures(texts)
    for text, row_H in zip(texts, together_NH, strict=True):
        np.testing.assert_array_equal(MinHash(3, 0).signatures([text.upper() + "!"])[0], row_H)
    assert len(np.unique(together_NH, axis=0)) == 5
    assert (MinHash(3, 1).signatures(texts) != together_NH).mean() > 0.99
    in_other_order = MinHash(3, 0).signatures([" ".join(reversed(texts[3].split()))])
    assert (in_other_order != together_NH[3]).mean() > 0.9


@pytest.mark.parametrize("most_shared", [0.1, 0.3, 0.5, 0.8])
def test_what_shares_more_is_left_out_and_what_shares_less_stays(most_shared):
    rng, passages, expected = random.Random(2), [], {}
    for num_changed in range(0, 90, 3):
        words = words_of(rng, 100)
        trained = passage(" ".join(with_changed_end(words, num_changed, rng)) + " .", Split.AV_SFT)
        evaluated = passage(" ".join(words), Split.TEST)
        passages += [trained, evaluated]
        expected[trained.passage_id] = shared(trained.text, evaluated.text)
    spec = NearDuplicates(most_shared=most_shared, shingle_words=3)
    ids = {p.passage_id for p in left(passages, spec)[0]}
    assert all(p.passage_id in ids for p in passages if p.split is Split.TEST)
    # An estimate is off by at most 0.044, one standard deviation.
    for identity, share in expected.items():
        if abs(share - most_shared) > 0.15:
            assert (identity in ids) == (share < most_shared), share
    assert any(share > most_shared + 0.15 for share in expected.values())


def test_the_latest_split_stays_and_the_others_are_counted_by_it():
    rng = random.Random(3)
    words = words_of(rng, 80)
    alike = [" ".join(with_changed_end(words, n, rng)) for n in range(5)]
    splits = [Split.FIT, Split.TEST, Split.PRETRAIN, Split.DEV, Split.TEST]
    passages = [passage(text, split) for text, split in zip(alike, splits, strict=True)]
    stay, counts = left(passages)
    assert stay == [passages[1], passages[4]]
    assert counts == {
        "num_near_duplicates_fit_of_test": 1,
        "num_near_duplicates_pretrain_of_test": 1,
        "num_near_duplicates_dev_of_test": 1,
    }
    # Without `test` it is `dev` that stays.
    assert left([passages[0], passages[2], passages[3]])[0] == [passages[3]]


def test_prefixes_of_one_document_share_its_split_and_stay():
    words = words_of(random.Random(4), 60)
    rows = [passage(" ".join(words[: 6 * n]), Split.RL) for n in range(1, 11)]
    assert left(rows) == (rows, {})


def test_neither_order_nor_batches_change_which_stay(monkeypatch):
    rng, passages = random.Random(5), []
    for _ in range(60):
        words = words_of(rng, 50)
        for num_changed in rng.sample(range(40), 4):
            text = " ".join(with_changed_end(words, num_changed, rng))
            passages.append(passage(text, rng.choice(list(Split))))
    stay, counts = left(passages)
    assert 60 <= len(stay) < 230
    shuffled = rng.sample(passages, len(passages))
    monkeypatch.setattr(duplicates, "BATCH_PASSAGES", 7)
    monkeypatch.setattr(duplicates, "CHUNK_PAIRS", 5)
    again, counted = left(shuffled)
    assert {p.passage_id for p in again} == {p.passage_id for p in stay} and counted == counts
    assert [p for p in shuffled if p in again] == again


def test_a_phrase_of_thousands_costs_each_of_them_a_few_comparisons(monkeypatch):
    compared = []
    compare = duplicates._Search._compare
    monkeypatch.setattr(
        duplicates._Search,
        "_compare",
        lambda self, rows, likes: compared.append(len(rows)) or compare(self, rows, likes),
    )
    rng = random.Random(6)
    phrase = words_of(rng, 45)  # they share 3 of 4 shingles
    passages = [
        passage(" ".join(phrase + words_of(rng, 5)), (Split.TEST, Split.FIT)[n % 2])
        for n in range(1000)
    ]
    spec = NearDuplicates(most_shared=0.9, shingle_words=3)
    stay, counts = left(passages, spec)
    most = 32 * 64 * 500  # bands, comparisons of one, passages of fit
    assert sum(compared) < most
    # An estimate of 0.8 is now and then above 0.9.
    assert counts["num_partly_compared"] > 400 and len(stay) > 950
    compared.clear()
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 1000)
    assert "num_partly_compared" not in left(passages, spec)[1]
    assert sum(compared) > 2 * most


@pytest.mark.parametrize(
    ("most_shared", "width"), [(0.9, 4), (0.5, 4), (0.3, 2), (0.05, 1), (0, 1)]
)
def test_bands_find_those_that_share_as_much(most_shared, width):
    assert band_of(most_shared)[0] == width


def test_passages_that_are_others_the_second_time_are_refused():
    one, two = passage("a b c", Split.FIT), passage("d e f", Split.TEST)
    for first, second, message in (
        ([one], [two], "passage 0 is .* and was another"),
        ([one], [one, two], "passage 1 is .* and was another"),
        ([one, two], [one], "1 passages came where .* among 2"),
    ):
        readings = iter([first, second])
        with pytest.raises(RuntimeError, match=message):
            list(without_near_duplicates(lambda it=readings: iter(next(it)), SPEC, Counter()))


def test_no_passage_is_none_the_second_time():
    assert left([]) == ([], {})
