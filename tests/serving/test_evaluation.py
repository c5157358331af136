"""An evaluation through a URL has the rows and the numbers of the same bundle in this process."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.serving.client.served import served
from tests.specs.writing import writing_mini

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.models.bundle.nla import NLA
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.serving.backend import Limits
from interlingua.serving.client.endpoint import Endpoint
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.own.app import Settings, make_app
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.specs.placement import ServerPlacement
from interlingua.stages.evaluation.unseen import num_unknown
from interlingua.stages.graph.order import graph_of, joined, needed_for
from interlingua.stages.graph.served import evaluation_of, served_stages
from interlingua.stages.nla.endpoint import opened_endpoint
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store.artifact import find, lineage
from interlingua.store.bundle import bundle_digest
from interlingua.store.rows.scored import NUMBERS, read_scored

RECIPE = writing_mini()
GRAPH = graph_of(RECIPE)
(BUNDLE,) = (stage for stage in GRAPH if stage.kind == "bundle")


@pytest.fixture(scope="module")
def made(mini_root, tmp_path_factory):
    """A root with the recipe's own evaluation, and its bundle."""
    root = tmp_path_factory.mktemp("evaluation") / "root"
    shutil.copytree(mini_root, root, copy_function=os.link)
    build_in(root, [*needed_for("bundle", GRAPH), *needed_for("evaluation", GRAPH)])
    return root


@pytest.fixture(scope="module")
def bundle(made):
    """The bundle's folder."""
    return find(BUNDLE, made).path


@pytest.fixture(scope="module")
def url(bundle):
    """The bundle behind a real server."""
    backend = opened_backend(bundle, limits=Limits())
    with served(make_app({"mini": backend}, Settings())) as address:
        yield address
    backend.close()


@pytest.fixture
def root(made, tmp_path):
    """A root of the test's own with all of that."""
    return shutil.copytree(made, tmp_path / "root", copy_function=os.link)


def build_in(root, stages, placement=RECIPE.placement):
    stages = joined([stages])
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, local_context(placement), watcher)


def evaluated(root, url, bundle):
    """The evaluation of what is behind the URL."""
    server = ServerPlacement(url=url, model=None)
    verbalizing = replace(RECIPE.placement.verbalizing, server=server)
    placement = replace(RECIPE.placement, verbalizing=verbalizing)
    with Endpoint(url) as endpoint:
        stages = served_stages(RECIPE, endpoint.digest, bundle)
    build_in(root, stages, placement)
    assert all(find(stage, root) for stage in stages)
    (evaluation,) = (stage for stage in stages if stage.kind == "evaluation")
    return find(evaluation, root)


def gate(evaluation, name):
    (found,) = (one for one in evaluation.record.metrics["gates"] if one["name"] == name.value)
    return found


def test_the_numbers_are_those_of_the_bundle_in_this_process(root, url, bundle):
    mine = find(evaluation_of(RECIPE, BUNDLE), root)
    theirs = evaluated(root, url, BUNDLE)
    here, there = read_scored(mine.path), read_scored(theirs.path)
    # A server does not have the AV as its training began.
    here = here.where(here["predictor"] != Predictor.UNTRAINED)
    for name in ("host", "predictor", "sample", "passage_id", "position", "explanation"):
        assert here[name].tolist() == there[name].tolist(), name
    for name in (*NUMBERS, "log_prob", "num_tokens"):
        np.testing.assert_allclose(
            here[name].astype(float), there[name].astype(float), rtol=1e-5, atol=1e-5, err_msg=name
        )
    is_read_N = ~here["is_failed"][here["predictor"] == Predictor.SAMPLED].astype(bool)
    assert is_read_N.sum() > 10  # there is something to be equal; how much differs by machine
    numbers = [read_numbers(one.path / NUMBERS_NAME) for one in (mine, theirs)]
    count, largest = numbers[0].largest_difference(numbers[1])
    assert count > 200 and largest < 1e-4
    # What it learned from is upstream, and was looked through.
    assert "bundle" in {one.record.kind for one in lineage(theirs, root)}
    assert gate(theirs, GateName.LEAKAGE)["is_passed"]
    assert theirs.record.metrics["num_artifacts_checked"] > 10


def test_of_a_bundle_that_is_not_of_this_root_nobody_knows_what_it_learned_from(root, url):
    evaluation = evaluated(root, url, None)
    assert num_unknown([evaluation], root) == 1
    leakage = gate(evaluation, GateName.LEAKAGE)
    assert not leakage["is_passed"] and "not known here" in leakage["words"]


def test_a_server_that_serves_another_bundle_meanwhile_is_refused(bundle, url):
    here = bundle_digest(bundle)
    with opened_endpoint(ServerPlacement(url=url, model=None), here) as endpoint:
        assert endpoint.digest == here
    with pytest.raises(ValueError, match=f"serves the bundle {here} now; what was begun is of abc"):
        opened_endpoint(ServerPlacement(url=url, model=None), "abc")
    with pytest.raises(ValueError, match="server is none"):
        opened_endpoint(None, here)


def test_keys_make_rows_draw_differently_and_fix_their_draws(url, bundle):
    nla = NLA.load(bundle)
    host, options = nla.hosts[0], {"n": 2, "temperature": 1.0, "max_new_tokens": 24}
    h_D = nla.activation("dear friend, there was rain.", host)
    h_ND, keys = np.stack([h_D] * 3), ["a", "b", "a"]
    with Endpoint(url) as endpoint:
        found = endpoint.verbalize(h_ND, host, keys=keys, **options)
        zeros = endpoint.verbalize_zero(3, host, keys=keys, **options)
        with pytest.raises(ValueError, match="keys holds 2 for 3 activations"):
            endpoint.verbalize(h_ND, host, keys=["a", "b"], **options)
    assert raw(found) == raw(nla.verbalize(h_ND, host, keys=keys, **options))
    assert found[0] != found[1] and raw(found)[0] == raw(found)[2]
    assert raw(zeros) == raw(nla.verbalize_zero(3, host, keys=keys, **options))
    assert raw(zeros)[0] != raw(found)[0]
    assert all(one.num_tokens <= 24 for samples in found for one in samples)


def raw(found):
    return [[one.raw_text for one in samples] for samples in found]
