"""Cells of a sweep: what they share, what a seed changes, and faults that are said beforehand."""

import json
from dataclasses import replace

import pytest
from tests.own_data import own_recipe, write_rows

from interlingua.core.contrasts import Contrast
from interlingua.recipes.registry import PUBLISHED
from interlingua.recipes.world import world_mini
from interlingua.specs.injection import Full, Replace
from interlingua.sweeps.catalog import (
    continued,
    scaling_sweep,
    seeds_sweep,
    slots_sweep,
)
from interlingua.sweeps.search import DIALS, rl_search
from interlingua.sweeps.sweep import (
    Sweep,
    SweepRefused,
    axis_of,
    cells_of,
    own_stages,
    shared_stages,
    with_seed,
)


def slots(**changes):
    return slots_sweep(world_mini(), num_steps=6, **{"seeds": (0, 1), "slots": (1, 4), **changes})


def kinds(stages):
    return [stage.kind for stage in stages]


def test_every_setting_has_every_seed():
    cells = cells_of(slots())
    assert len(cells) == 2 * 3 * 2
    assert len({cell.name for cell in cells}) == len(cells)
    assert cells[0].name == "slots1-none-seed0"
    assert cells[0].recipe.av.injection.affine is None
    assert cells[1].recipe.av.injection.affine == Full()


def test_cells_share_all_but_their_own_training():
    cells = cells_of(slots())
    shared = shared_stages(cells)
    assert kinds(shared).count("av") == 1, "one start for all"
    assert kinds(shared).count("ar") == 1
    for cell in cells:
        own = kinds(own_stages(cell, shared))
        assert own == ["av", "verbalized", "verbalized", "cell"]


def test_a_seed_changes_the_training_of_a_cell_alone():
    recipe = continued(world_mini(), 6)
    assert with_seed(recipe, 3) == replace(recipe, av=replace(recipe.av, seed=3))
    sweep = seeds_sweep(world_mini(), seeds=(0, 1))
    first, second = cells_of(sweep)
    shared = shared_stages([first, second])
    assert kinds(own_stages(first, shared)) == ["av", "verbalized", "verbalized", "cell"]
    assert "av" not in kinds(shared)


def test_inputs_come_before_what_needs_them():
    cells = cells_of(slots())
    for stages in (shared_stages(cells), cells[0].stages):
        seen = set()
        for stage in stages:
            needed = {one.key for one in stage.upstream.values()}
            assert needed <= seen
            seen.add(stage.key)


def test_nothing_that_a_cell_trains_on_is_of_the_rows_that_it_is_scored_on():
    cell = cells_of(slots())[0]
    trained = [stage for stage in cell.stages if stage.kind in ("av", "ar", "encoder")]
    for stage in trained:
        for upstream in stage.upstream.values():
            assert "test" not in upstream.label


def test_a_value_with_a_point_has_a_name_without():
    axis = axis_of("av.optim.learning_rate=0.001,0.01")
    assert list(axis.values) == ["learning_rate-0p001", "learning_rate-0p01"]
    assert axis.apply(world_mini(), "0.001").av.optim.learning_rate == 0.001


def test_contrasts_take_repetition_and_maps_apart():
    names = {contrast.name: contrast.weights for contrast in slots(slots=(1, 16)).contrasts}
    assert names["repetition 16 - 1"] == {"slots16-none": 1, "slots1-none": -1}
    assert names["full at 16"] == {"slots16-full": 1, "slots16-none": -1}
    assert names["published: 16 with full - 1"] == {"slots16-full": 1, "slots1-none": -1}
    assert names["interaction of full and 16 slots"] == {
        "slots16-full": 1, "slots16-none": -1, "slots1-full": -1, "slots1-none": 1,
    }  # fmt: skip


def test_the_rule_of_the_start_is_that_of_the_cell():
    cells = cells_of(slots(rules=("replace", "after_block"), affines=("none",)))
    for cell in cells:
        assert cell.recipe.av_start.injection.rule == cell.recipe.av.injection.rule
    assert {type(cell.recipe.av.injection.rule) for cell in cells} > {Replace}


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("av.injection.num_slts=1,4", r"unknown setting av.injection.num_slts; did you mean"),
        ("av.injection.num_slots=1,many", "'many'"),
        ("av.num_steps=0,6", "num_steps"),
        ("av.seed=0,1", "is the same recipe as"),
    ],
)
def test_a_cell_that_cannot_be_is_said_before_anything_runs(axis, message):
    sweep = Sweep(name="s", base=world_mini(), axes=(axis_of(axis),), seeds=(0, 1))
    with pytest.raises(SweepRefused, match=message):
        cells_of(sweep)


def test_all_faults_are_said_at_once():
    axes = (axis_of("av.num_steps=0,6"), axis_of("av.injection.num_slots=1,0"))
    contrast = Contrast(name="c", weights={"num_steps-6-num_slots-1": 1, "nothing": -1})
    sweep = Sweep(name="s", base=world_mini(), axes=axes, seeds=(0,), contrasts=(contrast,))
    with pytest.raises(SweepRefused) as refused:
        cells_of(sweep)
    lines = str(refused.value).splitlines()
    assert sum(line.startswith("  num_steps-") for line in lines) == 3
    assert any("give at least 2" in line for line in lines)
    assert any("compares nothing" in line for line in lines)


