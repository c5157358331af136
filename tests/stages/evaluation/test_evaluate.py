"""The numbers of a finished evaluation are those of its rows, and the same again and again."""

import csv
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.forging import publish_again

from interlingua.cluster.local import local_context
from interlingua.commands.building.build import GatesFailed, check_gates
from interlingua.recipes.world import world_mini, world_token
from interlingua.report.from_rows import numbers_of, read_recorded
from interlingua.report.gates.gates import gates_of
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import Stage, build, find
from interlingua.store.rows.scored import (
    EVALUATED_NAME,
    ROWS_FOLDER,
    read_evaluated,
    read_scored,
    write_scored,
)
from interlingua.store.rows.splits import LEDGER_NAME, SplitViolation, read_consumed

pytestmark = pytest.mark.slow

CONTEXT = local_context(world_mini().placement)
COLUMNS = {
    "fve_centred_own": ("nmse", "own_variance"),
    "fve_centred_train": ("nmse", "train_variance"),
    "fve_centred_category": ("nmse", "category_variance"),
    "fve_linear_own": ("linear_error", "own_variance"),
    "fve_mean_direction": ("nmse", "mean_direction_nmse"),
    "fve_uncentred": ("uncentred_error", "uncentred_variance"),
    "shuffled_fve_centred_own": ("shuffled_nmse", "own_variance"),
}
# A passage of the world is a document of its own, with one row.
PREDICTORS = [predictor for predictor in Predictor if predictor != Predictor.SAME_DOCUMENT]
HOSTS = {"toy-qwen3-1p7b": "anchor", "toy-gpt2-medium": "trained", "toy-lfm-7b": "held out"}


def evaluation_of(recipe) -> Stage:
    [stage] = [stage for stage in graph_of(recipe) if stage.kind == "evaluation"]
    return stage


STAGE = evaluation_of(world_mini())


@pytest.fixture(scope="module")
def artifact(mini_nla_root):
    return find(STAGE, mini_nla_root)


@pytest.fixture
def root(mini_nla_root, tmp_path):
    """A run root of the test's own, in which nothing is evaluated yet."""
    skipped = shutil.ignore_patterns("evaluation", "report", "*.lock")
    shutil.copytree(mini_nla_root, tmp_path / "root", copy_function=os.link, ignore=skipped)
    return tmp_path / "root"


@pytest.fixture(scope="module")
def table(artifact):
    with (artifact.path / NUMBERS_NAME).open(newline="") as file:
        return {
            (row["host"], row["predictor"], row["metric"], row["covers"]): float(row["value"])
            for row in csv.DictReader(file)
        }


@pytest.fixture(scope="module")
def by_hand(artifact):
    """Every FVE of every host and predictor, from the parquet rows by numpy alone."""
    found = {}
    for path in (artifact.path / ROWS_FOLDER).glob("*.parquet"):
        columns = {n: np.array(c) for n, c in pq.read_table(path).to_pydict().items() if n in USED}
        for predictor in set(columns["predictor"].tolist()):
            own = {
                name: column[columns["predictor"] == predictor] for name, column in columns.items()
            }
            for metric, (errors, variances) in COLUMNS.items():
                if np.isfinite(own[errors].astype(float)).all():
                    value = 1 - own[errors].sum() / own[variances].sum()
                    found[path.stem, predictor, metric] = value
    return found


USED = {"predictor", *(name for pair in COLUMNS.values() for name in pair)}


def test_the_recorded_fves_are_those_of_the_rows(by_hand, table):
    assert {host for host, _, _ in by_hand} == set(HOSTS)
    assert {predictor for _, predictor, _ in by_hand} == set(PREDICTORS)
    of_held_out = {predictor for host, predictor, _ in by_hand if host == "toy-lfm-7b"}
    assert set(PREDICTORS) - of_held_out == {Predictor.NEAREST_EXPLANATION}
    for key, value in by_hand.items():
        assert table[(*key, "passages")] == pytest.approx(value, rel=1e-9), key
    recorded = {k[:3] for k in table if k[0] in HOSTS and k[2] in COLUMNS and " - " not in k[1]}
    assert recorded == set(by_hand)


