"""The examples run, as their first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest

from interlingua.recipes.registry import recipe_named, world_mini
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


@pytest.mark.slow
def test_bundle_py(mini_nla_root):
    [bundle] = mini_nla_root.glob("bundle/*")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "bundle.py", bundle],
        capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(REPOSITORY / "platform"), "PATH": ""},
    )  # fmt: skip
    assert len([line for line in done.stdout.splitlines() if "cosine" in line]) == 3
