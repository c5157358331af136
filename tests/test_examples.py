"""The examples run, as their first lines say."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interlingua.recipes.registry import recipe_named, world_mini
from interlingua.sources.pinned import pinned
from interlingua.stages.graph.order import graph_of

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = REPOSITORY / "examples"


def test_every_example_is_in_the_list_and_here():
    listed = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"[`{path.name}`]" in listed and path.name in tested


def test_a_recipe_of_ones_own():
    recipe = recipe_named(f"{EXAMPLES / 'own_recipe.py'}:two_slots")
    assert (recipe.name, recipe.av.injection.num_slots) == ("two_slots", 2)
    mini = {stage.key for stage in graph_of(world_mini())}
    own = {stage.name for stage in graph_of(recipe) if stage.key not in mini}
    assert "av/sft" in own and "ar/sft" not in own  # what is equal is shared


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.py:it", "nowhere.py is not there"),
        (f"{EXAMPLES / 'own_recipe.py'}:three", "has no function three"),
        (f"{EXAMPLES / 'own_recipe.py'}:replace", "missing"),
    ],
)
def test_what_is_no_recipe_is_said(name, said):
    with pytest.raises((ValueError, TypeError), match=said):
        recipe_named(name)


@pytest.mark.parametrize("name", ["my_model.py", "my_activations.py"])
def test_what_one_has_is_a_recipe_in_under_40_lines(name, tmp_path, monkeypatch):
    """What they build is built in tests/stages/graph/test_own.py; my_data.py makes the files."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"num_hidden_layers": 4}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    for file in ("texts.jsonl", "explanations.jsonl", "activations.npy"):
        (tmp_path / file).write_bytes(b"{}")
    monkeypatch.setattr("examples.my_model.DATA", tmp_path)
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    recipe = pinned(recipe_named(str(EXAMPLES / name)))
    assert {"av", "ar", "bundle", "report"} <= {stage.kind for stage in graph_of(recipe)}
    assert len((EXAMPLES / name).read_text().splitlines()) < 40


def test_a_new_reward_tells_apart_what_scaled_error_does_not():
    said = run([EXAMPLES / "new_reward.py"], platform=REPOSITORY / "platform")
    paid = [float(x) for x in re.findall(r"reward +(-?[\d.]+)", said)]
    (both, own), (both_by_margin, own_by_margin) = paid[:2], paid[3:5]
    assert both > own and both_by_margin < own_by_margin


# What follows the edit: it is paid as in the example, named on a command line, read from a record.
AFTER_THE_EDIT = """
import runpy, sys
from dataclasses import replace
import numpy as np
from interlingua.core.policy import rewarded
from interlingua.recipes.world import world
from interlingua.specs.rl import Margin, RlSpec
from interlingua.specs.text.canonical import jsonable
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.specs.text.recorded import from_jsonable
from tests.specs.small_rl import SPEC

[path] = [path for path, _, _ in list_paths(world()) if path.endswith(".reward")]
named = with_overrides(world(), [f"{path}=margin"])
assert [value for at, _, value in list_paths(named) if at == path] == ["margin"]
spec = replace(SPEC, reward=Margin(), length_penalty=0.0)
assert from_jsonable(RlSpec, jsonable(spec)) == spec
drawn = np.random.default_rng(0)
a_NE, v_BE = drawn.normal(size=(6, 5)), drawn.normal(size=(3, 5))
own_N = runpy.run_path(sys.argv[1])["margin_rewards"](a_NE, v_BE)
paid = rewarded(a_NE, v_BE, np.full(6, 4), spec=spec, variance=0.5)
np.testing.assert_array_equal(paid.rewards_N, own_N)
print("paid")
"""


def test_the_edit_that_the_new_reward_names_is_all_it_takes(tmp_path):
    example = (EXAMPLES / "new_reward.py").read_text()
    parts = {
        node.name: ast.get_source_segment(example, node)
        for node in ast.parse(example).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    platform = tmp_path / "platform"
    shutil.copytree(REPOSITORY / "platform", platform, ignore=shutil.ignore_patterns("__pycache__"))
    decorator = "@dataclass(frozen=True, slots=True, kw_only=True)\n"
    edit(
        platform / "interlingua/specs/rl.py",
        (r"^(Reward = .*)$", rf"{decorator}{parts['Margin']}\n\n\n\1 | Margin"),
    )
    [case] = re.findall(r"^ +case Margin\(\):\n.*\n", example, flags=re.M)
    edit(
        platform / "interlingua/core/policy.py",
        (r"^(from interlingua.specs.rl import .*)$", r"\1, Margin"),
        (r"^( +case _:\n +assert_never\(spec.reward\))", rf"{case}\1"),
        (r"\Z", f"\n\n{parts['margin_rewards']}\n"),
    )
    done = run(["-c", AFTER_THE_EDIT, EXAMPLES / "new_reward.py"], platform=platform)
    assert done == "paid\n"


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for pattern, put in changes:
        text, count = re.subn(pattern, put, text, flags=re.M)
        assert count == 1, (path, pattern)
    path.write_text(text)


def run(command: list, *, platform: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True, text=True,
        env={"PYTHONPATH": f"{platform}:{REPOSITORY}", "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_bundle_py(mini_nla_root):
    [bundle] = mini_nla_root.glob("bundle/*")
    said = run([EXAMPLES / "bundle.py", bundle], platform=REPOSITORY / "platform")
    assert len([line for line in said.splitlines() if "cosine" in line]) == 3
