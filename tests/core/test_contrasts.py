"""Planted effects are found and nulls are not; which interval covers what it claims is measured."""

import numpy as np
import pytest
from scipy import stats

from interlingua.core.contrasts import Cells, Contrast, detectable, effects
from interlingua.core.resampling import Draws, Ratio
from interlingua.core.statistics import estimate_of, mean_of_units

SETTINGS = ("1 slot", "4 slots", "16 slots", "16 slots, affine")
REPETITION = Contrast(name="repetition", weights={"16 slots": 1, "1 slot": -1})
AFFINE = Contrast(name="affine", weights={"16 slots, affine": 1, "16 slots": -1})
NOTHING = Contrast(name="nothing", weights={"4 slots": 1, "1 slot": -1})
FAMILY = (REPETITION, AFFINE, NOTHING)
TRUE = {"1 slot": 0.30, "4 slots": 0.30, "16 slots": 0.33, "16 slots, affine": 0.38}
NUM_SEEDS, NUM_PASSAGES, PER_PASSAGE = 5, 150, 2


def drawn(seed: int, *, seed_noise: float = 0.006, true=TRUE, num_seeds: int = NUM_SEEDS) -> Cells:
    """Cells of known effects; rows share how hard they are, and passages more than that."""
    rng = np.random.default_rng(seed)
    num_rows = NUM_PASSAGES * PER_PASSAGE
    units = np.repeat(np.arange(NUM_PASSAGES), PER_PASSAGE)
    hard = 0.3 * rng.normal(size=NUM_PASSAGES)[units] + 0.1 * rng.normal(size=num_rows)
    of_cell = np.array(
        [[true[name] + seed_noise * rng.normal() for _ in range(num_seeds)] for name in SETTINGS]
    )
    noise = 0.1 * rng.normal(size=(len(SETTINGS), num_seeds, num_rows))
    above = of_cell[..., None] + hard + noise
    return Cells(settings=SETTINGS, above_CSN=above, below_N=np.ones(num_rows), units_N=units)


def found_in(cells: Cells) -> dict:
    return {effect.name: effect for effect in effects(FAMILY, cells, seed=0)}


def test_planted_effects_are_found_and_a_null_is_not():
    found = found_in(drawn(0))
    assert found["repetition"].value == pytest.approx(0.03, abs=0.015)
    assert found["affine"].value == pytest.approx(0.05, abs=0.015)
    for name in ("repetition", "affine"):
        assert found[name].adjusted_p < 0.05 and found[name].over_seeds.low > 0
    assert found["nothing"].over_seeds.low < 0 < found["nothing"].over_seeds.high
    assert found["nothing"].adjusted_p > 0.05


def test_an_effect_is_the_difference_of_scores_on_the_same_rows():
    cells = drawn(1)
    scores = dict(zip(SETTINGS, cells.scores_CS(), strict=True))
    affine = found_in(cells)["affine"]
    expected = scores["16 slots, affine"] - scores["16 slots"]
    np.testing.assert_allclose(affine.by_seed, expected)
    assert affine.value == pytest.approx(expected.mean())
    assert affine.over_seeds.value == pytest.approx(expected.mean())
    assert affine.over_both.value == pytest.approx(expected.mean())
    assert affine.p == pytest.approx(stats.ttest_rel(
        scores["16 slots, affine"], scores["16 slots"]).pvalue)  # fmt: skip
    assert (affine.over_seeds.num_units, affine.over_rows.num_units) == (NUM_SEEDS, NUM_PASSAGES)


def test_holm_is_over_the_family():
    found = found_in(drawn(2))
    ordered = sorted(found.values(), key=lambda effect: effect.p)
    assert ordered[0].adjusted_p == pytest.approx(min(1, 3 * ordered[0].p))
    assert all(effect.adjusted_p >= effect.p for effect in ordered)


