"""Every verb as a Ray job: submitted from the root of the repository, as the README says it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.conftest import ray_head
from tests.conftest import mini_nla_root, mini_root

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

__all__ = ["mini_nla_root", "mini_root", "ray_head"]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(mini_nla_root, tmp_path_factory):
    found = tmp_path_factory.mktemp("submitted") / "runs"
    shutil.copytree(mini_nla_root, found, copy_function=os.link)
    return found


def submitted(head, *command):
    """Exit code and output of a job that is followed to its end."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ray")), "job", "submit", "--address",
            head.jobs_url, "--working-dir", ".", "--runtime-env", "jobs/runtime_env.yaml",
            "--", "python", "-m", *map(str, command),
        ],
        cwd=REPOSITORY, env=os.environ | head.environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def built(root, kind, label=None):
    """The folder of an artifact of world_mini."""
    stages = [one for one in graph_of(world_mini()) if one.kind == kind]
    return next(
        found.path
        for stage in stages
        if label in (None, stage.label) and (found := find(stage, root)) is not None
    )


def verbs(root):
    """The command of every verb, its exit code, and words of what it prints."""
    mini = ("world_mini", "--root", root)
    texts = root.parent / "texts.txt"
    texts.write_text("Mira took the old boat across the lake.\n")
    return {
        "run": (("jobs.run", *mini), 0, "report"),
        "evaluate": (("jobs.evaluate", *mini), 0, "evaluation"),
        "add_host": (
            ("jobs.add_host", *mini, "--tag", "added", "--source",
             built(root, "host", "toy-lfm-7b"), "--block-index", 1, "--max-tokens", 64),
            0, "encoder/added",
        ),
        "rl": (
            ("jobs.rl", "--recipe", "tests/full/whole.py:whole_mini", "--root", root),
            0, "rl/",
        ),
        "recompute": (("jobs.recompute", built(root, "evaluation")), 0, "numbers"),
        "verify": (("jobs.verify", root), 0, "artifacts"),
        "verbalize": (
            ("jobs.verbalize", built(root, "bundle"), "--host", "toy-gpt2-medium",
             "--texts", texts, "--max-new-tokens", 8),
            0, "lake",
        ),
        # Without a hub, a key and a card it is not ready, and a job says so as a shell does.
        "preflight": (
            ("jobs.run", "universal_v6", "--preflight", "--root", root), 1, "hosts.gemma4-e4b"
        ),
        "slots": (("tuners.slots", *mini, "--seeds", "0,1", "--dry-run"), 0, "cells"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "verb",
    ["run", "evaluate", "add_host", "rl", "recompute", "verify", "verbalize", "preflight", "slots"],
)
def test_a_verb_does_in_a_job_what_it_does_here(verb, ray_head, root):
    command, code, words = verbs(root)[verb]
    found, output = submitted(ray_head, *command)
    assert found == code and words in output, output[-3000:]
