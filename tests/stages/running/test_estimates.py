"""Times that are left: from steps, from like stages, along chains of inputs."""

import pytest

from interlingua.stages.running.estimates import (
    Costs,
    readable_seconds,
    seconds_left,
    seconds_left_by_steps,
)


def test_steps_to_come_take_what_the_last_ones_took():
    first = {"step": 10, "num_steps": 100, "time": 1000.0}
    last = {"step": 40, "num_steps": 100, "time": 1015.0}
    assert seconds_left_by_steps(first, last) == pytest.approx(30.0)
    assert seconds_left_by_steps(first, {"step": 40, "time": 1015.0}) is None


def test_a_stage_costs_what_its_like_did():
    costs = Costs()
    costs.add("host/a-000000000000", 10.0)
    costs.add("host/b-000000000000", 30.0)
    assert costs.expected("host/a-111111111111") == 10.0
    assert costs.expected("host/c-111111111111") == 20.0
    assert costs.expected("av/c-111111111111") is None


def test_a_chain_goes_no_faster_side_by_side():
    inputs = {"a": [], "b": ["a"], "c": ["b"], "d": []}
    left = {"c": 5.0, "a": 5.0, "b": 5.0, "d": 1.0}
    assert seconds_left(left, inputs, 1) == 16.0
    assert seconds_left(left, inputs, 4) == 15.0
    assert seconds_left({**left, "d": None}, inputs, 4) is None
    assert seconds_left({}, inputs, 4) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"), (0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"),
        (1790, "30 min"), (7260, "2 h 1 min"),
    ],
)  # fmt: skip
def test_a_duration_is_readable(seconds, words):
    assert readable_seconds(seconds) == words
