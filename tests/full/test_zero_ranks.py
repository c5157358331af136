"""ZeRO on one rank and on two: all of tests/cluster/test_zero.py, and that both learn the same."""

import json

import numpy as np
import pytest
from tests.cluster.test_zero import (
    PROGRAM,
    found,
    run_ranks,
    test_an_ar_whose_value_head_is_shared_out_is_trained_and_looked_at,
    test_every_stage_gives_the_losses_of_stage_0,
    test_every_stage_looks_at_dev_as_stage_0_does_also_with_logits_in_parts,
    test_in_bf16_every_stage_sums_small_gradients_as_fp32_does,
    test_in_bf16_the_masters_of_the_affine_are_fp32_also_after_a_load,
    test_in_bf16_weights_are_rounded_and_buffers_are_not,
)

__all__ = [
    "found",
    "test_an_ar_whose_value_head_is_shared_out_is_trained_and_looked_at",
    "test_every_stage_gives_the_losses_of_stage_0",
    "test_every_stage_looks_at_dev_as_stage_0_does_also_with_logits_in_parts",
    "test_in_bf16_every_stage_sums_small_gradients_as_fp32_does",
    "test_in_bf16_the_masters_of_the_affine_are_fp32_also_after_a_load",
    "test_in_bf16_weights_are_rounded_and_buffers_are_not",
]


@pytest.fixture(scope="module", params=[1, 2])
def out(request, mini_root, tmp_path_factory):
    """The folder of what was found, for a number of ranks."""
    folder = tmp_path_factory.mktemp("zero")
    run_ranks(request.param, *PROGRAM, mini_root, folder)
    return folder


@pytest.fixture(scope="module")
def first_losses():
    """The losses of the first number of ranks that ran."""
    return {}


def test_the_number_of_ranks_does_not_change_the_losses(found, first_losses):
    np.testing.assert_allclose(found["zero_0"], first_losses.setdefault("zero_0", found["zero_0"]),
                               atol=1e-3)  # fmt: skip


@pytest.mark.parametrize("out", [1], indirect=True)
def test_no_stage_takes_a_step_that_is_no_number_and_a_closed_engine_holds_nothing(out):
    found = json.loads((out / "care.json").read_text())
    assert len(found) == 6
    for kind, looked_at in found.items():
        assert looked_at["skipped"] == [False, True, False], kind
        assert looked_at["moved"] == [False, True] and looked_at["is_finite"], kind
        assert looked_at["num_left"] == 0, kind
