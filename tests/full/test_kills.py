"""Killed in every kind of stage, at a random moment, again and again: the same root comes out."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from tests import compare_roots
from tests.full.whole import whole_mini

from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import folder

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "build_all.py"
KINDS = tuple(dict.fromkeys(stage.kind for stage in graph_of(whole_mini())))


@pytest.fixture
def start(start_python):
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY}"}
    return lambda root: start_python(PROGRAM, root, env=environment, cwd=REPOSITORY)


def killed_in(kind, root, process, rng):
    """Kill the process within a stage of the kind; False where it was through before."""
    while not list(root.glob(f"{kind}/*.partial")):
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    time.sleep(rng.choice([0.0, 0.02, 0.1, 0.5]) * rng.random())
    process.kill()
    process.communicate()
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_in_any_stage_costs_nothing(kind, whole_root, tmp_path, start):
    root, rng = Path(shutil.copytree(whole_root, tmp_path / "root")), random.Random(kind)
    for stage in graph_of(whole_mini()):
        if stage.kind == kind:
            shutil.rmtree(folder(stage, root))
    num_kills = sum(killed_in(kind, root, start(root), rng) for _ in range(3))
    last = start(root)
    last.communicate()
    assert last.returncode == 0
    assert num_kills > 0
    assert compare_roots.main(whole_root, root) == 0
