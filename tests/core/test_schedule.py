"""The learning rate's way: up in a line, down in a cosine, never to zero."""

from itertools import pairwise

import pytest

from interlingua.core.schedule import warmup_cosine


def factors(num_steps: int, warmup_steps: int) -> list[float]:
    return [
        warmup_cosine(step, num_steps=num_steps, warmup_steps=warmup_steps)
        for step in range(num_steps)
    ]


def test_the_warm_up_is_a_line_that_ends_at_the_peak() -> None:
    assert factors(100, 4)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_after_the_warm_up_it_only_falls_and_ends_near_a_tenth() -> None:
    falling = factors(200, 20)[20:]
    assert falling[0] == 1.0
    assert all(a > b for a, b in pairwise(falling))
    assert 0.1 < falling[-1] < 0.101
    assert warmup_cosine(110, num_steps=200, warmup_steps=20) == pytest.approx(0.55)


@pytest.mark.parametrize("step", [200, 1000])
def test_past_the_end_it_stays_at_a_tenth(step) -> None:
    assert warmup_cosine(step, num_steps=200, warmup_steps=20) == pytest.approx(0.1)


def test_no_warm_up_begins_at_the_peak() -> None:
    assert factors(10, 0)[0] == 1.0


def test_a_run_that_is_all_warm_up_never_divides_by_zero() -> None:
    assert factors(3, 3) == pytest.approx([1 / 3, 2 / 3, 1.0])
