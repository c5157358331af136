import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.core.geometry import rescale, unit
from interlingua.core.metrics import (
    best_constant,
    category_variance,
    constant_scores,
    derangement,
    fve_drawn,
    fve_estimates,
    fve_values,
    mean_variance,
    retrieval_drawn,
    retrieval_ranks,
    row_shares,
    score_rows,
    shuffled_fve_centred,
    within_groups,
)
from interlingua.core.resampling import Draws, difference
from interlingua.core.statistics import estimate_of

NUM_PASSAGES, ROWS_EACH, WIDTH = 120, 5, 24


def world(seed=0, noise=0.6):
    """Targets around a large mean, noisy predictions in the units of n(target), and passages."""
    rng = np.random.default_rng(seed)
    mean_D = 3 * np.cos(np.arange(WIDTH))
    content_PD = mean_D + rng.standard_normal((NUM_PASSAGES, WIDTH))
    target_ND = np.repeat(content_PD, ROWS_EACH, axis=0)
    target_ND = target_ND + 0.7 * rng.standard_normal(target_ND.shape)
    predicted_ND = rescale(target_ND) + noise * rng.standard_normal(target_ND.shape)
    passages_N = np.array([f"passage {row // ROWS_EACH}" for row in range(len(target_ND))])
    return predicted_ND, target_ND, passages_N


def all_columns(predicted_ND, target_ND, categories_N):
    return score_rows(predicted_ND, target_ND)._asdict() | {
        "train_variance": np.full(len(target_ND), 0.37),
        "category_variance": category_variance(target_ND, categories_N),
    }


def test_every_fve_equals_its_definition():
    predicted_ND, target_ND, _ = world()
    categories_N = np.arange(len(target_ND)) % 3
    g, p = rescale(target_ND), rescale(predicted_ND)
    mse = ((g - p) ** 2).mean()
    within = sum(
        ((g[categories_N == c] - g[categories_N == c].mean(axis=0)) ** 2).sum() for c in range(3)
    )
    u = g / np.sqrt(WIDTH)
    resultant = np.linalg.norm(u.mean(axis=0))
    own = g.var(axis=0).mean()
    expected = {
        "fve_centred_own": 1 - mse / own,
        "fve_centred_train": 1 - mse / 0.37,
        "fve_centred_category": 1 - ((g - p) ** 2).sum() / within,
        "fve_linear_own": 1 - ((g - predicted_ND) ** 2).mean() / own,
        "fve_mean_direction": 1 - mse / (2 * (1 - resultant)),
        "fve_uncentred": 1 - (g - p).var() / g.var(),
    }
    values = fve_values(all_columns(predicted_ND, target_ND, categories_N))
    assert values == pytest.approx(expected, abs=1e-12)
    assert mean_variance(target_ND) == pytest.approx(1 - resultant**2, abs=1e-14)


def test_only_fves_whose_columns_were_recorded_are_reported():
    predicted_ND, target_ND, _ = world()
    columns = score_rows(predicted_ND, target_ND)._asdict()
    assert set(fve_values(columns)) == {
        "fve_centred_own",
        "fve_linear_own",
        "fve_mean_direction",
        "fve_uncentred",
    }


