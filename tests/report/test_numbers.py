"""Numbers of rows whose truth is known, made again by hand; and what must be refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.report.known_rows import GOOD, System, own_text, recorded, rows_of

from interlingua.report.from_rows import numbers_of
from interlingua.report.numbers import (
    ALL,
    GAP,
    HELD_OUT,
    HOSTS,
    TRAINED,
    Number,
    Numbers,
    read_numbers,
    write_numbers,
)
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.scored import Scored

pytestmark = pytest.mark.slow

FVE = "fve_centred_own"
ROLES = {
    "a": "anchor", "t1": "trained", "t2": "trained", "t3": "trained", "h1": "held out",
    "h2": "held out",
}  # fmt: skip
KEPT = {"a": 0.9, "t1": 0.8, "t2": 0.7, "t3": 0.6, "h1": 0.5, "h2": 0.3}
GROUPS = (TRAINED, HELD_OUT, ALL, GAP)


@pytest.fixture(scope="module")
def rows():
    """Six hosts; some texts are lost, and some are the same."""

    def text(row, sample):
        return None if row % 19 == sample else own_text(row - row % 3, sample)

    systems = {tag: System(kept=kept, text=text) for tag, kept in KEPT.items()}
    return rows_of(systems, roles=ROLES, num_passages=40)


@pytest.fixture(scope="module")
def numbers(rows):
    return numbers_of(recorded(rows), seed=3)


def width(number):
    return number.high - number.low


def changed(rows, **columns):
    return Scored({**rows.columns, **columns})


@pytest.mark.parametrize(
    ("metric", "errors", "variances"),
    [
        ("fve_centred_own", "nmse", "own_variance"),
        ("fve_centred_train", "nmse", "train_variance"),
        ("fve_centred_category", "nmse", "category_variance"),
        ("fve_linear_own", "linear_error", "own_variance"),
        ("fve_mean_direction", "nmse", "mean_direction_nmse"),
        ("fve_uncentred", "uncentred_error", "uncentred_variance"),
        ("shuffled_fve_centred_own", "shuffled_nmse", "own_variance"),
    ],
)
def test_every_fve_is_one_less_a_ratio_of_sums(metric, errors, variances, rows, numbers):
    found = {one: rows.of("t1", one)[errors] for one in rows.predictors()}
    predictors = [one for one, values_N in found.items() if np.isfinite(values_N).all()]
    assert Predictor.SAMPLED in predictors
    for host in ROLES:
        for predictor in predictors:
            own = rows.of(host, predictor)
            found = numbers[host, predictor, metric]
            assert found.value == pytest.approx(1 - own[errors].sum() / own[variances].sum())
            assert found.low < found.value < found.high and found.num_units == 40


def test_means_and_shares_of_rows(rows, numbers):
    own = rows.of("h1", Predictor.SAMPLED)
    fve_N = 1 - own["nmse"] / own["train_variance"]
    expected = {
        "cos": own["cos"].mean(),
        "nmse": own["nmse"].mean(),
        "share_above_half": (fve_N > 0.5).mean(),
        "share_below_zero": (fve_N < 0).mean(),
        "retrieval_top1": (own["rank"] == 1).mean(),
        "retrieval_mrr": (1 / own["rank"]).mean(),
        "tag_failure_share": own["is_failed"].mean(),
        "mean_tokens": own["num_tokens"].mean(),
        "facts_said": np.mean([len(facts) for facts in own["said"]]),
    }
    assert 0 < expected["share_above_half"] < 1 and 0 < expected["retrieval_top1"] < 1
    for metric, value in expected.items():
        assert numbers["h1", Predictor.SAMPLED, metric].value == pytest.approx(value), metric


def test_lost_texts_count_in_the_headline_and_not_in_the_secondary(rows, numbers):
    own = rows.of("t2", Predictor.SAMPLED)
    read = own.where(~own["is_failed"])
    assert len(own) > len(read) > 0
    assert (own["nmse"][own["is_failed"]] == 2).all()
    expected = 1 - read["nmse"].sum() / read["own_variance"].sum()
    found = numbers["t2", Predictor.SAMPLED, "fve_centred_own_of_read"].value
    assert found == pytest.approx(expected) and found > numbers["t2", Predictor.SAMPLED, FVE].value
    assert numbers.get("t2", Predictor.TEACHER, "fve_centred_own_of_read") is None


def test_texts_and_their_truth(rows, numbers):
    own = rows.of("a", Predictor.SAMPLED)
    read = [text for text in own["explanation"] if text is not None]
    words = [text.split() for text in read]
    pairs = list(zip(own["said"].tolist(), own["true"].tolist(), strict=True))
    num_both = sum(len({*said} & {*true}) for said, true in pairs)
    expected = {
        "unique_share": len(set(read)) / len(read),
        "distinct_word_share": sum(len(set(w)) for w in words) / sum(map(len, words)),
        "mean_words": np.mean([len(w) for w in words]),
        "precision/topic": num_both / sum(len(said) for said, _ in pairs),
        "recall/topic": num_both / sum(len(true) for _, true in pairs),
        "all_true_share": np.mean([{*said} <= {*true} for said, true in pairs if len(said)]),
    }
    assert 0 < expected["precision/topic"] < 1 and expected["unique_share"] < 1
    assert 0 < expected["all_true_share"] < 1
    for metric, value in expected.items():
        assert numbers["a", Predictor.SAMPLED, metric].value == pytest.approx(value), metric


def test_samples_of_one_vector_are_more_alike_than_those_of_two(rows):
    found = numbers_of(recorded(rows_of({"x": GOOD})), seed=0)
    gap = found["x", Predictor.SAMPLED, "similarity_gap"]
    assert gap.low > 0.3
    own, other = (
        found["x", Predictor.SAMPLED, f"similarity_{name}"].value for name in ("own", "other")
    )
    assert gap.value == pytest.approx(own - other)
    # The same text, less the one word that differs: six of seven words.
    assert own == pytest.approx(6 / 7)
    assert found["x", Predictor.SHUFFLED_VECTORS, "real_similarity_gap"].high < 0.05


def test_an_interval_is_that_of_resampled_passages(rows, numbers):
    own = rows.of("t1", Predictor.SAMPLED)
    ids, place_N = np.unique(own["passage_id"].astype(str), return_inverse=True)
    sums = [np.bincount(place_N, own[name]) for name in ("nmse", "own_variance")]
    draws_RU = np.random.default_rng(99).integers(len(ids), size=(4000, len(ids)))
    values_R = 1 - sums[0][draws_RU].sum(1) / sums[1][draws_RU].sum(1)
    low, high = np.quantile(values_R, [0.025, 0.975])
    found = numbers["t1", Predictor.SAMPLED, FVE]
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_differences_are_paired():
    """A predictor that is nearly the pipeline's differs from it by an interval as small."""
    own = rows_of({"x": GOOD})
    is_greedy_N = own["predictor"] == Predictor.GREEDY
    nmse_N = own["nmse"].copy()
    first = own.of("x", Predictor.SAMPLED)["sample"] == 0
    rng = np.random.default_rng(0)
    sampled_N = own.of("x", Predictor.SAMPLED).where(first)["nmse"]
    nmse_N[is_greedy_N] = sampled_N + 2e-3 * rng.random(60)
    one_sample = changed(own, nmse=nmse_N)
    one_sample = one_sample.where((own["predictor"] != Predictor.SAMPLED) | (own["sample"] == 0))
    found = numbers_of(recorded(one_sample), seed=0)
    left, right = (
        found["x", predictor, FVE] for predictor in (Predictor.SAMPLED, Predictor.GREEDY)
    )
    gap = found["x", "sampled - greedy", FVE]
    assert gap.value == pytest.approx(left.value - right.value) and gap.low > 0
    assert width(gap) < 0.1 * np.hypot(width(left), width(right))


