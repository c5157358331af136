"""NLL per token from rows alone, and documents as the units of every number."""

from dataclasses import replace

import numpy as np
import pytest
from tests.report.known_rows import GOOD, likelihood_of, recorded, rows_of

from interlingua.report.from_rows import numbers_of
from interlingua.report.headline.likelihood import likelihood_line
from interlingua.report.measures import PERPLEXITY
from interlingua.report.numbers import DOCUMENTS, HOSTS, NLL, PASSAGES, START
from interlingua.report.tables.universal import universal_grids
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.likelihood import Likelihood, read_likelihood, write_likelihood
from interlingua.store.rows.scored import Scored

FVE = "fve_centred_own"
NUM_PASSAGES = 60
GIVEN = {
    Predictor.SAMPLED: "nll_own",
    Predictor.SHUFFLED_VECTORS: "nll_shuffled",
    Predictor.ZERO_VECTOR: "nll_zero",
}


@pytest.fixture(scope="module")
def rows():
    roles = {"t": "trained", "h": "held out"}
    return rows_of({"t": GOOD, "h": GOOD}, roles=roles, num_passages=NUM_PASSAGES)


@pytest.fixture(scope="module")
def likelihood(rows):
    return likelihood_of(rows)


@pytest.fixture(scope="module")
def numbers(rows, likelihood):
    return numbers_of(recorded(rows, likelihood), seed=0, num_draws=400)


def in_documents(rows, size):
    """The same rows, where that many passages at a time are of one document."""
    place_N = np.unique(rows["passage_id"].astype(str), return_inverse=True)[1]
    names = np.array([f"d{place // size:03d}" for place in place_N], dtype=object)
    return type(rows)({**rows.columns, "document_id": names})


def width(number):
    return number.high - number.low


def test_nll_is_a_ratio_of_sums_over_tokens(likelihood, numbers):
    for host in ("t", "h"):
        own = likelihood.where(likelihood["host"] == host)
        for predictor, column in GIVEN.items():
            expected = own[column].sum() / own["num_tokens"].sum()
            found = numbers[host, predictor, NLL]
            assert found.value == pytest.approx(expected) and found.low < expected < found.high
            assert found.num_units == NUM_PASSAGES
            perplexity = numbers[host, predictor, PERPLEXITY]
            bounds = (perplexity.value, perplexity.low, perplexity.high)
            assert bounds == pytest.approx(np.exp([found.value, found.low, found.high]))


def test_how_hard_a_text_is_cancels_out_of_the_difference(numbers):
    gap = numbers["t", f"sampled - {Predictor.SHUFFLED_VECTORS}", NLL]
    assert gap.value == pytest.approx(-0.3, abs=1e-2) and gap.high < 0
    assert width(gap) < 0.05 * width(numbers["t", Predictor.SAMPLED, NLL])
    assert numbers["t", f"sampled - {Predictor.ZERO_VECTOR}", NLL].value == pytest.approx(-0.15)
    assert numbers.get("mean all", f"sampled - {Predictor.ZERO_VECTOR}", NLL, HOSTS) is not None


def test_nothing_else_changes_with_it(rows, numbers):
    without = numbers_of(recorded(rows), seed=0, num_draws=400)
    added = set(numbers.all) - set(without.all)
    assert set(without.all) <= set(numbers.all)
    assert {number.metric for number in added} == {NLL, PERPLEXITY}


def test_a_start_with_likelihoods_is_compared(rows, likelihood):
    before = Likelihood({**likelihood.columns, "nll_own": likelihood["nll_own"] * 1.5})
    found = numbers_of(
        recorded(rows, likelihood), seed=0, start=recorded(rows, before), num_draws=50
    )
    gain = found["t", f"sampled - {START}", NLL]
    assert gain.value == pytest.approx(-0.5 * found["t", Predictor.SAMPLED, NLL].value)
    assert found.get("t", f"sampled at {START}", NLL) is not None


