"""A dry run: stages and sizes on a screen; values, stages and differences to those who ask."""

import pytest

from interlingua.commands.entry import main
from interlingua.recipes.world import demo, world
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import folder

SCREEN_LINES, SCREEN_LETTERS = 60, 150


@pytest.fixture
def answer(capsys, tmp_path):
    def ask(*words):
        main([*words, "--root", str(tmp_path)])
        return capsys.readouterr().out.splitlines()

    return ask


def test_a_dry_run_is_a_screen_of_stages_and_sizes(answer):
    lines = answer("run", "world", "--dry-run")
    stages = graph_of(world())
    assert lines[0].startswith(f"world: {len(stages)} stages in ")
    assert lines[0].endswith(f"0 done, {len(stages)} missing")
    kinds = [line.split()[0] for line in lines[3 : 3 + len({s.kind for s in stages})]]
    assert set(kinds) == {stage.kind for stage in stages}
    assert any(line.startswith("reinforcement learning, memory") for line in lines)
    assert len(lines) < SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_LETTERS
    assert not [line for line in lines if " = " in line]


def test_what_is_done_is_counted_by_kind(answer, tmp_path, mini_root):
    (tmp_path / "passages").symlink_to(mini_root / "passages")
    (line,) = (line for line in answer("run", "world_mini", "--dry-run") if "passages " in line)
    assert line.split() == ["passages", "1", "1", "0"]


def test_values_and_stages_are_for_those_who_ask(answer, tmp_path):
    lines = answer("run", "demo", "--values")
    assert f"av.num_steps = {demo().av.num_steps}" in lines
    for stage in graph_of(demo()):
        assert not [line for line in lines if stage.fingerprint in line]
    lines = answer("run", "demo", "--stages")
    for stage in graph_of(demo()):
        assert f"{stage.name:32} {stage.fingerprint} missing" in lines
    assert not folder(graph_of(demo())[0], tmp_path).exists()  # both are dry runs


def test_a_difference_names_settings_and_shared_stages(answer):
    lines = answer("run", "demo", "--set", "av.num_steps=7", "--diff", "demo")
    assert lines[0] == "demo | demo as registered"
    assert f"  av.num_steps = 7 | {demo().av.num_steps}" in lines
    assert "of the settings that both have 1 differ" in lines
    shared = next(line for line in lines if "stages the same in both" in line)
    assert "host 4" in shared and "av" not in shared.split()


def test_what_only_one_recipe_has_is_named_once(answer):
    lines = answer("rl", "demo", "--diff", "world")
    assert lines[0] == "demo | world"
    only = lines[lines.index("only world has:") :]
    assert any(line.startswith("  hosts.toy-") and "settings)" in line for line in only)
    assert len(lines) < SCREEN_LINES


def test_a_recipe_is_the_same_as_itself(answer):
    lines = answer("run", "demo", "--diff", "demo")
    assert "of the settings that both have none differ" in lines
    assert f"{len(graph_of(demo()))} stages the same in both" in "\n".join(lines)
    assert "0 stages of demo alone" in lines
