"""A whole run's evaluation: what the rows are together is what its numbers say."""

import pytest
from tests.serving.asgi import Asgi

from interlingua.core.spans import sentences
from interlingua.recipes.world import world_mini
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.serving.backend import Limits
from interlingua.serving.explorer.lineage import evaluations_of, named
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(mini_nla_root):
    """The evaluation and the bundle of the smallest world."""
    found = {
        stage.kind: find(stage, mini_nla_root).path
        for stage in graph_of(world_mini())
        if stage.kind in ("evaluation", "bundle")
    }
    return found["evaluation"], found["bundle"]


@pytest.fixture(scope="module")
def asgi(folders):
    evaluation, bundle = folders
    found = named(evaluations_of([bundle]))
    assert list(found.values()) == [evaluation]
    served = {"mini": str(next(iter(found.values())))}
    evaluations = Evaluations(served, {"toy": str(bundle)}, most_open=1)
    return Asgi(make_app({}, Settings(), [EvaluationsApi(evaluations, Limits()).router()]))


def summary(asgi, **asked):
    answer = asgi.request("POST", "/v1/evaluations/mini/rows", json={**asked, "limit": 1})
    assert answer.status == 200, answer.body
    return answer.json()["summary"]


def test_means_and_shares_are_those_of_the_numbers(asgi, folders):
    numbers = read_numbers(folders[0] / NUMBERS_NAME)
    (listed,) = asgi.request("GET", "/v1/evaluations").json()["data"]
    assert listed["bundle"] == "toy" and listed["has_facts"]
    num_shares = 0
    for host in listed["hosts"]:
        for predictor in listed["predictors"]:
            place = host["tag"], predictor["name"]
            found = summary(asgi, host=host["tag"], predictor=predictor["name"])
            number = numbers.get(*place, "fve_centred_own")
            if number is None:  # of a predictor that some hosts do not have
                assert found["num_rows"] == 0
                continue
            assert found["mean_fve_centred_own"] == pytest.approx(number.value, abs=1e-9)
            precision = numbers.get(*place, "precision/all")
            if precision is not None:
                num_shares += 1
                assert found["false_share"] == pytest.approx(1 - precision.value)
    assert num_shares >= 4


def test_live_texts_are_marked_as_stored_ones_are(asgi):
    rows = asgi.request(
        "POST",
        "/v1/evaluations/mini/rows",
        json={"predictor": "teacher", "order": "passage", "limit": 30},
    ).json()["rows"]
    assert len(rows) == 30
    for row in rows:
        asked = {"passage_id": row["passage_id"], "texts": [row["explanation"]]}
        if row["position"] is not None:
            asked["position"] = row["position"]
        answer = asgi.request("POST", "/v1/evaluations/mini/claims", json=asked)
        (found,) = answer.json()["data"]
        assert found["claims"] == row["claims"] != []
        assert {one["fact"] for one in found["clauses"]} == {one["fact"] for one in row["claims"]}
        spans = {(one["start"], one["end"]) for one in found["clauses"]}
        assert spans <= set(sentences(row["explanation"]))
