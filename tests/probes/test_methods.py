"""What knows nothing of an activation explains nothing, and by which names it seems to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.probes.simulated import RIDGE, host

from interlingua.core import small_mlp
from interlingua.core.collapse import collapse_drawn, score_texts
from interlingua.core.geometry import rescale, unit
from interlingua.core.metrics import (
    constant_scores,
    derangement,
    fve_values,
    mean_variance,
    score_rows,
    shuffled_fve_centred,
)
from interlingua.core.resampling import Draws
from interlingua.core.statistics import estimate_of, mean_of_units
from interlingua.probes.decoder_fits import (
    DecoderFit,
    decoders_of_activations,
    decoders_of_texts,
)
from interlingua.probes.methods import (
    HOSTS,
    LESS_DIRECT,
    METHODS_NAME,
    PASSAGES,
    USED,
    MethodPredictor,
    means_over_hosts,
    methods_drawn,
    numbers_of_host,
    read_methods,
    tripped,
    write_methods,
)

pytestmark = pytest.mark.slow

ROUNDING = 1e-9
LARGE_MEAN = 6.0
BLIND = tuple(one for one in MethodPredictor if one is not MethodPredictor.NLA)
DIRECT = (DecoderFit.DIRECT_UNCENTRED, DecoderFit.DIRECT_CENTRED, DecoderFit.MLP)
FITS = tuple(fit for fit in DecoderFit if fit is not DecoderFit.MLP_PUBLISHED)
OURS = DecoderFit.DIRECT_CENTRED
DECODERS = (
    (lambda rows: decoders_of_texts(rows, RIDGE, seed=0), OURS),
    (lambda rows: decoders_of_activations(rows, RIDGE), DecoderFit.ENC_REFIT),
)


@pytest.fixture(scope="module", autouse=True)
def impatient():
    """The network is as any decoder here; that it finds what there is, is asked of it alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_mlp, "PATIENCE", 150)
        patch.setattr(small_mlp, "NUM_HIDDEN_PUBLISHED", 32)
        yield


def compared(rows, scored, draws=None, used=None, **unique_shares):
    draws = draws or Draws.of(scored.passages_N, seed=0)
    return methods_drawn(
        rows, scored, draws, ridge=RIDGE, unique_shares=unique_shares, seed=0, used=used
    )


def values_of(drawn):
    return {key: one.value for key, one in drawn.items()}


@pytest.fixture(scope="module")
def as_published():
    """A host with a large mean, a that is not centred: values by fit, predictor, metric."""
    return values_of(compared(*host(pull=LARGE_MEAN, offset=1.0)))


@pytest.fixture(scope="module")
def centred():
    return values_of(compared(*host(pull=LARGE_MEAN)))


def test_every_decoder_predictor_and_kind_is_there(as_published) -> None:
    kinds = ("centred_own", "centred_train", "linear_own", "mean_direction", "uncentred")
    asked = {(fit, predictor) for fit in DecoderFit for predictor in MethodPredictor}
    asked -= {(DecoderFit.MLP_PUBLISHED, MethodPredictor.COLLAPSED_AV)}
    asked |= {(fit, LESS_DIRECT) for fit in DecoderFit if fit is not OURS}
    assert set(as_published) == {(*one, f"fve_{kind}") for one in asked for kind in kinds}


def test_a_decoder_of_the_wrong_objective_is_measured_against_one_on_texts() -> None:
    """Of a run whose AR turns the space: what it uses is worse, paired, whatever it is called."""
    rows, scored = host(pull=LARGE_MEAN)
    good, wrong = (fits(rows)[name] for fits, name in DECODERS)
    for used, is_worse in ((good, False), (wrong, True)):
        drawn = compared(rows, scored, used=used)
        gain = estimate_of(drawn[USED, LESS_DIRECT, "fve_centred_own"])
        assert (gain.high < -0.3) is is_worse
        assert gain.num_units == len(set(scored.passages_N))
        if not is_worse:
            assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_what_knows_nothing_scores_above_nine_tenths_uncentred(as_published) -> None:
    for fit in DIRECT:
        for predictor in BLIND:
            assert as_published[fit, predictor, "fve_uncentred"] > 0.9
        gap = (
            as_published[fit, "nla", "fve_uncentred"]
            - as_published[fit, "ignores_z", "fve_uncentred"]
        )
        assert 0 < gap < 0.1
    # Wrong objectives pass for good as well.
    for fit in (DecoderFit.PINV, DecoderFit.ENC_REFIT):
        assert as_published[fit, "nla", "fve_uncentred"] > 0.85
        assert as_published[fit, "nla", "fve_centred_own"] < -0.5


@pytest.mark.parametrize("metric", ["fve_centred_own", "fve_linear_own", "fve_mean_direction"])
def test_what_knows_nothing_explains_nothing_about_the_own_mean(
    as_published, centred, metric
) -> None:
    for values in (as_published, centred):
        for fit in FITS:
            for predictor in BLIND:
                assert values[fit, predictor, metric] <= ROUNDING
        assert values[OURS, "nla", metric] > 0.3


