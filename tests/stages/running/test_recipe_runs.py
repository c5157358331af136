"""A run of a recipe in a tracker: what people find of it, by the files of a real run."""

import json
import math
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from interlingua.recipes.registry import RECIPES, world_mini
from interlingua.report.page.page import PAGE_NAME
from interlingua.specs.evaluation import GateName
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.stages.graph.order import graph_of
from interlingua.stages.running.params import recipe_params
from interlingua.stages.running.recipe_runs import RecipeRun, SweepRun, command, recipe_run
from interlingua.stages.running.stage_runs import started
from interlingua.stages.running.uploader import OnceTracker, upload_run, upload_sweep
from interlingua.store.artifact import find
from interlingua.store.progress import numbers_of, read_dev_evals
from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.registry import ALIAS
from interlingua.tracking.runs import NOTE, RUN
from interlingua.tracking.tracker import MemoryTracker

pytestmark = pytest.mark.slow

RECIPE = world_mini()
STAGES = graph_of(RECIPE)
MINI = RecipeRun(RECIPE, STAGES, name="world_mini")
MOST_METRICS, MOST_OF_ALL = 60, 300


@pytest.fixture(scope="module")
def uploaded(mini_nla_root):
    """The run of the whole recipe in a tracker."""
    tracker = MemoryTracker()
    upload_run(mini_nla_root, MINI, tracker=tracker)
    return tracker


@pytest.fixture(scope="module")
def recipe(uploaded):
    """The run above its stages; there is one."""
    (run,) = (run for run in uploaded.runs.values() if run.parent is None)
    return run


def child(tracker, name):
    """The stage's run of that name."""
    (run,) = (run for run in tracker.runs.values() if run.title == name)
    return run


def test_every_stage_is_nested_in_the_run_of_the_recipe(uploaded):
    key = MINI.identity.name
    names = {name: run.parent for (_, name), run in uploaded.runs.items()}
    assert names == {key: None} | {f"{key}/{stage.key}": key for stage in STAGES}
    assert {experiment for experiment, _ in uploaded.runs} == {"world_mini"}
    assert {run.status for run in uploaded.runs.values()} == {"FINISHED"}


def test_it_has_a_few_numbers_and_every_gate_by_its_name(recipe, mini_nla_root):
    (evaluation,) = (find(s, mini_nla_root) for s in STAGES if s.kind == "evaluation")
    metrics = {value.name: value.value for value in recipe.values}
    whole = evaluation.record.metrics["mean all/sampled/fve_centred_own"]
    assert metrics["fve/all hosts"] == pytest.approx(whole)
    wanted = {"fve/trained hosts", "fve/held-out hosts", "fve/toy-lfm-7b", "fve_above_word_ridge",
              "nll/own", "nll/shuffled_minus_own", "texts/unparseable_share"}  # fmt: skip
    assert wanted <= metrics.keys() and len(metrics) < 30
    assert all(map(math.isfinite, metrics.values()))
    gates = {name: state for name, state in recipe.tags.items() if name.startswith("gate/")}
    assert gates.keys() == {f"gate/{name}" for name in GateName}
    for gate in evaluation.record.metrics["gates"]:
        assert gates[f"gate/{gate['name']}"] == ("passed" if gate["is_passed"] else "accepted")
    assert "accepted" in gates.values() and "passed" in gates.values()


def test_its_note_says_what_it_was_and_how_to_run_it_again(recipe):
    report, headline, what, again = recipe.tags[NOTE].split("\n\n")
    assert f"/{PAGE_NAME}?" in report and "accepted" in report
    assert "`world_mini`: 3 hosts" in what and "fve/all hosts **" in headline
    assert again == f"Again: `{command()}`" and command().startswith("python ")


def test_its_files_are_the_page_the_numbers_the_texts_and_where_they_come_from(
    recipe, mini_nla_root
):
    (report,) = (find(s, mini_nla_root) for s in STAGES if s.kind == "report")
    figures = {name for name in report.record.files if name.startswith("figures/")}
    assert {name.rpartition(".")[2] for name in figures} == {"svg", "pdf"}
    assert recipe.files.keys() - figures == {
        PAGE_NAME, "numbers.csv", "methods.csv", "explanations.json", "recipe.json",
        "lineage.json", "bundle/world_mini/manifest.json",
    }  # fmt: skip
    for name in (PAGE_NAME, *figures):  # to which the page links
        assert recipe.files[name] == (report.path / name).read_bytes()
    values = json.loads(recipe.files["recipe.json"])
    assert list(values) == [path for path, _, _ in list_paths(RECIPE)]
    steps = values["av.num_steps"]
    assert with_overrides(RECIPE, [f"av.num_steps={steps}"]) == RECIPE
    lineage = {entry["stage"]: entry for entry in json.loads(recipe.files["lineage.json"])}
    for stage in STAGES:
        assert set(lineage[stage.key]["inputs"].values()) == {
            s.key for s in stage.upstream.values()
        }


