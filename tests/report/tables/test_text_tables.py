"""Texts as tables: what is shown is what was recorded, under names that stay the same."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.report.conftest import ROLES, evaluation_at, host_rows, passages_with, record_of

from interlingua.recipes.world import world_mini
from interlingua.report.tables import text_tables
from interlingua.report.tables.row_scores import row_fve
from interlingua.report.tables.text_tables import explanation_rows, rollout_rows, table_json
from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import Artifact, find
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.rollouts import ROLLOUTS_FOLDER, rollouts_name
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluation_at(tmp_path_factory.mktemp("root"))


def test_a_row_is_one_explanation_beside_the_others_of_its_activation(evaluation):
    rows = explanation_rows(evaluation, start=evaluation)
    host, passages = "toy-lfm-7b", passages_with()
    own = host_rows(host, passages).of(host, Predictor.SAMPLED)
    first = own.where(own["sample"] == 0)
    shown = [row for row in rows if row["host"] == host]
    ids = sorted(first["passage_id"].tolist())[: text_tables.PASSAGES_SHOWN]
    assert [row["passage_id"] for row in shown] == ids
    row, number = shown[3], first["passage_id"].tolist().index(ids[3])
    assert row["row"] == f"{host}/{ids[3]}" and row["role"] == ROLES[host]
    assert row["read"] == {p.passage_id: p.text for p in passages}[ids[3]]
    assert row["explanation"] == row["before_rl"] == first["explanation"][number]
    assert row["fve"] == pytest.approx(row_fve(first)[number], abs=1e-4)
    wrong = [fact for fact in first["said"][number] if fact not in first["true"][number]]
    assert row["wrong"] == ", ".join(wrong) and row["true"] == ", ".join(first["true"][number])
    assert {row["host"] for row in rows} == set(ROLES)
    assert len({row["row"] for row in rows}) == len(rows)


def test_a_table_is_as_mlflow_reads_it():
    table = json.loads(table_json([{"row": "a", "fve": 0.5}, {"row": "b", "note": "x"}]))
    assert table == {
        "columns": ["row", "fve", "note"],
        "data": [["a", 0.5, None], ["b", None, "x"]],
    }


@pytest.fixture
def ran(mini_root, tmp_path):
    """A run with three evaluations on passages of `dev`, and the artifact of the passages."""
    stages = {stage.name: stage for stage in graph_of(world_mini())}
    passages = find(stages["passages/world"], mini_root)
    path, access = passages.path / PASSAGES_NAME, SplitAccess({Split.DEV})
    dev = list(read_passages(path, {Split.DEV}, access))[:5]
    (tmp_path / ROLLOUTS_FOLDER).mkdir()
    for step in (0, 100, 20):
        rows = [
            {"host": host, "passage_id": passage.passage_id, "position": -1, "sample": sample,
             "explanation": None if step == 100 and sample else f"{host} at {step}",
             "num_tokens": 4, "log_prob": -1.0, "kl": 0.5 * step, "nmse": 0.25,
             "own_variance": 1.0, "reward": float("nan") if sample else -0.5}
            for host in ("a", "b") for passage in dev for sample in (0, 1)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / rollouts_name(step))
    return Artifact(tmp_path, record_of("rl", "rl")), passages, dev


def test_rollouts_are_those_of_every_evaluation_under_the_same_names(ran):
    run, passages, dev = ran
    rows = rollout_rows(run, passages)
    assert [row["step"] for row in rows] == [0] * 20 + [20] * 20 + [100] * 20
    named = [[row["sample"] for row in rows if row["step"] == step] for step in (0, 20, 100)]
    assert named[0] == named[1] == named[2] and len(set(named[0])) == 20
    assert rows[0]["row"] == f"a/{dev[0].passage_id}" and rows[0]["sample"] == rows[0]["row"] + "/0"
    assert rows[0]["passage"] == dev[0].text
    assert len({row["rollout"] for row in rows}) == len(rows)
    assert rows[20]["rollout"] == "step 20: " + rows[0]["sample"]
    assert (rows[20]["explanation"], rows[20]["kl"], rows[20]["reward"]) == ("a at 20", 10.0, -0.5)
    assert rows[41]["explanation"] is None and rows[41]["reward"] is None


def test_of_a_large_run_the_same_activations_are_shown_at_every_step(ran, monkeypatch):
    monkeypatch.setattr(text_tables, "MOST_ROLLOUTS", 24)
    run, passages, _ = ran
    rows = rollout_rows(run, passages)
    shown = {step: {row["row"] for row in rows if row["step"] == step} for step in (0, 20, 100)}
    assert len(rows) == 24 and shown[0] == shown[20] == shown[100] and len(shown[0]) == 4


def test_a_sentence_that_was_read_is_shown_alone(evaluation):
    rows = text_tables.read_scored(evaluation.path)
    position, end = rows["position"] * 0 + 3, rows["span_end"] * 0 + 9
    spans = replace(rows, columns={**rows.columns, "position": position, "span_end": end})
    passage = passages_with()[0]
    shown = text_tables._explained(spans, 0, passage)
    assert shown["read"] == passage.text[3:9] and "token" not in shown