def test_every_other_predictor_is_less_the_pipeline(rows, numbers):
    for metric in (FVE, "fve_linear_own"):
        for predictor in set(rows.predictors()) - {Predictor.SAMPLED}:
            gap = numbers["h2", f"sampled - {predictor}", metric]
            both = numbers["h2", Predictor.SAMPLED, metric], numbers["h2", predictor, metric]
            assert gap.value == pytest.approx(both[0].value - both[1].value)
    assert numbers.get("h2", "sampled - sampled", FVE) is None
    assert numbers.get("h2", "sampled - greedy", "cos") is None


def test_with_hosts_as_units_a_mean_has_students_interval_and_the_gap_welchs(numbers):
    def values(tags):
        return [numbers[tag, Predictor.SAMPLED, FVE].value for tag in tags]

    trained, held_out = values(["t1", "t2", "t3"]), values(["h1", "h2"])
    for group, members in ((TRAINED, trained), (HELD_OUT, held_out), (ALL, trained + held_out)):
        found = numbers.get(group, Predictor.SAMPLED, FVE, HOSTS)
        interval = stats.ttest_1samp(members, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx(tuple(interval))
        assert (found.value, found.num_units) == (pytest.approx(np.mean(members)), len(members))
        same = numbers[group, Predictor.SAMPLED, FVE]
        assert same.value == pytest.approx(found.value) and width(same) < width(found)
    gap = numbers.get(GAP, Predictor.SAMPLED, FVE, HOSTS)
    interval = stats.ttest_ind(trained, held_out, equal_var=False).confidence_interval(0.95)
    assert (gap.low, gap.high) == pytest.approx(tuple(interval))
    assert gap.value == pytest.approx(np.mean(trained) - np.mean(held_out)) and gap.num_units == 2


def test_a_group_without_one_of_its_hosts_has_no_mean(rows):
    is_lost_N = (rows["host"] == "t2") & (rows["predictor"] == Predictor.GREEDY)
    found = numbers_of(recorded(rows.where(~is_lost_N)), seed=0, num_draws=50)
    assert (
        found.get(TRAINED, Predictor.GREEDY, FVE) is found.get(ALL, Predictor.GREEDY, FVE) is None
    )
    assert (
        found.get(GAP, Predictor.GREEDY, FVE)
        is found.get(GAP, Predictor.GREEDY, FVE, HOSTS)
        is None
    )
    assert found.get(HELD_OUT, Predictor.GREEDY, FVE) is not None


@pytest.mark.parametrize("role", ["anchor", "trained"])
def test_a_single_host_is_no_group_with_hosts_as_units(role):
    found = numbers_of(recorded(rows_of({"x": GOOD}, roles={"x": role})), seed=0, num_draws=50)
    assert not [number for number in found.all if number.covers == HOSTS]
    groups = {number.host for number in found.all} & set(GROUPS)
    assert groups == (set() if role == "anchor" else {TRAINED, ALL})


def test_rows_of_one_document_are_not_independent():
    """Four positions that err together: as units they would promise twice the certainty."""
    rows = rows_of({"x": GOOD}, num_passages=50, positions=4)
    common_P = np.random.default_rng(5).gamma(1.0, size=50)
    place_N = np.unique(rows["passage_id"].astype(str), return_inverse=True)[1]
    rows = changed(rows, nmse=common_P[place_N])
    names = zip(rows["passage_id"], rows["position"], strict=True)
    apart = changed(rows, document_id=np.array([f"{i}@{p}" for i, p in names], dtype=object))
    nested, flat = (
        numbers_of(recorded(each), seed=0)["x", Predictor.GREEDY, FVE] for each in (rows, apart)
    )
    assert nested.value == pytest.approx(flat.value)
    assert (nested.num_units, flat.num_units) == (50, 200)
    assert 1.6 < width(nested) / width(flat) < 2.4


def test_a_start_gives_paired_differences_to_the_same_predictors(rows, numbers):
    start = changed(rows, nmse=rows["nmse"] + 0.05)
    found = numbers_of(recorded(rows), seed=3, start=recorded(start))
    assert {number for number in numbers.all} <= {number for number in found.all}
    own = rows.of("t1", Predictor.SAMPLED)
    gain = found["t1", "sampled - start", FVE]
    assert gain.value == pytest.approx(0.05 * len(own) / own["own_variance"].sum())
    assert width(gain) < 0.2 * width(found["t1", Predictor.SAMPLED, FVE])
    assert found["t1", "greedy - start", FVE].low > 0
    assert found["t1", "sampled - start", "fve_linear_own"].value == 0
    assert found.get(TRAINED, "sampled - start", FVE, HOSTS) is not None


def test_a_start_that_is_itself_differs_by_nothing(rows):
    found = numbers_of(recorded(rows), seed=0, start=recorded(rows), num_draws=50)
    [zero] = {(n.value, n.low, n.high) for n in found.all if n.predictor.endswith("- start")}
    assert zero == (0, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        lambda rows: rows.where(rows["passage_id"] != rows["passage_id"][0]),
        lambda rows: rows.where(rows["host"] != "t1"),
        lambda rows: changed(rows, position=rows["position"] + 2),
    ],
)
def test_a_start_on_other_activations_is_refused(other, rows):
    for pair in ((rows, other(rows)), (other(rows), rows)):
        with pytest.raises(ValueError, match="are in one evaluation only: nothing is paired"):
            numbers_of(recorded(pair[0]), seed=0, start=recorded(pair[1]), num_draws=2)


