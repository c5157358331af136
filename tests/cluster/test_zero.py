"""DeepSpeed under our loop, without Ray: every ZeRO stage learns the same on two ranks.

One rank alone, and what both must have in common, stand in tests/full/test_zero_ranks.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from interlingua.cluster.head import free_ports
from interlingua.store.progress import read_dev_evals

pytestmark = pytest.mark.slow

PROGRAM = ("-m", "tests.cluster.programs.zero")
REPOSITORY = Path(__file__).parents[2]


def of_rank(rank, num_ranks, port):
    """The environment of a program that is one rank of a group."""
    return os.environ | {
        "PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num_ranks),
        "RANK": str(rank),
        "LOCAL_RANK": "0",
    }


def run_ranks(num_ranks, *command):
    """Run a program as all ranks of a group; each must end well."""
    (port,) = free_ports(1)
    ranks = [
        subprocess.Popen([sys.executable, *command], env=of_rank(rank, num_ranks, port))
        for rank in range(num_ranks)
    ]
    try:
        assert [rank.wait() for rank in ranks] == [0] * num_ranks
    finally:
        for rank in ranks:  # one that waits for another that failed
            rank.kill()


@pytest.fixture(scope="module")
def out(mini_root, tmp_path_factory):
    """The folder of what was found."""
    folder = tmp_path_factory.mktemp("zero")
    run_ranks(2, *PROGRAM, mini_root, folder)
    return folder


@pytest.fixture(scope="module")
def found(out):
    """What rank 0 wrote of the losses."""
    return json.loads((out / "losses.json").read_text())


def test_every_stage_gives_the_losses_of_stage_0(found):
    assert len(found["zero_0"]) == 20
    assert found["zero_0"][-1] < found["zero_0"][0]
    for stage in (1, 2, 3):
        np.testing.assert_allclose(found[f"zero_{stage}"], found["zero_0"], atol=1e-3)


def test_every_stage_looks_at_dev_as_stage_0_does_also_with_logits_in_parts(found):
    assert len(found["look_0"]) == 16
    for stage in (1, 2, 3):
        np.testing.assert_allclose(found[f"look_{stage}"], found["look_0"], rtol=1e-3)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_in_bf16_weights_are_rounded_and_buffers_are_not(stage, found):
    assert found[f"dtypes_{stage}"] == {"weights": ["torch.bfloat16"], "buffers": ["torch.float32"]}


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_in_bf16_the_masters_of_the_affine_are_fp32_also_after_a_load(found, stage):
    masters = found[f"masters_{stage}"]
    before, after = (torch.tensor(masters[name]) for name in ("before", "after"))
    assert before.count_nonzero() > 100
    # Finer than bf16: weights that had been rounded would come back unchanged from it.
    assert (before.bfloat16().float() != before).float().mean() > 0.5
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_an_ar_whose_value_head_is_shared_out_is_trained_and_looked_at(out):
    dev_evals = read_dev_evals(out / "wide")
    assert [dev_eval["step"] for dev_eval in dev_evals] == [0, 3, 6]
    assert dev_evals[-1]["score"] < dev_evals[0]["score"] - 0.1


def test_in_bf16_every_stage_sums_small_gradients_as_fp32_does(out):
    found = json.loads((out / "sums.json").read_text())
    expected = found.pop("plain")
    assert len(found) == 4
    for kind, sums in found.items():
        np.testing.assert_allclose(sums["norms"], expected["norms"], rtol=1e-4, err_msg=kind)
        np.testing.assert_allclose(sums["weights"], expected["weights"], atol=1e-5, err_msg=kind)