def test_the_recorded_differences_and_means_are_those_of_the_rows(by_hand, table):
    metric = "fve_centred_own"
    for host in HOSTS:
        for predictor in set(PREDICTORS) - {Predictor.SAMPLED}:
            if (host, predictor, metric) not in by_hand:
                continue
            gap = by_hand[host, "sampled", metric] - by_hand[host, predictor, metric]
            assert table[host, f"sampled - {predictor}", metric, "passages"] == pytest.approx(gap)
    for predictor in set(PREDICTORS) - {Predictor.NEAREST_EXPLANATION}:
        trained, held_out = (
            by_hand[host, predictor, metric] for host in ("toy-gpt2-medium", "toy-lfm-7b")
        )
        expected = {
            "mean trained": trained,
            "mean held out": held_out,
            "mean all": (trained + held_out) / 2,
            "trained - held out": trained - held_out,
        }
        for group, value in expected.items():
            assert table[group, predictor, metric, "passages"] == pytest.approx(value)
    # One trained and one held-out host: only both together are units.
    assert {group for group, _, _, covers in table if covers == "hosts"} == {"mean all"}


def test_the_record_holds_the_headlines_and_every_gate(artifact, table):
    metrics = artifact.record.metrics
    for host in HOSTS:
        key = host, "sampled", "fve_centred_own"
        assert metrics["/".join(key)] == table[(*key, "passages")]
    assert [gate["name"] for gate in metrics["gates"]] == [name.value for name in GateName]
    assert all(gate["is_accepted"] for gate in metrics["gates"]) and not metrics["failed_gates"]
    assert (metrics["num_hosts"], metrics["num_passages"]) == (3, 16)
    text = (artifact.path / "artifact.json").read_text()

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads(text, parse_constant=refuse)


def test_the_passages_are_those_of_the_rows(artifact):
    rows = read_scored(artifact.path)
    ids = [passage.passage_id for passage in read_evaluated(artifact.path)]
    assert sorted(ids) == sorted(set(rows["passage_id"].tolist())) and len(ids) == 16
    assert read_consumed(artifact.path / LEDGER_NAME).keys() == {Split.TEST}


def test_a_second_evaluation_is_the_same_to_the_bit(root, artifact):
    for name in HOSTS:
        [scored] = [s for s in graph_of(world_mini()) if (s.kind, s.label) == ("scored", name)]
        shutil.rmtree(find(scored, root).path)
        build(scored, root, CONTEXT)
    again = build(STAGE, root, CONTEXT)
    names = [NUMBERS_NAME, EVALUATED_NAME, *(f"{ROWS_FOLDER}/{host}.parquet" for host in HOSTS)]
    for name in names:
        assert (again.path / name).read_bytes() == (artifact.path / name).read_bytes(), name
    assert again.record.metrics == artifact.record.metrics


def test_an_evaluation_that_was_broken_off_ends_as_an_unbroken_one(root, artifact):
    partial = root / "evaluation" / f"{artifact.path.name}.partial"
    (partial / ROWS_FOLDER).mkdir(parents=True)
    (partial / ROWS_FOLDER / "toy-lfm-7b.parquet").write_bytes(b"half of it")
    (partial / NUMBERS_NAME).write_text("half of it")
    again = build(STAGE, root, CONTEXT)
    assert again.record.metrics == artifact.record.metrics


def test_with_a_start_every_host_has_its_difference(root, artifact):
    """The evaluation of the same NLA as its own start: nothing was gained."""
    spec = replace(STAGE.spec, seed=1)
    stage = replace(STAGE, label="after", spec=spec, inputs=STAGE.inputs._replace(start=STAGE))
    build(STAGE, root, CONTEXT)
    made = build(stage, root, CONTEXT)
    metrics = made.record.metrics
    gains = [metrics[f"{host}/sampled - start/fve_centred_own"] for host in HOSTS]
    assert gains == [0, 0, 0]
    gates = {gate["name"]: gate["is_passed"] for gate in metrics["gates"]}
    # As many tags lost as there.
    assert gates["tag_failures"] and metrics["num_artifacts_checked"] == 43