def test_the_seed_alone_decides_the_intervals(rows, numbers):
    assert numbers_of(recorded(rows), seed=3).all == numbers.all
    other = numbers_of(recorded(rows), seed=4)["t1", Predictor.SAMPLED, FVE]
    assert other.value == numbers["t1", Predictor.SAMPLED, FVE].value
    assert other.low != numbers["t1", Predictor.SAMPLED, FVE].low


def test_a_score_that_is_missing_costs_its_own_numbers_only():
    rows = rows_of({"x": GOOD})
    for name in ("nmse", "own_variance", "cos"):
        column_N = rows[name].copy()
        column_N[3] = np.nan
        found = numbers_of(recorded(changed(rows, **{name: column_N})), seed=0, num_draws=20)
        predictor = rows["predictor"][3]
        assert (found.get("x", predictor, FVE) is None) == (name != "cos")
        assert found.get("x", predictor, "retrieval_mrr") and found.get("x", Predictor.TEACHER, FVE)


def test_the_table_reads_back_exactly(numbers, tmp_path):
    write_numbers(tmp_path / "numbers.csv", numbers)
    found = read_numbers(tmp_path / "numbers.csv")
    assert found.all == numbers.all
    assert len({(n.host, n.predictor, n.metric, n.covers) for n in found.all}) == len(found.all)


def test_a_comma_in_a_name_is_refused(tmp_path):
    fine = Number(
        host="x",
        predictor="sampled",
        metric="m",
        value=1.0,
        low=0.0,
        high=2.0,
        num_units=3,
        covers="p",
    )
    with pytest.raises(ValueError, match="x/sampled/a,b has a comma in its name"):
        write_numbers(tmp_path / "numbers.csv", Numbers([replace(fine, metric="a,b")]))
    assert list(tmp_path.iterdir()) == []