def test_its_texts_stand_beside_what_was_read(recipe, mini_nla_root):
    table = json.loads(recipe.files["explanations.json"])
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert len({row["row"] for row in rows}) == len(rows)
    by_host = {}
    for row in rows:
        by_host.setdefault(row["host"], []).append(row["passage_id"])
        assert row["read"] and row["explanation"] and row["greedy"] and row["teacher"]
    assert by_host.keys() == {host.tag for host in RECIPE.hosts}
    first, *others = by_host.values()
    assert first == sorted(first) and all(other == first for other in others)


def test_its_bundle_is_a_model_with_the_numbers_of_its_evaluation(uploaded, mini_nla_root):
    [model] = uploaded.models["world_mini"].values()
    (bundle,) = (find(s, mini_nla_root) for s in STAGES if s.kind == "bundle")
    assert (model.folder, model.fingerprint) == (bundle.path, bundle.record.fingerprint)
    assert model.tags.keys() == {"label", "fve/all hosts", "fve_above_word_ridge", "gates"}
    assert "accepted" in model.tags["gates"]


@pytest.mark.parametrize("name", ["av/sft", "ar/sft"])
def test_curves_are_what_was_measured_when_it_was(name, uploaded, mini_nla_root):
    (stage,) = (stage for stage in STAGES if stage.name == name)
    dev_evals = read_dev_evals(find(stage, mini_nla_root).path)
    run = child(uploaded, name)
    assert len(dev_evals) > 1
    for metric in numbers_of(dev_evals[0]):
        points = [(v.step, v.value, v.time) for v in run.values if v.name == f"dev/{metric}"]
        assert points == [(line["step"], line[metric], line["time"]) for line in dev_evals]
    times = [value.time for value in run.values if value.name == f"dev/{metric}"]
    assert times == sorted(set(times))
    losses = [value for value in run.values if value.name == "train/loss"]
    assert [value.step for value in losses] == [10, 12]
    assert not [value.name for value in run.values if value.name.startswith("train/dev")]


def test_names_of_metrics_are_few_and_none_is_of_an_interval(uploaded):
    names = {run.title: {value.name for value in run.values} for run in uploaded.runs.values()}
    assert max(map(len, names.values())) <= MOST_METRICS
    whole = set().union(*names.values())
    assert len(whole) <= MOST_OF_ALL
    assert not [name for name in whole if name.endswith(("_low", "_high")) or "gates/" in name]


def test_a_stage_begins_with_its_first_attempt(mini_nla_root):
    record = find(STAGES[0], mini_nla_root).record
    assert record.first_started <= record.started <= record.finished
    again = replace(record, first_started="2020-01-02T03:04:05+00:00")
    assert started(again) == 1_577_934_245.0


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_has_a_few_dozen_parameters(name):
    params = recipe_params(RECIPES[name]())
    assert 30 <= len(params) <= 60
    assert params["anchor"] and params["av slots"] and params["read"]


def test_parameters_of_several_runs_are_one_where_they_agree():
    recipe = with_overrides(RECIPES["world_rl_ablation"](), ["av.injection.num_slots=2"])
    first, *others = (run.tag for run in recipe.rl)
    params = recipe_params(with_overrides(recipe, [f"rl.{first}.num_steps=7"]))
    assert params["av slots"] == "2"
    steps = recipe.rl[1].num_steps
    assert params["rl steps"].split(", ")[:2] == [f"{first}: 7", f"{others[0]}: {steps}"]
    assert params["rl group size"] == str(recipe.rl[0].group_size)


def test_another_value_is_another_run_and_another_placement_is_not():
    def key(*overrides):
        changed = with_overrides(RECIPE, overrides)
        return RecipeRun(changed, graph_of(changed)).identity.name

    assert key() == MINI.identity.name
    assert key("placement.threads_per_worker=2") == key()
    assert len({key(), key("av.num_steps=13"), key("evaluation.rows=15")}) == 3


def test_what_is_not_built_yet_is_left_out(mini_root):
    tracker = MemoryTracker()
    upload_run(mini_root, MINI, "FAILED", tracker=tracker)
    built = [stage for stage in STAGES if find(stage, mini_root)]
    assert 0 < len(built) < len(STAGES) and len(tracker.runs) == 1 + len(built)
    run = tracker.runs["world_mini", MINI.identity.name]
    assert run.status == "FAILED" and run.files.keys() == {"recipe.json", "lineage.json"}


