"""What is printed of a number's doubt: nothing impossible, and no interval of a few units."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.report.numbers import GAP, HOSTS, PASSAGES, Number
from interlingua.report.tables.doubt import doubt_of, interval_within, range_of
from interlingua.report.tables.grid import metric_cell, number_cell


def number_of(value, low, high, *, metric="fve_centred_own", predictor="sampled", **fields):
    made = {"host": "mean all", "num_units": 300, "covers": PASSAGES, **fields}
    return Number(predictor=predictor, metric=metric, value=value, low=low, high=high, **made)


@pytest.mark.parametrize("num_units", [1, 2, 4])
def test_a_few_units_have_no_interval(num_units):
    few = number_of(0.46, -0.54, 1.46, num_units=num_units, covers=HOSTS)
    cell = number_cell(few)
    assert (cell.text, cell.doubt) == ("0.46", f"n={num_units} hosts")
    assert math.isnan(cell.low) and math.isnan(cell.high)
    assert number_cell(number_of(0.46, 0.4, 0.5, num_units=5, covers=HOSTS)).doubt == "[0.40, 0.50]"


def test_a_recorded_number_of_a_few_units_has_no_interval():
    record = {"oracle": 0.4, "oracle_low": 0.1, "oracle_high": 0.7}
    assert metric_cell("host|oracle", {**record, "oracle_n": 3}, "oracle").doubt == "n=3"
    assert metric_cell("host|oracle", {**record, "oracle_n": 30}, "oracle").doubt == "[0.10, 0.70]"
    # Of how many is not recorded everywhere.
    assert metric_cell("host|oracle", record, "oracle").doubt == "[0.10, 0.70]"


def test_a_number_that_has_no_interval_has_no_doubt():
    assert doubt_of(number_of(0.5, math.nan, math.nan, num_units=2), digits=2).words == ""


@pytest.mark.parametrize(
    ("metric", "predictor", "possible"),
    [
        ("fve_centred_own", "sampled", (-math.inf, 1)),
        ("fve_centred_own", "sampled - teacher", (-math.inf, math.inf)),
        ("dev/fve_over_bag_of_words", "ar", (-math.inf, math.inf)),
        ("beyond_language_topic/fve_centred", "oracle", (-math.inf, math.inf)),
        ("unique_share", "sampled", (0, 1)),
        ("unique_share", "sampled - start", (-1, 1)),
        ("precision/topic", "greedy", (0, 1)),
        ("retrieval_top1", "greedy", (0, 1)),
        ("similarity_gap", "sampled", (-2, 2)),
        ("cos", "sampled", (-1, 1)),
        ("nmse", "sampled", (0, 4)),
        ("nll_per_token", "sampled", (0, math.inf)),
        ("perplexity", "sampled", (1, math.inf)),
    ],
)
def test_what_a_metric_can_be_is_known(metric, predictor, possible):
    assert range_of(number_of(0.5, 0, 1, metric=metric, predictor=predictor)) == possible


def test_a_gap_of_groups_is_a_difference():
    assert range_of(number_of(0, 0, 0, metric="unique_share", host=GAP)) == (-1, 1)


def test_an_interval_that_is_possible_is_printed_as_it_is():
    one = number_of(0.51, 0.47, 0.53, num_units=6, covers=HOSTS)
    assert interval_within(one, range_of(one)) == (0.47, 0.53)


@given(
    value=st.floats(0.01, 0.99),
    half=st.floats(0.001, 1.5),
    metric=st.sampled_from(["unique_share", "fve_centred_own", "nll_per_token"]),
)
def test_no_printed_interval_is_impossible(value, half, metric):
    one = number_of(value, value - half, value + half, metric=metric, num_units=6, covers=HOSTS)
    least, most = range_of(one)
    low, high = interval_within(one, (least, most))
    assert least <= low <= value <= high <= most


def test_near_the_bound_it_is_wider_on_the_side_that_has_room():
    one = number_of(0.99, 0.97, 1.01, metric="unique_share", num_units=6, covers=HOSTS)
    low, high = interval_within(one, (0, 1))
    assert 0.9 < low < 0.97 and 0.99 < high < 1
    # As wide on the scale of log odds as Student's is beside the value.
    odds = [math.log(end / (1 - end)) for end in (low, 0.99, high)]
    assert odds[2] - odds[1] == pytest.approx(odds[1] - odds[0])
    assert odds[2] - odds[1] == pytest.approx(0.02 / (0.99 * 0.01))
