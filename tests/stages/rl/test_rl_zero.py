"""The same roles over DeepSpeed, on one and two ranks: the same first steps as plain torch."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.specs.small_rl import SPEC
from tests.stages.rl.stepping import first_steps

from interlingua.cluster.head import free_ports
from interlingua.stages.rl.local_roles import local_roles

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "zero_steps.py"
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_deepspeed_takes_the_steps_of_plain_torch(num_ranks, make_job, tmp_path):
    job = replace(make_job(replace(SPEC, max_new_tokens=30)), micro_batch_rows=4)
    given, out = tmp_path / "job.pickle", tmp_path / "steps.json"
    given.write_bytes(pickle.dumps(job))
    (port,) = free_ports(1)
    environment = os.environ | {
        "PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_RANK": "0",
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, PROGRAM, given, out], env=environment | {"RANK": str(rank)}
        )
        for rank in range(num_ranks)
    ]
    try:
        assert [rank.wait() for rank in ranks] == [0] * num_ranks
    finally:
        for rank in ranks:  # one that waits for another that failed
            rank.kill()
    found, expected = json.loads(out.read_text()), first_steps(local_roles(job), job)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-4)
    assert expected[0]["num_failed"] > 0 and expected[-1]["loss_ar"] > 0