def test_how_hard_a_row_is_cancels_out():
    """Rows differ by far more than settings do; of the same rows only the difference counts."""
    found = found_in(drawn(3, seed_noise=0.0))["affine"]
    width = found.over_rows.high - found.over_rows.low
    unpaired = drawn(3, seed_noise=0.0).above_CSN.std() * 2 / np.sqrt(NUM_PASSAGES)
    assert width < unpaired


def coverage(interval, *, num_seeds: int = NUM_SEEDS, num: int = 2000) -> float:
    """How often an interval of seeds has the true mean in it."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(num):
        low, high = interval(1.0 + rng.normal(size=num_seeds), rng)
        hits += low <= 1.0 <= high
    return hits / num


def students(values, rng):
    found = mean_of_units(values)
    return found.low, found.high


def bootstrapped(values, rng):
    means = values[rng.integers(len(values), size=(400, len(values)))].mean(axis=1)
    return np.quantile(means, [0.025, 0.975])


def test_students_interval_of_five_seeds_covers_and_their_bootstrap_does_not():
    assert 0.93 <= coverage(students) <= 0.97
    assert 0.75 <= coverage(bootstrapped) <= 0.88


def test_resampled_rows_of_one_training_each_find_effects_where_there_are_none():
    """As in published comparisons of one seed: all that differs is the seed, and rows are many."""
    alike = dict.fromkeys(SETTINGS, 0.3)
    claims = []
    for number in range(60):
        cells = drawn(100 + number, true=alike, num_seeds=1, seed_noise=0.03)
        row = (REPETITION.row_C(SETTINGS) @ cells.above_CSN[:, 0]).astype(float)
        draws = Draws.of(cells.units_N, seed=0, num_draws=400)
        found = estimate_of(draws.ratio(Ratio(row, cells.below_N, cells.units_N)))
        claims.append(not found.low <= 0 <= found.high)
    assert np.mean(claims) > 0.3  # where it should be 0.05


def test_over_seeds_a_null_is_claimed_as_often_as_it_should_be():
    alike = dict.fromkeys(SETTINGS, 0.3)
    p_values = [
        stats.ttest_1samp(REPETITION.row_C(SETTINGS) @ drawn(n, true=alike).scores_CS(), 0).pvalue
        for n in range(400)
    ]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.09


def test_what_is_detectable_is_found_four_times_out_of_five():
    size = detectable(deviation=1.0, num_seeds=5)
    rng = np.random.default_rng(0)
    found = stats.ttest_1samp(size + rng.normal(size=(5, 4000)), 0).pvalue < 0.05
    assert 0.75 <= found.mean() <= 0.88
    assert detectable(1.0, 20) < size / 2


def test_one_seed_has_no_interval_over_seeds():
    found = found_in(drawn(4, num_seeds=1))["affine"]
    assert found.over_seeds is None and found.p is None and found.detectable is None
    assert found.over_both is None and found.adjusted_p is None and found.over_rows.num_units == 150


def test_seeds_without_any_spread_prove_or_say_nothing():
    cells = drawn(5)
    above = np.repeat(cells.above_CSN[:, :1], NUM_SEEDS, axis=1)
    same = Cells(settings=SETTINGS, above_CSN=above, below_N=cells.below_N, units_N=cells.units_N)
    assert found_in(same)["affine"].p == 0
    equal = np.repeat(above[:1], len(SETTINGS), axis=0)
    same = Cells(settings=SETTINGS, above_CSN=equal, below_N=cells.below_N, units_N=cells.units_N)
    assert found_in(same)["affine"].p == 1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="must add up to 0"):
        Contrast(name="one-sided", weights={"1 slot": 1})
    missing = Contrast(name="missing", weights={"8 slots": 1, "1 slot": -1})
    with pytest.raises(ValueError, match="missing compares 8 slots; there are: 1 slot, 4 slots"):
        effects([missing], drawn(0), seed=0)
    with pytest.raises(ValueError, match="run at least 2"):
        detectable(1.0, 1)
    cells = drawn(0)
    broken = cells.above_CSN.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Cells(settings=SETTINGS, above_CSN=broken, below_N=cells.below_N, units_N=cells.units_N)
