"""Draws from the likeliest ids alone."""

import pytest
import torch

from interlingua.models.sampling.drawing import MOST_LIKELY, draw

NUM_IDS = 2 * MOST_LIKELY + 7
UNIFORMS = torch.linspace(0, 1, 101, dtype=torch.float64)[:-1]


def drawn(probabilities, top_p, temperature=1.0, banned=()):
    """The ids that a hundred evenly spaced numbers draw."""
    logits_RV = torch.tensor(probabilities).log().expand(len(UNIFORMS), -1)
    banned_RV = torch.zeros(logits_RV.shape, dtype=torch.bool)
    banned_RV[:, list(banned)] = True
    ids, _ = draw(logits_RV, UNIFORMS, temperature, banned_RV if banned else None, top_p=top_p)
    return ids.tolist()


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(0.45, {1}), (0.55, {0, 1, 3}), (0.85, {0, 1, 3}), (0.95, {0, 1, 2, 3}), (1.0, {0, 1, 2, 3})],
)
def test_the_likeliest_ids_that_reach_top_p_are_drawn_with_all_as_likely(top_p, expected):
    assert set(drawn([0.2, 0.5, 0.1, 0.2], top_p)) == expected


def test_they_are_drawn_as_often_as_before_beside_each_other():
    ids = drawn([0.6, 0.3, 0.1], 0.85)
    assert (ids.count(0), ids.count(1), ids.count(2)) == (67, 33, 0)


def test_the_likeliest_are_those_at_the_temperature():
    probabilities = [0.5, 0.3, 0.2]
    assert set(drawn(probabilities, 0.6)) == {0, 1}
    assert set(drawn(probabilities, 0.6, temperature=0.2)) == {0}


def test_banned_ids_count_as_if_they_were_not_there():
    assert set(drawn([0.5, 0.3, 0.2], 0.55, banned=[0])) == {1}


def test_of_many_ids_that_are_alike_all_are_sorted():
    """The first that are sorted reach nothing: here the last of all are the likeliest."""
    probabilities = torch.arange(1, NUM_IDS + 1).double()
    probabilities /= probabilities.sum()
    ids = set(drawn(probabilities.float().tolist(), 0.9))
    least = next(n for n in range(NUM_IDS) if probabilities[: n + 1].sum() > 0.1)
    assert least <= min(ids) < least + 12 and NUM_IDS - least > MOST_LIKELY
