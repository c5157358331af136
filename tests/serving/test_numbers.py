"""Numbers of a reconstruction, against ones made by hand and by another formula."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.fake import HOST, host_card

from interlingua.serving.own.numbers import numbers_of

CARD = host_card(HOST)


def of(rebuilt, h, **changes):
    (one,) = numbers_of(np.array([rebuilt]), np.array([h]), replace(CARD, **changes))
    return one


def test_numbers_made_by_hand() -> None:
    """mean (1/2, 1/2, 0, 0) of width 4: denominator 1 - (1/2) / 4; cosine 1 / sqrt(2)."""
    one = of([2.0, 0, 0, 0], [3.0, 3.0, 0, 0])
    assert one["cosine"] == pytest.approx(0.5**0.5)
    assert one["nmse"] == pytest.approx(2 - 2**0.5)
    assert one["denominator"] == 0.875
    assert one["fve_centred_train"] == pytest.approx(1 - (2 - 2**0.5) / 0.875)
    # of the four unit vectors one is the reconstruction itself, three are further than h
    assert (one["null_percentile"], one["null_n"]) == (0.75, 4)


def test_what_is_as_near_as_the_activation_is_not_further() -> None:
    assert of([2.0, 0, 0, 0], [0, 2.0, 0, 0])["null_percentile"] == 0
    assert of([2.0, 0, 0, 0], [2.0, 0, 0, 0])["null_percentile"] == 0.75


def test_no_text_explains_nothing() -> None:
    one = of([0, 0, 0, 0], [1.0, 2, 3, 4])
    assert (one["cosine"], one["nmse"], one["null_percentile"]) == (0, 2, 0)
    assert one["fve_centred_train"] == 1 - 2 / 0.875


@pytest.mark.parametrize("others", [None, np.zeros((0, 4))])
def test_without_other_passages_there_is_no_percentile(others) -> None:
    one = of([1.0, 0, 0, 0], [1.0, 0, 0, 0], others_KD=others)
    assert (one["null_percentile"], one["null_n"]) == (None, 0)
    assert one["nmse"] == 0


def test_without_variance_there_is_no_share_of_it() -> None:
    one = of([1.0, 0, 0, 0], [0, 1.0, 0, 0], mean_D=np.array([2.0, 0, 0, 0]))
    assert (one["denominator"], one["fve_centred_train"]) == (0, None)


@given(st.integers(0, 2**32 - 1))
def test_nmse_is_the_mean_square_of_rows_at_the_norm_sqrt_d(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rebuilt_ND, h_ND, others_KD = generator.normal(size=(3, 5, 4))
    card = replace(CARD, others_KD=others_KD)

    def n(x_D):
        return 2 * x_D / np.linalg.norm(x_D)

    for p_D, h_D, one in zip(rebuilt_ND, h_ND, numbers_of(rebuilt_ND, h_ND, card), strict=True):
        assert one["nmse"] == pytest.approx(((n(p_D) - n(h_D)) ** 2).mean())
        further = [((n(p_D) - n(o_D)) ** 2).mean() > one["nmse"] for o_D in others_KD]
        assert one["null_percentile"] == np.mean(further)
