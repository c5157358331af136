"""Every decoder does what its name says, on hosts whose truth is known."""

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.probes.simulated import RIDGE, host
from threadpoolctl import threadpool_limits

from interlingua.core import small_mlp
from interlingua.core.geometry import rescale
from interlingua.core.metrics import fve_values, mean_variance, score_rows
from interlingua.core.small_mlp import fitted_mlp
from interlingua.probes.decoder_fits import DecoderFit, decoders_of_activations, decoders_of_texts

pytestmark = pytest.mark.slow

OF_ACTIVATIONS = {DecoderFit.PINV, DecoderFit.ENC_REFIT}
TEXTS = set(DecoderFit) - OF_ACTIVATIONS


def decoders_of(rows, seed=0):
    return decoders_of_activations(rows, RIDGE) | decoders_of_texts(rows, RIDGE, seed=seed)


@pytest.fixture(scope="module", autouse=True)
def narrower():
    """The published network at an eighth of its width, which overfits as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_mlp, "NUM_HIDDEN_PUBLISHED", 512)
        yield


def fve(decode, scored, name="fve_centred_own"):
    return fve_values(score_rows(decode(scored.a_NE), scored.n_ND)._asdict())[name]


def test_all_decoders_are_there_by_what_they_are_fitted_on() -> None:
    rows, _ = host()
    assert set(decoders_of_activations(rows, RIDGE)) == OF_ACTIVATIONS
    assert set(decoders_of_texts(rows, RIDGE, seed=0)) == TEXTS
    assert {*OF_ACTIVATIONS, *TEXTS} == set(DecoderFit)


def test_where_the_ar_says_what_it_should_activations_do_as_well_as_its_words() -> None:
    rows, scored = host(distorts=False, noise=0.1)
    found = {name: fve(decode, scored) for name, decode in decoders_of(rows).items()}
    assert found[DecoderFit.DIRECT_CENTRED] > 0.7
    assert found[DecoderFit.ENC_REFIT] == pytest.approx(found[DecoderFit.DIRECT_CENTRED], abs=0.02)
    assert found[DecoderFit.PINV] > 0.5


@pytest.mark.parametrize("pull", [0.0, 6.0])
def test_fitted_on_activations_a_decoder_does_not_know_how_the_ar_distorts(pull) -> None:
    rows, scored = host(pull=pull)
    found = {name: fve(decode, scored) for name, decode in decoders_of(rows).items()}
    for name in OF_ACTIVATIONS:
        assert found[name] < 0 < 0.3 < found[DecoderFit.DIRECT_CENTRED]


def test_an_ar_that_only_adds_noise_is_believed_too_much_by_what_was_fitted_on_activations() -> (
    None
):
    rows, scored = host(pull=6.0, distorts=False, noise=2.0)
    found = {
        name: fve(decode, scored, "fve_linear_own") for name, decode in decoders_of(rows).items()
    }
    assert found[DecoderFit.ENC_REFIT] < 0 < found[DecoderFit.DIRECT_CENTRED]


def test_without_an_intercept_a_large_mean_is_out_of_reach_of_centred_a() -> None:
    """Expected to fool, does not: nothing in a stands for the mean, so that all is lost."""
    rows, scored = host(pull=6.0)
    decoders = decoders_of(rows)
    assert fve(decoders[DecoderFit.DIRECT_UNCENTRED], scored) < -1
    assert fve(decoders[DecoderFit.DIRECT_UNCENTRED], scored, "fve_uncentred") < 0
    # As published: a is not centred, and its constant part serves as the intercept.
    rows, scored = host(pull=6.0, offset=1.0)
    uncentred, centred = (
        fve(decoders_of(rows)[name], scored)
        for name in (DecoderFit.DIRECT_UNCENTRED, DecoderFit.DIRECT_CENTRED)
    )
    assert 0.3 < uncentred < centred + 0.01


def test_least_squares_near_a_row_a_dimension_is_far_worse_than_the_mean() -> None:
    rows, scored = host(num_rows=(20, 300), offset=1.0, pull=6.0)
    decoders = decoders_of(rows)
    assert fve(decoders[DecoderFit.DIRECT_UNCENTRED], scored) < -0.5
    assert fve(decoders[DecoderFit.DIRECT_CENTRED], scored) > -0.1


def test_direct_fits_are_those_of_the_textbook() -> None:
    rows, scored = host(pull=6.0, offset=1.0)
    ridge = replace(RIDGE, strengths=(0.01,))
    decoders = decoders_of_texts(rows, ridge, seed=0)
    centre_E, mean_D = rows.a_NE.mean(axis=0), rows.mean_D()
    x_NE, y_ND = rows.a_NE - centre_E, rows.n_ND - mean_D
    gram_EE = x_NE.T @ x_NE
    gram_EE += 0.01 * np.diag(gram_EE).mean() * np.eye(len(gram_EE))
    expected_ND = mean_D + (scored.a_NE - centre_E) @ np.linalg.solve(gram_EE, x_NE.T @ y_ND)
    found_ND = decoders[DecoderFit.DIRECT_CENTRED](scored.a_NE)
    assert found_ND == pytest.approx(expected_ND, abs=1e-9)
    weight_ED = np.linalg.lstsq(rows.a_NE, rows.n_ND, rcond=None)[0]
    found_ND = decoders[DecoderFit.DIRECT_UNCENTRED](scored.a_NE)
    assert found_ND == pytest.approx(scored.a_NE @ weight_ED, abs=1e-9)


def test_the_pseudo_inverse_gives_back_what_the_encoder_took() -> None:
    rows, _ = host()
    e_NE = rows.encoder(rows.n_ND)
    lengths_N = np.linalg.norm(e_NE, axis=1)
    typical = np.sqrt((lengths_N**2).mean())
    decode = decoders_of_activations(rows, RIDGE)[DecoderFit.PINV]
    again_NE = rows.encoder(decode(rescale(e_NE)))
    assert again_NE == pytest.approx(e_NE * (typical / lengths_N)[:, None], abs=1e-9)


def test_one_text_for_all_gives_the_mean_by_every_decoder_fitted_on_it() -> None:
    rows, _ = host(pull=6.0)
    decoders = decoders_of_texts(rows.saying(rows.a_NE[3]), RIDGE, seed=0)
    for name, decode in decoders.items():
        # The MLP does without a tenth of the passages.
        nearness = 0.15 if name in (DecoderFit.MLP, DecoderFit.MLP_PUBLISHED) else 1e-9
        assert decode(rows.a_NE[3:4])[0] == pytest.approx(rows.mean_D(), abs=nearness)


def test_what_was_not_said_is_left_out_and_predicted_as_the_mean() -> None:
    rows, _ = host()
    is_silent_N = np.arange(len(rows.a_NE)) % 3 == 0
    silent = replace(rows, a_NE=np.where(is_silent_N[:, None], np.nan, rows.a_NE))
    read = rows.where(~is_silent_N, rows.a_NE[~is_silent_N])
    some, others = (decoders_of_texts(part, RIDGE, seed=0) for part in (silent, read))
    for name, decode in some.items():
        assert decode(rows.a_NE) == pytest.approx(others[name](rows.a_NE), abs=1e-5)
        assert (decode(silent.a_NE)[is_silent_N] == rows.mean_D()).all()


@pytest.mark.parametrize("num_said", [0, 2])
def test_an_av_that_hardly_says_anything_has_a_constant_for_a_decoder(num_said) -> None:
    rows, scored = host()
    a_NE = np.full_like(rows.a_NE, np.nan)
    a_NE[:num_said] = rows.a_NE[:num_said]
    for decode in decoders_of_texts(replace(rows, a_NE=a_NE), RIDGE, seed=0).values():
        assert (decode(scored.a_NE) == rows.mean_D()).all()


def test_a_network_finds_what_is_not_linear_and_leaves_what_is() -> None:
    rng = np.random.default_rng(0)
    x_NE = rng.standard_normal((2400, 8))
    is_held_N = np.arange(len(x_NE)) % 10 == 0
    y_ND = np.abs(x_NE[:, :4]) - np.sqrt(2 / np.pi)
    left_ND = y_ND - fitted_mlp(x_NE, y_ND, is_held_N, seed=0)(x_NE)
    assert (left_ND**2).mean() < 0.3 * (y_ND**2).mean()
    noise_ND = rng.standard_normal((2400, 4))
    assert np.abs(fitted_mlp(x_NE, noise_ND, is_held_N, seed=0)(x_NE)).mean() < 0.1


def test_the_same_seed_gives_the_same_network_in_any_order_of_calls() -> None:
    rows, scored = host()
    first, again, other = (
        decoders_of_texts(rows, RIDGE, seed=seed)[DecoderFit.MLP](scored.a_NE) for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_a_host_of_real_size_takes_less_than_three_cpu_seconds() -> None:
    rows, _ = host(num_rows=(2400, 300), num_shared=96, width=96)
    with threadpool_limits(1):
        start_s = time.process_time()
        decoders_of_texts(rows, RIDGE, seed=0)
        assert time.process_time() - start_s < 3


def test_the_simulated_host_is_what_it_is_said_to_be() -> None:
    rows, scored = host(pull=6.0)
    mean_D = rows.mean_D()
    assert (mean_D**2).mean() > 0.9
    assert mean_variance(scored.n_ND) < 0.1


def test_a_wide_network_that_nothing_stops_overfits_few_rows():
    """What the ridge leaves of a linear host is noise: the published network learns it by heart."""
    rows, scored = host(num_rows=(150, 300))
    decoders = decoders_of_texts(rows, RIDGE, seed=0)
    linear, wide = (
        fve(decoders[name], scored)
        for name in (DecoderFit.DIRECT_CENTRED, DecoderFit.MLP_PUBLISHED)
    )
    assert wide < linear
    again = decoders_of_texts(rows, RIDGE, seed=0)[DecoderFit.MLP_PUBLISHED]
    assert np.array_equal(again(scored.a_NE), decoders[DecoderFit.MLP_PUBLISHED](scored.a_NE))
