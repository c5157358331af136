"""What a training may be asked: every wrong value is named with its type and field."""

from dataclasses import replace

import pytest

from interlingua.recipes.parts import WORLD_AR, WORLD_AV


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(WORLD_AV, num_steps=0), "AvSpec.num_steps is 0; it must be positive"),
        (lambda: replace(WORLD_AV, batch_rows=0), "AvSpec.batch_rows is 0"),
        (lambda: replace(WORLD_AR, num_steps=0), "ArSpec.num_steps is 0"),
        (lambda: replace(WORLD_AR, batch_rows=-1), "ArSpec.batch_rows is -1"),
        (lambda: replace(WORLD_AV.optim, learning_rate=0.0), "OptimSpec.learning_rate is 0.0"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(make, said):
    with pytest.raises(ValueError, match=said):
        make()