def test_perfect_predictions_explain_all():
    _, target_ND, _ = world()
    values = fve_values(all_columns(rescale(target_ND), target_ND, np.arange(len(target_ND)) // 50))
    assert values == pytest.approx(dict.fromkeys(values, 1.0), abs=1e-12)


def test_a_constant_explains_nothing_except_where_the_mean_counts_as_explained():
    _, target_ND, _ = world()
    mean_D = rescale(target_ND).mean(axis=0)
    values = fve_values(constant_scores(mean_D, target_ND)._asdict())
    resultant = np.linalg.norm(unit(target_ND).mean(axis=0))
    assert values["fve_centred_own"] == pytest.approx(-(1 - resultant) / (1 + resultant), abs=1e-12)
    assert values["fve_linear_own"] == pytest.approx(0, abs=1e-12)
    assert values["fve_mean_direction"] == pytest.approx(0, abs=1e-12)
    assert values["fve_uncentred"] > 0.5


def test_the_mean_of_other_rows_scores_below_zero_on_centred_kinds():
    _, target_ND, _ = world()
    _, fit_ND, _ = world(seed=1)
    values = fve_values(constant_scores(rescale(fit_ND).mean(axis=0), target_ND)._asdict())
    assert values["fve_centred_own"] < 0
    assert -0.05 < values["fve_linear_own"] < 0
    assert values["fve_mean_direction"] < 0


def test_normalising_hides_nothing_from_fve_linear():
    _, target_ND, _ = world()
    shrunk_ND = 0.5 * rescale(target_ND)
    values = fve_values(score_rows(shrunk_ND, target_ND)._asdict())
    assert values["fve_centred_own"] == pytest.approx(1, abs=1e-12)
    assert values["fve_linear_own"] == pytest.approx(1 - 0.25 / mean_variance(target_ND), abs=1e-12)


def test_the_analytic_null_is_what_derangements_give():
    predicted_ND, target_ND, passages_N = world()
    analytic = shuffled_fve_centred(predicted_ND, target_ND)
    shift = ((unit(predicted_ND).mean(axis=0) - unit(target_ND).mean(axis=0)) ** 2).sum()
    spread = mean_variance(predicted_ND) + shift
    assert analytic == pytest.approx(-spread / mean_variance(target_ND), abs=1e-12)
    shuffled = [
        fve_values(
            score_rows(predicted_ND, target_ND[derangement(passages_N, seed=seed)])._asdict()
        )["fve_centred_own"]
        for seed in range(40)
    ]
    # Leaving out one's own passage shifts the mean by about one part in the number of passages.
    assert np.mean(shuffled) == pytest.approx(analytic, abs=3 / NUM_PASSAGES)
    assert np.mean(shuffled) < analytic


def test_the_null_of_collapsed_predictions_is_near_zero():
    _, target_ND, _ = world()
    mean_ND = np.broadcast_to(target_ND.mean(axis=0), target_ND.shape)
    assert -0.3 < shuffled_fve_centred(mean_ND, target_ND) < 0
    zeros_ND = np.zeros_like(target_ND)
    values = fve_values(score_rows(zeros_ND, target_ND)._asdict())
    assert shuffled_fve_centred(zeros_ND, target_ND) == pytest.approx(values["fve_centred_own"])


@given(st.lists(st.integers(1, 6), min_size=2, max_size=12), st.integers(0, 9))
def test_a_derangement_is_a_permutation_that_never_pairs_a_passage_with_itself(sizes, seed):
    passages_N = np.repeat(np.arange(len(sizes)), sizes)
    if 2 * max(sizes) > len(passages_N):
        with pytest.raises(ValueError, match="one document has"):
            derangement(passages_N, seed=seed)
        return
    other_N = derangement(passages_N, seed=seed)
    assert sorted(other_N) == list(range(len(passages_N)))
    assert (passages_N[other_N] != passages_N).all()


def test_derangements_reach_every_allowed_pairing():
    passages_N = np.array([0, 0, 1, 1, 2])
    pairs = {
        (row, int(other))
        for seed in range(200)
        for row, other in enumerate(derangement(passages_N, seed=seed))
    }
    allowed = {(i, j) for i in range(5) for j in range(5) if passages_N[i] != passages_N[j]}
    # The lone row of passage 2 must go to 0 or 1 and the rest follows: every pair occurs.
    assert pairs == allowed


def test_intervals_resample_whole_passages():
    predicted_ND, target_ND, passages_N = world()
    one = slice(None, None, ROWS_EACH)
    columns = score_rows(predicted_ND[one], target_ND[one])._asdict()
    repeated = {name: np.repeat(column, ROWS_EACH) for name, column in columns.items()}
    once = fve_estimates(columns, passages_N[one], seed=3)
    many = fve_estimates(repeated, passages_N, seed=3)
    for name, estimate in once.items():
        assert estimate.num_units == many[name].num_units == NUM_PASSAGES
        assert estimate.low < estimate.value < estimate.high
        assert many[name].low == pytest.approx(estimate.low, abs=1e-12)
        assert many[name].high == pytest.approx(estimate.high, abs=1e-12)
        assert estimate.value == pytest.approx(fve_values(columns)[name], abs=1e-12)


def test_rows_of_one_passage_in_any_order_give_the_same_interval():
    predicted_ND, target_ND, passages_N = world()
    columns = score_rows(predicted_ND, target_ND)._asdict()
    order_N = np.random.default_rng(5).permutation(len(passages_N))
    shuffled = {name: column[order_N] for name, column in columns.items()}
    straight = fve_estimates(columns, passages_N, seed=0)["fve_centred_own"]
    mixed = fve_estimates(shuffled, passages_N[order_N], seed=0)["fve_centred_own"]
    assert (straight.low, straight.high) == pytest.approx((mixed.low, mixed.high), abs=1e-12)


def test_retrieval_ranks_count_targets_at_least_as_near():
    rng = np.random.default_rng(0)
    target_ND = rng.standard_normal((2500, 8))
    predicted_ND = target_ND + 0.3 * rng.standard_normal(target_ND.shape)
    ranks_N = retrieval_ranks(predicted_ND, target_ND)
    for row in (0, 1023, 1024, 2499):
        cos_N = unit(predicted_ND[row : row + 1]) @ unit(target_ND).T
        assert ranks_N[row] == (cos_N >= cos_N[0, row] - 1e-15).sum()
    passages_N = np.arange(2500) // 5
    estimates = retrieval_estimates(ranks_N, passages_N, seed=0)
    assert 0.1 < estimates["retrieval_top1"].value < 0.9
    assert estimates["retrieval_top1"].value == pytest.approx(np.mean(ranks_N == 1))
    assert estimates["retrieval_mrr"].value == pytest.approx(np.mean(1 / ranks_N))
    assert estimates["retrieval_mrr"].num_units == 500


def test_equal_targets_do_not_make_retrieval_look_better():
    target_ND = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert retrieval_ranks(target_ND, target_ND).tolist() == [2, 2, 1]


def test_a_constant_retrieves_at_chance():
    _, target_ND, _ = world()
    ranks_N = retrieval_ranks(np.broadcast_to(target_ND.mean(axis=0), target_ND.shape), target_ND)
    assert (ranks_N == 1).sum() == 1
    assert sorted(ranks_N) == list(range(1, len(target_ND) + 1))


def retrieval_estimates(ranks_N, passages_N, seed):
    drawn = retrieval_drawn(ranks_N, passages_N, Draws.of(passages_N, seed=seed))
    return {name: estimate_of(one) for name, one in drawn.items()}


def controls(predicted_ND, target_ND, passages_N):
    """The controls that need no model; what is fitted or chosen is so on other rows."""
    _, fit_ND, _ = world(seed=1)
    best_D = best_constant(*world(seed=2)[:2])
    other_N = derangement(passages_N, seed=0)
    return {
        "constant_vector": constant_scores(rescale(fit_ND).mean(axis=0), target_ND),
        "constant_explanation": constant_scores(best_D, target_ND),
        "shuffled_explanations": score_rows(predicted_ND[other_N], target_ND),
    }


def test_no_control_explains_anything_on_centred_kinds():
    """Built: a constant, predictions that ignore their text, and one explanation for everything."""
    predicted_ND, target_ND, passages_N = world(noise=0.3)
    found = controls(predicted_ND, target_ND, passages_N)
    for scores in found.values():
        values = fve_values(scores._asdict())
        assert values["fve_centred_own"] <= 0
        assert values["fve_mean_direction"] <= 0
    assert fve_values(found["constant_explanation"]._asdict())["fve_uncentred"] > 0.5
    assert fve_values(score_rows(predicted_ND, target_ND)._asdict())["fve_centred_own"] > 0.5


def test_the_best_constant_is_found_by_trying_all():
    candidates_MD, target_ND, _ = world()
    tried = [constant_scores(one_D, target_ND).nmse.mean() for one_D in candidates_MD]
    assert (best_constant(candidates_MD, target_ND) == candidates_MD[int(np.argmin(tried))]).all()


def test_a_table_draws_once_for_hosts_predictors_and_retrieval():
    predicted_ND, target_ND, passages_N = world()
    draws = Draws.of(passages_N, seed=3)
    predictors = {
        noise: fve_drawn(score_rows(*world(noise=noise)[:2])._asdict(), passages_N, draws)
        for noise in (0.6, 0.7)
    }
    expected = fve_estimates(score_rows(predicted_ND, target_ND)._asdict(), passages_N, seed=3)
    assert {name: estimate_of(one) for name, one in predictors[0.6].items()} == expected
    better, worse = (predictors[noise]["fve_centred_own"] for noise in (0.6, 0.7))
    gap, alone = estimate_of(difference(better, worse)), estimate_of(better)
    assert 0 < gap.low < gap.value < gap.high
    assert gap.high - gap.low < 0.5 * (alone.high - alone.low)
    ranks_N = retrieval_ranks(predicted_ND, target_ND)
    retrieved = retrieval_drawn(ranks_N, passages_N, draws)
    expected = retrieval_estimates(ranks_N, passages_N, seed=3)
    assert {name: estimate_of(one) for name, one in retrieved.items()} == expected


def test_shares_of_rows_go_by_the_variance_of_training():
    predicted_ND, target_ND, passages_N = world(noise=1.5)
    columns = all_columns(predicted_ND, target_ND, passages_N)
    fve_N = 1 - columns["nmse"] / 0.37
    found = row_shares(columns, passages_N, Draws.of(passages_N, seed=0))
    assert found["share_above_half"].value == np.mean(fve_N > 0.5)
    assert found["share_below_zero"].value == np.mean(fve_N < 0)
    assert 0 < found["share_below_zero"].value < 1


def test_targets_that_cannot_be_scored_are_refused():
    target_ND = np.ones((4, 3))
    target_ND[2] = 0
    with pytest.raises(ValueError, match="1 targets"):
        score_rows(np.ones((4, 3)), target_ND)
    with pytest.raises(ValueError, match="no variance"):
        fve_values(score_rows(np.ones((4, 3)), np.full((4, 3), 0.3))._asdict())


def test_within_groups_every_row_takes_another_of_its_own():
    groups_N = np.array(list("aabbbcddddd"))
    other_N = within_groups(groups_N, seed=3)
    has_other_N = groups_N != "c"
    assert other_N[~has_other_N].tolist() == [-1]
    assert (groups_N[other_N[has_other_N]] == groups_N[has_other_N]).all()
    assert (other_N != np.arange(len(groups_N))).all()
    # Each is taken once.
    assert sorted(other_N[has_other_N]) == np.flatnonzero(has_other_N).tolist()
    assert other_N.tolist() == within_groups(groups_N, seed=3).tolist()
    assert any(other_N.tolist() != within_groups(groups_N, seed=s).tolist() for s in range(9))


def test_within_groups_of_one_row_each_there_is_no_other():
    assert within_groups(np.arange(4), seed=0).tolist() == [-1] * 4