@pytest.mark.parametrize(
    "axis", ["passages.corpus.num_passages=600,700", "ar.num_steps=12,13", "evaluation.rows=8,16"]
)
def test_an_axis_that_changes_what_is_compared_is_refused(axis):
    sweep = Sweep(name="s", base=world_mini(), axes=(axis_of(axis),), seeds=(0, 1))
    one, other = sweep.settings()
    contrast = Contrast(name="c", weights={one: 1, other: -1})
    with pytest.raises(SweepRefused, match=f"cannot compare them: {axis.split('=')[0]}"):
        cells_of(replace(sweep, contrasts=(contrast,)))
    assert cells_of(sweep), "without a contrast such cells may stand beside each other"


def test_a_start_must_be_what_training_can_go_on_from():
    recipe = continued(world_mini(), 6)
    with pytest.raises(ValueError, match="av_start.lora"):
        replace(recipe, av=replace(recipe.av, lora=None))
    with pytest.raises(ValueError, match="av_start.injection.affine"):
        start = replace(recipe.av_start.injection, affine=Full())
        replace(recipe, av_start=replace(recipe.av_start, injection=start))


def test_scaling_goes_over_width_rank_and_rows():
    sweep = scaling_sweep(world_mini(), widths=(32, 48), ranks=(4, 0), rows=(20,), seeds=(0, 1))
    cells = cells_of(sweep)
    assert len(cells) == 8
    assert {cell.recipe.av.train_rows for cell in cells} == {20}
    assert {None if c.recipe.av.lora is None else c.recipe.av.lora.rank for c in cells} == {None, 4}


def test_rows_that_are_not_there_are_refused_before_anything_runs():
    """Else two cells would learn from the same rows and be shown as if they had not."""
    sweep = scaling_sweep(world_mini(), widths=(32,), ranks=(4,), rows=(20, 5000), seeds=(0, 1))
    with pytest.raises(SweepRefused, match="rows5000.*av.train_rows is 5000; of 600 passages"):
        cells_of(sweep)


def test_cells_of_a_published_run_go_on_from_the_weights_that_it_names():
    base = PUBLISHED["slots16_affine_qwen3_8b"]()
    sweep = replace(slots_sweep(base, seeds=(0, 1)), is_built=False)
    cells = cells_of(sweep)
    assert {cell.recipe.av_start for cell in cells} == {None}
    assert {cell.recipe.av.start for cell in cells} == {base.av.start}
    assert {(c.recipe.av.num_steps, c.recipe.av.optim) for c in cells} == {(3000, base.av.optim)}
    assert slots_sweep(base, num_steps=7).base.av.num_steps == 7


def test_a_search_shares_what_no_dial_changes():
    search = rl_search(world_mini(), (), seed=0)
    assert "rl" not in kinds(search.shared())
    values = {name: dial.low for name, dial in DIALS.items()}
    own = kinds(search.own(values))
    assert own[0] == "rl" and own[-1] == "cell"
    with pytest.raises(ValueError, match="there are: av_rate"):
        rl_search(world_mini(), ("rate",), seed=0)


@pytest.fixture
def own(tmp_path):
    """A recipe on files, as it was written: nothing in it is pinned."""
    (tmp_path / "model").mkdir()
    config = {"model_type": "llama", "num_hidden_layers": 6}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    write_rows(tmp_path / "texts.jsonl", [{"id": "a", "text": "One.", "doc": "d"}])
    for name in ("explanations", "others"):
        write_rows(tmp_path / f"{name}.jsonl", [{"id": "a", "explanation": name}])
    return own_recipe(tmp_path)


def cells_over(recipe, axis):
    return cells_of(Sweep(name="own", base=recipe, axes=(axis_of(axis),), seeds=(0,)))


def test_every_cell_of_a_recipe_on_files_is_pinned(own):
    first, second = cells_over(own, "hosts.mine.block.fraction=0.2,0.8")
    # The AR has the blocks up to that which is read: of each cell, not of the first.
    assert [cell.recipe.ar.block_index for cell in (first, second)] == [1, 4]
    assert first.recipe.hosts[0].source.files_sha256 and own.ar.block_index is None


def test_files_can_be_what_varies(own, tmp_path):
    paths = [f"{tmp_path}/{name}.jsonl" for name in ("explanations", "others")]
    first, second = cells_over(own, f"av_lessons.teacher.path={','.join(paths)}")
    teachers = [cell.recipe.av_lessons.teacher for cell in (first, second)]
    assert [one.path for one in teachers] == paths
    assert teachers[0].sha256 != teachers[1].sha256
    assert first.setting.endswith("explanationspjsonl") and "/" not in first.setting


def test_an_axis_with_a_value_twice_is_refused():
    with pytest.raises(ValueError, match="axis av.num_steps has a value twice"):
        axis_of("av.num_steps=1,1")
