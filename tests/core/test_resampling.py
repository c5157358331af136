"""Draws: what they weigh, and that numbers of one table stay paired."""

import numpy as np
import pytest

from interlingua.core import resampling
from interlingua.core.resampling import Draws, Ratio, combined, difference, unit_ids

SEEDS, PASSAGES, SAMPLES = 4, 6, 3


def nested_rows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values with an effect of the seed, of the passage in it and of the sample, and their ids."""
    rng = np.random.default_rng(0)
    seeds_N = np.repeat(np.arange(SEEDS), PASSAGES * SAMPLES)
    passages_N = np.tile(np.repeat(np.arange(PASSAGES), SAMPLES), SEEDS)
    samples_N = np.tile(np.arange(SAMPLES), SEEDS * PASSAGES)
    values_SPK = rng.normal(size=(SEEDS, 1, 1)) + rng.normal(size=(SEEDS, PASSAGES, 1))
    values_N = (values_SPK + rng.normal(size=(SEEDS, PASSAGES, SAMPLES))).ravel()
    return values_N, seeds_N, passages_N, samples_N


def slow_hierarchical_draw(values_SPK: np.ndarray, rng: np.random.Generator) -> float:
    """The mean of one draw of seeds, of passages in each of them, of samples in each of those."""
    drawn = []
    for seed in rng.integers(SEEDS, size=SEEDS):
        for passage in rng.integers(PASSAGES, size=PASSAGES):
            drawn += list(values_SPK[seed, passage][rng.integers(SAMPLES, size=SAMPLES)])
    return float(np.mean(drawn))


def test_a_ratio_in_a_draw_is_that_of_its_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    passages_N = np.array(["c", "a", "b", "a", "d", "c", "c"])
    top_N, below_N = rng.normal(size=7), rng.uniform(1, 2, size=7)
    draws = Draws.of(passages_N, seed=0, num_draws=50)
    drawn = draws.ratio(Ratio(top_N, below_N, passages_N))
    for draw, weights_U in enumerate(draws.weights_RU):
        assert weights_U.sum() == 4
        times_N = np.array([weights_U["abcd".index(name)] for name in passages_N], dtype=int)
        rows_n = np.repeat(np.arange(7), times_N)
        assert drawn.draws_R[draw] == pytest.approx(top_N[rows_n].sum() / below_N[rows_n].sum())
    assert drawn.value == pytest.approx(top_N.sum() / below_N.sum())
    assert drawn.num_units == 4


def test_each_unit_is_drawn_once_on_average() -> None:
    weights_RU = Draws.of(np.arange(20), seed=1, num_draws=20_000).weights_RU
    assert weights_RU.mean(axis=0) == pytest.approx(np.ones(20), abs=0.03)
    assert weights_RU.var(axis=0) == pytest.approx(np.full(20, 0.95), abs=0.05)


def test_numbers_of_a_table_are_the_same_alone_and_together() -> None:
    rng = np.random.default_rng(0)
    passages_N = np.repeat(np.arange(30), 2)
    draws = Draws.of(passages_N, seed=0)
    ratios = {
        f"host {host}": Ratio(rng.normal(size=n), rng.uniform(1, 2, size=n), passages_N[:n])
        for host, n in enumerate((60, 60, 31, 2))
    }
    together = draws.ratios(ratios)
    assert list(together) == list(ratios)
    assert [drawn.num_units for drawn in together.values()] == [30, 30, 16, 1]
    for name, ratio in ratios.items():
        alone = draws.ratio(ratio)
        assert together[name].value == alone.value
        np.testing.assert_allclose(together[name].draws_R, alone.draws_R, rtol=1e-12)
    assert draws.ratios({}) == {}


def test_what_two_predictors_share_cancels_in_their_difference() -> None:
    rng = np.random.default_rng(0)
    passages_N = np.repeat(np.arange(100), 3)
    noise_N, ones_N = rng.normal(size=300), np.ones(300)
    draws = Draws.of(passages_N, seed=0)
    left = draws.ratio(Ratio(noise_N + 0.25, ones_N, passages_N))
    right = draws.ratio(Ratio(noise_N, ones_N, passages_N))
    gap = difference(left, right)
    assert left.draws_R.std() > 0.04
    assert gap.value == pytest.approx(0.25)
    assert gap.draws_R == pytest.approx(np.full(len(gap.draws_R), 0.25))
    mean = combined(lambda one, other: (one + other) / 2, left, right)
    assert mean.value == pytest.approx(noise_N.mean() + 0.125)
    assert mean.draws_R == pytest.approx((left.draws_R + right.draws_R) / 2)


def test_numbers_of_different_draws_are_not_compared() -> None:
    ratio = Ratio(np.ones(3), np.ones(3), np.arange(3))
    left, right = (Draws.of(np.arange(3), seed=0).ratio(ratio) for _ in range(2))
    with pytest.raises(ValueError, match="not paired"):
        difference(left, right)


def test_nested_draws_weigh_seeds_then_passages_then_samples() -> None:
    _, seeds_N, passages_N, samples_N = nested_rows()
    draws = Draws.of(seeds_N, passages_N, samples_N, seed=0, num_draws=300)
    weights_RSPK = draws.weights_RU.reshape(300, SEEDS, PASSAGES, SAMPLES)
    times_RS = weights_RSPK.sum(axis=(2, 3)) / (PASSAGES * SAMPLES)
    assert (times_RS == times_RS.astype(int)).all()
    assert (times_RS.sum(axis=1) == SEEDS).all()
    times_RSP = weights_RSPK.sum(axis=3) / SAMPLES
    assert (times_RSP == times_RSP.astype(int)).all()
    assert (times_RSP.sum(axis=2) == times_RS * PASSAGES).all()
    assert len(np.unique(times_RSP[times_RS == 1], axis=0)) > 20


def test_nested_draws_spread_as_drawing_in_loops_does() -> None:
    values_N, seeds_N, passages_N, samples_N = nested_rows()
    draws = Draws.of(seeds_N, passages_N, samples_N, seed=0, num_draws=4000)
    units_N = unit_ids(seeds_N, passages_N, samples_N)
    drawn = draws.ratio(Ratio(values_N, np.ones(len(values_N)), units_N))
    values_SPK = values_N.reshape(SEEDS, PASSAGES, SAMPLES)
    rng = np.random.default_rng(1)
    slow = [slow_hierarchical_draw(values_SPK, rng) for _ in range(4000)]
    cuts = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(drawn.draws_R, cuts) == pytest.approx(
        np.quantile(slow, cuts), abs=0.1 * np.std(slow)
    )
    assert drawn.num_units == SEEDS


def test_passages_that_seeds_share_are_drawn_for_all_seeds_at_once() -> None:
    """Seeds without an effect: only the passages are uncertain, however many seeds there are."""
    seeds_N, passages_N = np.repeat(np.arange(9), 50), np.tile(np.arange(50), 9)
    values_N = np.random.default_rng(0).normal(size=50)[passages_N]
    ratio = Ratio(values_N, np.ones(450), unit_ids(seeds_N, passages_N))
    spread = values_N.std() / 50**0.5
    crossed = Draws.crossed(seeds_N, passages_N, seed=0).ratio(ratio)
    assert crossed.draws_R.std() == pytest.approx(spread, rel=0.1)
    assert crossed.num_units == 9
    nested = Draws.of(seeds_N, passages_N, seed=0).ratio(ratio)
    assert nested.draws_R.std() == pytest.approx(spread / 3, rel=0.1)


def test_crossed_draws_weigh_by_the_product_of_both_factors() -> None:
    seeds_N, passages_N = np.repeat(np.arange(3), 5), np.tile(np.arange(5), 3)
    weights_RSP = Draws.crossed(seeds_N, passages_N, seed=0).weights_RU.reshape(-1, 3, 5)
    assert (weights_RSP.sum(axis=(1, 2)) == 15).all()
    expected_RSP = weights_RSP.sum(axis=2)[:, :, None] * weights_RSP.sum(axis=1)[:, None] / 15
    assert (weights_RSP == expected_RSP).all()


def test_the_product_of_large_counts_does_not_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(num_draws: int, num_units: int, _: np.random.Generator) -> np.ndarray:
        return np.full((num_draws, num_units), 300, np.uint16)

    monkeypatch.setattr(resampling, "_drawn", drawn)
    draws = Draws.crossed(np.zeros(1), np.zeros(1), seed=0)
    assert (draws.weights_RU == 300 * 300).all()


def test_ids_of_nested_units_do_not_run_into_one_another() -> None:
    ids_N = unit_ids(np.array(["a", "ab", "a"]), np.array(["bc", "c", "bc"]))
    assert ids_N[0] == ids_N[2] != ids_N[1]


@pytest.mark.parametrize(
    ("top_N", "below_N", "units_N", "symptom"),
    [
        ([1.0, 2.0], [1.0, 1.0], ["a", "z"], "1 rows lie in units never drawn"),
        ([1.0, np.nan], [1.0, 1.0], ["a", "b"], "not finite"),
        ([0.0, 0.0], [0.0, 0.0], ["a", "b"], "divides by zero"),
    ],
)
def test_rows_that_would_spoil_a_table_are_refused(top_N, below_N, units_N, symptom) -> None:
    draws = Draws.of(np.array(["a", "b"]), seed=0)
    with pytest.raises(ValueError, match=symptom):
        draws.ratio(Ratio(np.array(top_N), np.array(below_N), np.array(units_N)))
