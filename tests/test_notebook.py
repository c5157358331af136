"""The notebook of the docs runs, and what is stored in it is what its code gives."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
NOTEBOOK = REPOSITORY / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def runner():
    """docs/tools/notebook.py, as its own command line imports it."""
    sys.path.insert(0, str(REPOSITORY / "docs" / "tools"))
    try:
        import notebook
    finally:
        sys.path.pop(0)
    return notebook


@pytest.fixture
def demo_root(mini_nla_root, tmp_path, monkeypatch):
    """A working directory whose runs/ has the tests' bundle in the place of the demo's."""
    for folder in mini_nla_root.iterdir():
        if folder.name != "bundle":
            (tmp_path / "runs").mkdir(exist_ok=True)
            os.symlink(folder, tmp_path / "runs" / folder.name)
    [bundle] = mini_nla_root.glob("bundle/world_mini-????????????")
    shutil.copytree(bundle, tmp_path / "runs" / "bundle" / "demo-rl-mini")
    monkeypatch.chdir(tmp_path)


def kinds(cell: dict) -> list[list[str]]:
    return [sorted(one.get("data", {"stream": ""})) for one in cell["outputs"]]


@pytest.mark.slow
def test_the_notebook_runs_on_a_bundle(runner, demo_root):
    stored = json.loads(NOTEBOOK.read_text())
    found = runner.executed(stored)
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert len(code) >= 8
    for cell, again in zip(stored["cells"], found["cells"], strict=True):
        if cell["cell_type"] == "code":
            assert kinds(cell) == kinds(again) != [], "".join(cell["source"])


def test_outputs_are_those_of_the_code(runner):
    cells = [
        {"cell_type": "code", "source": ["x = 2\n", "print('two')\n", "x * 3"], "outputs": []},
        {"cell_type": "markdown", "source": ["text"]},
        {"cell_type": "code", "source": ["y = x"], "outputs": ["of an earlier run"]},
    ]
    first, text, last = runner.executed({"cells": cells})["cells"]
    printed, value = first["outputs"]
    assert printed["text"] == ["two\n"] and value["data"] == {"text/plain": ["6"]}
    assert text == cells[1] and last["outputs"] == [] and last["execution_count"] == 2
    with pytest.raises(NameError):
        runner.executed({"cells": [{"cell_type": "code", "source": ["unknown"]}]})


def test_what_is_stored_names_no_place_of_a_machine():
    text = NOTEBOOK.read_text()
    assert "/tmp" not in text and "/home" not in text and "Traceback" not in text
