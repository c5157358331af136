"""The script for one card walks every line on a CPU, where neither Ray nor DeepSpeed is."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from bench.gpu import LINES

REPOSITORY = Path(__file__).parents[2]
# What is None in sys.modules cannot be imported, and is not found by whoever asks for it.
WITHOUT = """
import runpy, sys
sys.modules["ray"] = sys.modules["deepspeed"] = None
runpy.run_module("bench.gpu", run_name="__main__", alter_sys=True)
"""


def test_every_line_of_the_script_for_a_card_is_measured(tmp_path):
    out = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "--rehearsal", "--out", out],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["is_rehearsal"] and "REHEARSAL, no card" in done.stdout
    assert [line["name"] for line in found["lines"]] == [line.name for line in LINES]
    for line in found["lines"]:
        assert line["problem"] is None
        assert all(math.isfinite(n["median"]) and n["rounds"] for n in line["numbers"])
        bounded = [n for n in line["numbers"] if n["at_most"] is not None]
        assert all(max(n["rounds"]) <= n["at_most"] for n in bounded)
        if line["name"].startswith("parity"):
            # bf16 is another arithmetic: a difference of nothing at all was not measured
            assert any("bfloat16" in n["name"] and n["median"] > 0 for n in bounded)
        else:
            assert line["numbers"] and all(n["median"] > 0 for n in line["numbers"])