def test_a_mode_collapse_costs_nothing_uncentred_and_all_centred(as_published) -> None:
    for fit in DIRECT:
        collapsed, constant = (
            {
                kind: as_published[fit, predictor, kind]
                for kind in ("fve_uncentred", "fve_centred_own")
            }
            for predictor in (MethodPredictor.COLLAPSED_AV, MethodPredictor.CONSTANT_VECTOR)
        )
        # Refitted on its own rows, its decoder says the mean: the constant predictor again.
        assert collapsed == pytest.approx(constant, abs=0.01)


def test_a_collapsed_av_may_even_beat_an_honest_one_uncentred(centred) -> None:
    """Without intercept: the honest one's a is centred, the collapsed one's a is the intercept."""
    honest, collapsed = (
        centred[DecoderFit.DIRECT_UNCENTRED, predictor, "fve_uncentred"]
        for predictor in (MethodPredictor.NLA, MethodPredictor.COLLAPSED_AV)
    )
    assert honest < 0 < 0.9 < collapsed


def test_decoders_that_are_not_refitted_do_not_forgive_a_collapse(as_published) -> None:
    """Expected to fool, does less: a constant off the mean pays on every centred kind."""
    for fit in (DecoderFit.PINV, DecoderFit.ENC_REFIT):
        assert as_published[fit, "collapsed_av", "fve_centred_own"] < -0.5
        constant = as_published[fit, "constant_vector", "fve_uncentred"]
        assert as_published[fit, "collapsed_av", "fve_uncentred"] < constant


def test_where_the_mean_is_small_uncentred_fools_nobody() -> None:
    values = values_of(compared(*host(pull=0.0)))
    for fit in FITS:
        for predictor in BLIND:
            assert values[fit, predictor, "fve_uncentred"] < 0


def test_a_denominator_from_training_rewards_a_constant_on_narrower_rows() -> None:
    """Beside fve_centred_own, never in its place."""
    rows, scored = host(pull=LARGE_MEAN)
    mean_D = scored.n_ND.mean(axis=0)
    narrow = replace(scored, n_ND=rescale(mean_D + 0.5 * (scored.n_ND - mean_D)))
    values = values_of(compared(rows, narrow))
    assert values[OURS, "constant_vector", "fve_centred_train"] > 0.5
    assert values[OURS, "constant_vector", "fve_centred_own"] <= 0


def test_ignoring_the_explanation_gives_the_analytic_null(as_published) -> None:
    rows, scored = host(pull=LARGE_MEAN, offset=1.0)
    for fit, decode in decoders_of_texts(rows, RIDGE, seed=0).items():
        null = shuffled_fve_centred(decode(scored.a_NE), scored.n_ND)
        assert null < 0
        # Leaving out one's own passage lowers it by about 1 / passages of what is explained.
        assert as_published[fit, "ignores_z", "fve_centred_own"] == pytest.approx(null, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_rows=st.sampled_from([40, 100, 300]),
    width=st.sampled_from([3, 24, 64]),
    pull=st.sampled_from([0.0, 1.0, 4.0, 20.0]),
    noise=st.sampled_from([0.1, 0.5, 3.0]),
)
def test_what_knows_nothing_scores_at_most_zero_on_fve_centred_own(
    seed, num_rows, width, pull, noise
) -> None:
    """For constants a theorem. For what ignores z so in the mean over pairings.

    One pairing of 40 rows whose predictions hardly differ was seen to reach 0.02 by chance.
    """
    rows, scored = host(
        seed=seed,
        num_rows=(200, num_rows),
        width=width,
        num_shared=8,
        pull=pull,
        noise=noise,
    )
    assert (
        fve_values(constant_scores(rows.mean_D(), scored.n_ND)._asdict())["fve_centred_own"]
        <= ROUNDING
    )
    any_D = np.random.default_rng(seed).standard_normal(width)
    for one_D in (any_D, scored.n_ND.mean(axis=0), scored.n_ND[0]):
        assert of_constant(one_D, scored) <= ROUNDING
    one_E = rows.a_NE[seed % len(rows.a_NE)]
    for decode in decoders_of_texts(rows.saying(one_E), RIDGE, seed=0).values():
        assert of_constant(decode(one_E[None])[0], scored) <= ROUNDING
    for decode in decoders_of_texts(rows, RIDGE, seed=0).values():
        predicted_ND = decode(scored.a_NE)
        assert shuffled_fve_centred(predicted_ND, scored.n_ND) <= ROUNDING
        other_N = derangement(scored.passages_N, seed=seed)
        found = fve_values(score_rows(predicted_ND[other_N], scored.n_ND)._asdict())
        assert found["fve_centred_own"] <= highest_by_chance(predicted_ND, scored)


def of_constant(one_D, scored) -> float:
    return fve_values(constant_scores(one_D, scored.n_ND)._asdict())["fve_centred_own"]


