"""What scoring takes where no gradient is wanted: never the logits of a whole batch at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "score_large.py"
PLATFORM = Path(__file__).parents[2] / "platform"


def test_a_batch_whose_logits_fit_nowhere_is_scored(tmp_path):
    out = tmp_path / "grew"
    environment = os.environ | {"PYTHONPATH": str(PLATFORM)}
    subprocess.run([sys.executable, PROGRAM, out], env=environment, check=True)
    assert int(out.read_text()) < 2**30
