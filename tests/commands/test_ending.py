"""The end of a run: the verdict, a small table, three explanations, and where the rest is."""

import pytest

from interlingua.commands.building.ending import _explained, runs_command, show_results
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.tracking.database import URI_VARIABLE

SCREEN_LINES = 45


@pytest.fixture
def ended(mini_nla_root, capsys, monkeypatch):
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    recipe = world_mini()
    found = [find(stage, mini_nla_root) for stage in graph_of(recipe)]
    show_results(recipe.roles(), found, mini_nla_root)
    return capsys.readouterr().out.splitlines(), {one.record.kind: one for one in found}


def test_the_end_of_a_run_is_a_screen(ended, mini_nla_root):
    lines, found = ended
    assert len(lines) <= SCREEN_LINES
    assert len([line for line in lines if line.startswith("Gates")]) == 1
    failed = [one for one in found["evaluation"].record.metrics["gates"] if not one["is_passed"]]
    shown = [line for line in lines if line.startswith(("  FAILED ", "  accepted "))]
    assert len(shown) == len(failed)  # what passed is a word
    assert f"report:    {found['report'].path / 'report.html'}" in lines
    assert lines[-1] == f"all runs:  interlingua ui --root {mini_nla_root}"


def test_three_explanations_are_shown(ended):
    lines, _ = ended
    assert len([line for line in lines if line.startswith("  AV: ")]) == 3


def test_true_and_false_facts_are_told_apart_without_colours():
    row = {
        "position": 4, "span_end": 8, "text": "", "explanation": "sad, in English.",
        "said": ["mood=sad", "language=english"], "true": ["language=english"],
    }  # fmt: skip
    shown = [str(line) for line in _explained("toy", row, "one two three")]
    assert shown == [
        "toy, one sentence: two",
        "  AV: sad, in English.",
        "  true: language english; false: mood sad",
    ]
    (_, last) = _explained("toy", {**row, "explanation": None, "text": "sad"}, "one two three")
    assert "no explanation between tags" in str(last)


def test_the_command_for_all_runs_is_the_one_that_works_here(tmp_path, monkeypatch):
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert runs_command(tmp_path / "runs") == "interlingua ui"
    (tmp_path / "Makefile").touch()
    assert runs_command(tmp_path / "runs") == "make ui"
    assert runs_command(tmp_path / "a b") == f"interlingua ui --root '{tmp_path}/a b'"
    monkeypatch.setenv(URI_VARIABLE, "http://there")
    assert URI_VARIABLE in runs_command(tmp_path / "runs")