def highest_by_chance(predicted_ND, scored) -> float:
    """Zero, or what random pairings of these very rows reach: null + 6 standard errors."""
    u_ND, g_ND = unit(predicted_ND), unit(scored.n_ND)
    between_NN = (u_ND - u_ND.mean(axis=0)) @ (g_ND - g_ND.mean(axis=0)).T
    error = 2 * np.linalg.norm(between_NN) / np.sqrt(len(u_ND) - 1) / len(u_ND)
    null = shuffled_fve_centred(predicted_ND, scored.n_ND)
    return max(ROUNDING, null + 6 * error / mean_variance(scored.n_ND))


def two_hosts(draws, **unique_shares):
    """The same passages read in two hosts."""
    return {
        "one": compared(*host(pull=LARGE_MEAN), draws, **unique_shares),
        "other": compared(*host(pull=1.0), draws, **unique_shares),
    }


def test_means_over_hosts_are_paired_by_passage_and_also_over_hosts() -> None:
    draws = Draws.of(host()[1].passages_N, seed=0)
    by_host = two_hosts(draws)
    key = (OURS, MethodPredictor.NLA, "fve_centred_own")
    by_passages, by_hosts = (
        number
        for number in means_over_hosts(by_host)
        if (number.fit, number.predictor, number.metric) == key
    )
    each = [drawn[key] for drawn in by_host.values()]
    assert by_passages.covers == PASSAGES
    assert by_passages.num_units == 150
    assert by_passages.value == pytest.approx(np.mean([one.value for one in each]))
    paired_R = (each[0].draws_R + each[1].draws_R) / 2
    low, high = np.quantile(paired_R, [0.025, 0.975])
    assert (by_passages.low, by_passages.high) == pytest.approx((low, high))
    expected = mean_of_units(np.array([one.value for one in each]))
    assert by_hosts.covers == HOSTS
    assert (by_hosts.low, by_hosts.high, by_hosts.num_units) == (expected.low, expected.high, 2)


def test_a_mean_over_hosts_of_different_draws_is_refused() -> None:
    by_host = {seed: compared(*host(seed=seed)) for seed in (0, 1)}
    with pytest.raises(ValueError, match="not paired: draw once"):
        means_over_hosts(by_host)


def test_the_mean_of_one_host_has_no_interval_over_hosts() -> None:
    drawn = compared(*host())
    assert means_over_hosts({"one": drawn}) == numbers_of_host(drawn)


def test_a_gate_on_texts_sees_what_uncentred_fve_does_not() -> None:
    _, scored = host()
    draws = Draws.of(scored.passages_N, seed=0)
    texts = {
        MethodPredictor.NLA: [f"about {row}" for row in range(len(scored.passages_N))],
        MethodPredictor.COLLAPSED_AV: ["about something"] * len(scored.passages_N),
    }
    shares = {
        predictor: collapse_drawn(
            score_texts(said, scored.passages_N)._asdict(), scored.passages_N, draws
        )["unique_share"]
        for predictor, said in texts.items()
    }
    by_host = two_hosts(draws, **shares)
    for numbers in (numbers_of_host(by_host["one"]), means_over_hosts(by_host)):
        assert tripped(numbers, least_unique_share=0.5) == {MethodPredictor.COLLAPSED_AV}
        assert tripped(numbers, least_unique_share=0.0) == set()
    assert tripped(numbers_of_host(compared(*host())), least_unique_share=0.5) == set()


def test_an_av_that_never_says_anything_is_the_constant_predictor() -> None:
    rows, scored = host(pull=LARGE_MEAN)
    silent = [replace(part, a_NE=np.full_like(part.a_NE, np.nan)) for part in (rows, scored)]
    values = values_of(compared(*silent))
    for (fit, predictor, metric), value in values.items():
        constant = values[fit, "constant_vector", metric]
        assert value == (0 if predictor == LESS_DIRECT else constant)


def test_the_collapsed_av_says_what_the_av_said_most_often() -> None:
    rows, scored = host(pull=LARGE_MEAN)
    often_NE = rows.a_NE.copy()
    often_NE[[7, 90, 91]] = rows.a_NE[50]
    first_NE = rows.a_NE.copy()
    first_NE[0] = rows.a_NE[50]
    key = (DecoderFit.ENC_REFIT, MethodPredictor.COLLAPSED_AV, "fve_centred_own")
    found = [compared(replace(rows, a_NE=a_NE), scored)[key].value for a_NE in (often_NE, first_NE)]
    assert found[0] == found[1]
    assert compared(rows, scored)[key].value != found[0]


def test_a_table_is_read_as_it_was_written(tmp_path) -> None:
    numbers = numbers_of_host(compared(*host()))
    write_methods(tmp_path / METHODS_NAME, numbers)
    assert read_methods(tmp_path / METHODS_NAME) == numbers
    first = (tmp_path / METHODS_NAME).read_text().splitlines()[0]
    assert first == "fit,predictor,metric,value,low,high,num_units,covers"
