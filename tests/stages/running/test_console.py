"""Progress as lines of a job's log."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from interlingua.recipes.world import world_mini
from interlingua.specs.evaluation import Predictor, ReportSpec
from interlingua.specs.extraction import LastToken, Pooled, Spans, TokenPositions
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.running import console as watch
from interlingua.stages.running.console import ConsoleWatcher, _where
from interlingua.stages.running.reports import shown_numbers
from interlingua.store.artifact import Stage, build, find, folder
from interlingua.store.partial import latest_folder
from interlingua.store.progress import DEV_EVALS_NAME, MetricsLog
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Verbalized, block_path, write_block

STEP = {"num_steps": 80, "reward": -0.5, "kl": 0.01, "loss": 2.0, "rate": 1e-3, "e": 5}
DEV_EVAL = {"step": 0, "score": -0.25, "is_best": True, "fve": 0.25, "null": -0.9, "other": 3.0}


def test_a_running_stage_is_one_line_of_its_step_and_its_last_look(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(watch, "LINE_EVERY_SECONDS", 0)
    spec = ReportSpec(recipe="any", shown_rows=1)
    stage = Stage(kind="rl", label="here", spec=spec, run=build, inputs={}, revision=1)
    target = folder(stage, tmp_path)
    partial = latest_folder(target)
    partial.mkdir(parents=True)
    told = io.StringIO()
    with ConsoleWatcher(tmp_path, [stage], Console(file=told, width=200)) as watcher:
        watcher.on_tick([stage])
        MetricsLog(partial, resume_step=0).append(7, **STEP)
        (partial / DEV_EVALS_NAME).write_text(json.dumps(DEV_EVAL | {"time": 5.0}) + "\n")
        for _ in range(3):  # without news there is no line
            watcher.on_tick([stage])
    assert told.getvalue().splitlines() == [
        "  rl/here 7/80 reward -0.5 kl 0.01 loss 2 rate 0.001 dev_fve 0.25 dev_null -0.9",
    ]


def reporting(label, root):
    """A stage that has made 10 and then 30 of 80 steps, and the console's width is of no matter."""
    spec = ReportSpec(recipe="any", shown_rows=1)
    stage = Stage(kind="rl", label=label, spec=spec, run=build, inputs=None, revision=1)
    partial = latest_folder(folder(stage, root))
    partial.mkdir(parents=True)
    log = MetricsLog(partial, resume_step=0)
    for step in (10, 30):
        log.append(step, **STEP)
    return stage


def test_a_line_of_a_log_is_never_wrapped_and_has_the_time_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(watch, "LINE_EVERY_SECONDS", 0)
    stage, log = reporting("here", tmp_path), io.StringIO()
    with ConsoleWatcher(tmp_path, [stage], Console(file=log, width=20)) as watcher:
        watcher.on_tick([stage])
    (line,) = log.getvalue().splitlines()
    assert line == "  rl/here 30/80 reward -0.5 kl 0.01 loss 2 rate 0.001, 0 s left"


def test_a_terminal_has_a_bar_for_each_stage_and_for_all(tmp_path) -> None:
    stage, log = reporting("here", tmp_path), io.StringIO()
    waiting = replace(stage, label="there", spec=ReportSpec(recipe="any", shown_rows=2))
    console = Console(file=log, width=120, force_terminal=True, color_system=None)
    with ConsoleWatcher(tmp_path, [stage, waiting], console) as watcher:
        watcher.on_tick([stage])
        watcher._bars.refresh()
        shown = log.getvalue()
    assert "rl/here" in shown and "30/80, 0 s left, reward -0.5" in shown
    assert "all stages" in shown and "time left unknown until like stages have run" in shown


def test_numbers_that_do_not_fit_are_left_out_and_those_of_dev_stay() -> None:
    long = {f"a_rather_long_name_{n}": float(n) for n in range(4)}
    shown = shown_numbers({"step": 1, **long, "dev_nll_real": 1.25})
    assert shown == "a_rather_long_name_0 0 a_rather_long_name_1 1 dev_nll_real 1.25"


def test_stages_of_one_name_are_told_apart(tmp_path) -> None:
    """As of two recipes in one graph."""
    one, other, third = (
        Stage(
            kind="rl", label=label, spec=ReportSpec(recipe="any", shown_rows=rows), run=build,
            inputs={}, revision=1,
        )
        for label, rows in (("here", 1), ("here", 2), ("there", 1))
    )  # fmt: skip
    log = io.StringIO()
    with ConsoleWatcher(tmp_path, [one, other, third], Console(file=log, width=200)) as watcher:
        for stage in (one, other, third):
            watcher.on_done(stage, None)
    assert log.getvalue().splitlines() == [
        f"[1/3] {one.key} reused",
        f"[2/3] {other.key} reused",
        "[3/3] rl/there reused",
    ]


@pytest.mark.parametrize(
    ("read", "where"),
    [
        (Pooled(include_first=False), "pooled"),
        (LastToken(), "last token"),
        (Spans(per_passage=1, min_sentence=0, seed=0), "one sentence"),
        (TokenPositions(per_passage=1, min_position=0, seed=0), "token 7"),
    ],
)
def test_it_says_what_an_activation_is_of(read, where):
    assert _where(read, 7) == where


def test_the_first_explanation_is_shown_once_there_is_one(mini_nla_root, tmp_path) -> None:
    """The models of the miniature learned nothing: what they explain is written by hand."""
    stages = {stage.name: stage for stage in graph_of(world_mini())}
    (tmp_path / "passages").symlink_to(mini_nla_root / "passages")
    passages = find(stages["passages/world"], mini_nla_root).path / PASSAGES_NAME
    *_, last = read_passages(passages, {Split.FIT}, SplitAccess({Split.FIT}))
    none = Verbalized(
        passage_id=last.passage_id, position=-1, split=Split.FIT, predictor=Predictor.SAMPLED,
        sample=0, text="no tag", explanation=None, num_tokens=2, log_prob=-1.0,
    )  # fmt: skip
    written = {
        "toy-gpt2-medium": [none],
        "toy-lfm-7b": [none, replace(none, sample=1, explanation="about rain.")],
        "toy-qwen3-1p7b": [replace(none, explanation="about a farm.")],
    }
    log = io.StringIO()
    with ConsoleWatcher(tmp_path, list(stages.values()), Console(file=log, width=9999)) as watcher:
        for tag, rows in written.items():
            stage = stages[f"verbalized/{tag}-fit"]
            path = block_path(folder(stage, tmp_path), 0)
            path.parent.mkdir(parents=True)
            write_block(path, rows, np.zeros((len(rows), 2)))
            watcher.on_tick([stage])
            watcher.on_done(stage, find(stage, mini_nla_root))
    assert log.getvalue().splitlines().count("the first explanation, after 0 s") == 1
    shown = [line for line in log.getvalue().splitlines() if line.startswith("  ")]
    assert shown == [f"  toy-lfm-7b, pooled: {last.text}", "  AV: about rain."]