def test_gates_are_accepted_by_name_only(root, artifact):
    """All is written, and bad."""
    names = [gate["name"] for gate in artifact.record.metrics["gates"] if not gate["is_passed"]]
    assert {"tag_failures", "collapsed_texts", "ignores_vector"} <= set(names)
    for accepts in ((), (GateName.COLLAPSED_TEXTS, GateName.LEAKAGE)):
        recipe = world_mini()
        recipe = replace(recipe, evaluation=replace(recipe.evaluation, accepts=accepts))
        made = build(evaluation_of(recipe), root, CONTEXT)
        left = [name for name in names if name not in accepts]
        assert made.record.metrics["failed_gates"] == left
        numbers = (made.path / NUMBERS_NAME).read_bytes()
        assert numbers == (artifact.path / NUMBERS_NAME).read_bytes()
        with pytest.raises(GatesFailed, match=f"failed {', '.join(left)}: its numbers do not"):
            check_gates(recipe, [artifact, made])
    check_gates(world_mini(), [artifact])


def test_rows_of_a_training_split_never_become_numbers(root):
    scored = STAGE.inputs.scored["toy-lfm-7b"]
    path = find(scored, root).path / ROWS_FOLDER / "toy-lfm-7b.parquet"
    rows = read_scored(path.parents[1])
    rows["split"][5] = "fit"
    path.unlink()
    write_scored(path, rows)
    publish_again(path.parents[1])
    with pytest.raises(SplitViolation, match="holds rows of fit, test; numbers may be made of"):
        build(STAGE, root, CONTEXT)
    assert find(STAGE, root) is None


def test_an_nla_of_tokens_is_evaluated_without_lists_of_facts(root):
    """What is true of a token only the teacher knows."""
    recipe = replace(
        world_mini(), name="tokens", read=world_token().read, trained=(), held_out=(),
        hosts=world_mini().hosts[:1],
    )  # fmt: skip
    stages = needed_for("evaluation", graph_of(recipe))
    for stage in stages:
        build(stage, root, CONTEXT)
    made = find(stages[-1], root)
    rows = read_scored(made.path)
    not_of_tokens = {Predictor.GENERAL_FACTS, Predictor.ALL_FACTS, Predictor.PASSAGE_TEXT}
    assert set(rows.predictors()) == set(Predictor) - not_of_tokens
    same = rows.of(rows["host"][0], Predictor.SAME_DOCUMENT)
    assert 0 < len(same) <= len(rows.of(rows["host"][0], Predictor.SAMPLED))
    assert read_numbers(made.path / NUMBERS_NAME).units == "passages"
    assert set(rows.hosts().values()) == {"anchor"} and rows["position"].min() >= 0
    gates = {gate["name"]: gate["is_passed"] for gate in made.record.metrics["gates"]}
    assert gates["missing_rows"] and gates["non_finite"]


def test_gates_are_judged_again_from_what_is_stored(artifact):
    from interlingua.probes.methods import METHODS_NAME, read_methods
    from interlingua.report.gates.evidence import Evidence
    from interlingua.stages.evaluation.joining import decoder_gain

    rows = read_scored(artifact.path)
    numbers = numbers_of(read_recorded(artifact.path), seed=STAGE.spec.seed)
    assert set(numbers.all) == set(read_numbers(artifact.path / NUMBERS_NAME).all)
    found = Evidence(
        rows=rows,
        numbers=numbers,
        start=None,
        num_asked=48,
        num_dropped=0,
        num_checked=43,
        decoder_gain=decoder_gain(read_methods(artifact.path / METHODS_NAME)),
    )
    again = {gate.name.value: (gate.is_passed, gate.value) for gate in gates_of(found, ())}
    assert again == {
        gate["name"]: (gate["is_passed"], gate["value"])
        for gate in artifact.record.metrics["gates"]
    }
