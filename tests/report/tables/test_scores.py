"""The few numbers and the gates by which runs are compared are those of the evaluation."""

from dataclasses import replace

import pytest
from tests.report.conftest import GATES, ROLES, evaluation_at, record_of

from interlingua.report.numbers import ALL, HELD_OUT, NUMBERS_NAME, read_numbers
from interlingua.report.tables.scores import (
    MOST_HOSTS,
    gate_states,
    gates_in_words,
    headline_numbers,
)
from interlingua.store.artifact import Artifact

pytestmark = pytest.mark.slow


def of_hosts(evaluation, tags, label="world", gates=GATES):
    metrics = {**evaluation.record.metrics, "gates": gates}
    record = replace(evaluation.record, spec={"host_tags": tags}, label=label, metrics=metrics)
    return Artifact(evaluation.path, record)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    made = evaluation_at(tmp_path_factory.mktemp("root"), is_rewarded=True)
    return of_hosts(made, list(ROLES))


def test_hosts_groups_and_what_is_beside_them(evaluation):
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    found = headline_numbers([evaluation])

    def value(host, predictor, metric="fve_centred_own"):
        return numbers[host, predictor, metric].value

    assert found["fve/all hosts"] == value(ALL, "sampled")
    assert found["fve/held-out hosts"] == value(HELD_OUT, "sampled")
    assert found["fve/toy-lfm-7b"] == value("toy-lfm-7b", "sampled")
    assert found["fve_gain_of_rl/all hosts"] == value(ALL, "sampled - start") > 0.05
    assert found["fve_above_word_ridge"] == value(ALL, "sampled - bag_of_words")
    assert found["fve_greedy"] == value(ALL, "greedy")
    assert found["texts/precision"] == value(ALL, "sampled", "precision/all")
    assert "fve_gain_of_rl/toy-lfm-7b" not in found


def test_of_many_hosts_only_the_groups_are_shown(evaluation):
    many = of_hosts(evaluation, [f"h{number}" for number in range(MOST_HOSTS + 1)])
    names = [name for name in headline_numbers([many]) if name.startswith("fve/")]
    assert names == ["fve/all hosts", "fve/trained hosts", "fve/held-out hosts"]


def test_trainings_have_numbers_before_there_is_an_evaluation(evaluation):
    av = record_of("av", "sft", metrics={"dev/nll_real": 0.5, "dev/nll_shuffled_less_real": 0.2})
    rl = record_of("rl", "rl", metrics={"dev/kl_per_token": 0.1, "best_step": 20})
    artifacts = [Artifact(evaluation.path, record) for record in (av, rl)]
    assert headline_numbers(artifacts) == {
        "nll/own": 0.5,
        "nll/shuffled_minus_own": 0.2,
        "rl_dev/kl_per_token": 0.1,
        "rl_dev/best_step": 20.0,
    }


def test_several_runs_each_have_their_number(evaluation):
    ran = [of_hosts(evaluation, list(ROLES), label) for label in ("world", "world-a", "world-b")]
    found = headline_numbers(ran)
    names = {name for name in found if name.startswith("of_run/")}
    assert names == {f"of_run/world-{run}/{n}" for run in "ab" for n in ("fve", "fve_gain_of_rl")}
    assert found["of_run/world-b/fve"] == found["fve/all hosts"]


def test_a_gate_is_as_bad_as_in_the_worst_of_all_evaluations(evaluation):
    def gate(name, is_passed, is_accepted=False):
        return {**GATES[0], "name": name, "is_passed": is_passed, "is_accepted": is_accepted}

    first = [gate("leakage", True), gate("outlier_host", False), gate("null_range", False, True)]
    last = [gate("leakage", True), gate("outlier_host", True), gate("null_range", True)]
    both = [of_hosts(evaluation, [], gates=gates) for gates in (first, last)]
    assert gate_states(both) == {
        "leakage": "passed",
        "outlier_host": "failed",
        "null_range": "accepted",
    }
    assert gates_in_words(gate_states(both)) == "outlier_host failed, null_range accepted"
    assert gates_in_words({"leakage": "passed"}) == "all passed"
    assert gates_in_words(gate_states([])) == "none judged yet"