def test_its_numbers_are_told_once_at_its_end(mini_nla_root):
    """Numbers that are told with every stage would be drawn as curves."""
    tracker, artifacts = MemoryTracker(), [find(stage, mini_nla_root) for stage in STAGES]
    for status in ("RUNNING", "RUNNING", "FINISHED"):
        tracker.upload("world_mini", [recipe_run(MINI, mini_nla_root, artifacts, status)])
    [run] = tracker.runs.values()
    names = [value.name for value in run.values]
    assert len(set(names)) == len(names) > 10
    assert run.tags[NOTE].count("**") > 1 and run.status == "FINISHED"


def cells():
    """Two cells of a sweep: of another seed of evaluation."""
    for samples in ("2", "3"):
        recipe = with_overrides(RECIPE, [f"evaluation.samples={samples}"])
        params = {"samples": samples, "seed": "0"}
        yield RecipeRun(recipe, graph_of(recipe), params=params, sweep="more-samples")


def test_a_sweep_has_its_cells_and_what_they_share(mini_nla_root, tmp_path):
    tracker, (one, two) = MemoryTracker(), cells()
    for _ in range(2):
        for cell in (one, two):
            upload_run(mini_nla_root, cell, tracker=OnceTracker(tracker, tmp_path))
    (tmp_path / "grid.csv").write_text("samples,fve\n2,0.5\n")
    sweep = SweepRun(
        name="more-samples", params={"samples": "2, 3"}, metrics={"best/fve": 0.5},
        artifacts={"grid.csv": tmp_path / "grid.csv"}, description="Two cells",
    )  # fmt: skip
    upload_sweep(mini_nla_root, sweep, tracker=tracker)
    runs = {name: run for (experiment, name), run in tracker.runs.items()}
    assert {experiment for experiment, _ in tracker.runs} == {"more-samples"}
    top = runs["more-samples"]
    assert top.parent is None and top.files == {"grid.csv": b"samples,fve\n2,0.5\n"}
    assert top.tags[NOTE] == "Two cells" and top.params == {"samples": "2, 3"}
    for cell in (one, two):
        run = runs[cell.identity.name]
        assert (
            run.parent == "more-samples"
            and run.title == f"samples={cell.params['samples']}, seed=0"
        )
        assert list(run.params)[:2] == ["samples", "seed"]
    parents = {stage.key: runs[one.name_of(stage)].parent for stage in one.stages
               if find(stage, mini_nla_root)}  # fmt: skip
    both = {stage.key for stage in two.stages}
    for key, parent in parents.items():
        assert parent == ("more-samples" if key in both else one.identity.name)
    assert {"more-samples", one.identity.name} == set(parents.values())


@pytest.fixture(scope="module")
def stored(mini_nla_root, tmp_path_factory):
    """The same in a database, uploaded twice; the root of the database."""
    root = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepared_mlflow(root)
        for _ in range(2):
            upload_run(mini_nla_root, MINI, tracker=MlflowTracker(root))
    return root


def test_mlflow_shows_it_as_people_use_it(stored, mini_nla_root, uploaded, monkeypatch):
    address = f"sqlite:///{stored / DATABASE_NAME}"
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("world_mini")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (top,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not top]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {top.info.run_id}
    assert {run.data.tags[RUN] for run in runs} == {name for _, name in uploaded.runs}
    assert all(run.info.end_time >= run.info.start_time for run in runs)
    assert top.data.params["anchor"] == RECIPE.anchor
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "world_mini")
    table = mlflow.load_table("explanations.json", run_ids=[top.info.run_id])
    assert {"read", "explanation", "fve", "row"} <= set(table.columns) and len(table) > 10
    page = Path(client.download_artifacts(top.info.run_id, PAGE_NAME))
    kept = stored / "mlartifacts" / top.info.run_id / "artifacts" / PAGE_NAME
    assert page.read_bytes() == kept.read_bytes() != b""
    (av,) = (run for run in children if run.info.run_name == "av/sft")
    (stage,) = (stage for stage in STAGES if stage.name == "av/sft")
    points = client.get_metric_history(av.info.run_id, "dev/nll_real")
    dev_evals = read_dev_evals(find(stage, mini_nla_root).path)
    assert [(p.step, p.value) for p in points] == [(d["step"], d["nll_real"]) for d in dev_evals]
    assert [p.timestamp for p in points] == [round(1000 * d["time"]) for d in dev_evals]
    version = client.get_model_version_by_alias("world_mini", ALIAS)
    assert version.run_id == top.info.run_id
    assert len(client.search_model_versions("name = 'world_mini'")) == 1