def test_documents_are_the_units_where_they_have_several_passages(rows, likelihood):
    nested = numbers_of(
        recorded(in_documents(rows, 4), in_documents(likelihood, 4)), seed=0, num_draws=400
    )
    flat = numbers_of(recorded(rows, likelihood), seed=0, num_draws=400)
    assert (nested.units, flat.units) == (DOCUMENTS, PASSAGES)
    assert {number.covers for number in nested.all} == {DOCUMENTS, HOSTS}
    for predictor, metric in ((Predictor.SAMPLED, FVE), (Predictor.SAMPLED, NLL)):
        one, other = nested["t", predictor, metric], flat["t", predictor, metric]
        assert one.value == pytest.approx(other.value)
        assert (one.num_units, other.num_units) == (NUM_PASSAGES // 4, NUM_PASSAGES)


def test_what_documents_have_in_common_widens_intervals(rows):
    """Errors that passages of a document share: as units passages would promise too much."""
    rows = in_documents(rows, 6)
    place_N = np.unique(rows["document_id"].astype(str), return_inverse=True)[1]
    common_D = np.random.default_rng(2).gamma(1.0, size=NUM_PASSAGES // 6)
    rows = Scored({**rows.columns, "nmse": common_D[place_N]})
    apart = Scored({**rows.columns, "document_id": rows["passage_id"]})
    nested, flat = (
        numbers_of(recorded(each), seed=0)["t", Predictor.GREEDY, FVE] for each in (rows, apart)
    )
    assert width(nested) > 1.6 * width(flat)


def test_a_text_of_the_same_document_is_compared_on_the_rows_that_have_one(rows):
    """Of the others nothing is known: the difference is of the same rows, or it is of two sets."""
    sampled = rows.of("t", Predictor.SAMPLED)
    has_other_N = sampled["passage_id"] < f"{20:016x}"
    part = sampled.where(has_other_N)
    other = Scored(
        {
            **part.columns,
            "predictor": np.array([str(Predictor.SAME_DOCUMENT)] * len(part), dtype=object),
            "nmse": part["nmse"] + 0.1,
        }
    )
    joined = Scored({name: np.concatenate([rows[name], other[name]]) for name in rows.columns})
    found = numbers_of(recorded(joined), seed=0, num_draws=100)
    gap = found["t", f"sampled - {Predictor.SAME_DOCUMENT}", FVE]
    assert gap.value == pytest.approx(0.1 * len(part) / part["own_variance"].sum())
    assert gap.num_units == 20
    assert found.get("mean all", Predictor.SAME_DOCUMENT, FVE) is None  # one host has none


def test_the_sentence_has_every_number_and_says_where_there_is_none(numbers, rows):
    words = " ".join(
        part if isinstance(part, str) else part.text for part in likelihood_line(numbers, "t")
    )
    for predictor in GIVEN:
        assert f"{numbers['t', predictor, NLL].value:.3f}" in words
    assert "no proof" not in words
    [missing] = likelihood_line(numbers_of(recorded(rows), seed=0, num_draws=9), "t")
    assert "behind a URL" in missing


def test_a_loss_that_is_no_lower_under_the_own_vector_proves_nothing(rows):
    found = numbers_of(recorded(rows, likelihood_of(rows, gain=0.0)), seed=0, num_draws=100)
    assert "no proof" in likelihood_line(found, "t")[-1]


def test_the_table_stands_on_the_page_where_it_was_measured(numbers, rows):
    roles = {"t": "trained", "h": "held out"}
    title = "Loss of the teacher's explanations"
    [grid] = [grid for grid in universal_grids(numbers, roles) if grid.title == title]
    assert len(grid.columns) == 8 and grid.rows[0].labels == ("t", "trained")
    without = numbers_of(recorded(rows), seed=0, num_draws=9)
    assert title not in [grid.title for grid in universal_grids(without, roles)]


def test_rows_read_back_as_they_were(likelihood, tmp_path):
    write_likelihood(tmp_path, likelihood)
    found = read_likelihood(tmp_path)
    for name, column in likelihood.columns.items():
        assert found[name].tolist() == column.tolist(), name


def test_rows_that_lie_in_no_scored_document_are_refused(rows, likelihood):
    other = replace(
        likelihood, columns={**likelihood.columns, "document_id": np.array(["?"] * len(likelihood))}
    )
    with pytest.raises(ValueError, match="lie in units never drawn from"):
        numbers_of(recorded(rows, other), seed=0, num_draws=9)
