"""`python -m jobs.gallery` as people run it."""

import json
from functools import partial

import pytest

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture
def gallery(run_job):
    return partial(run_job, "jobs.gallery")


def test_examples_of_a_bundle_are_recorded_and_put_into_one_page(gallery, bundle, tmp_path):
    recorded, page = tmp_path / "new" / "mini.json", tmp_path / "mini.html"
    code, out, err = gallery(f"mini={bundle}", "--out", recorded)
    assert code == 0, err
    content = json.loads(recorded.read_text())
    tags = [host.tag for host in world_mini().hosts]
    examples = content["examples"]
    assert {one["host"] for one in examples} == set(tags)
    assert all(3 <= sum(one["host"] == tag for one in examples) <= 6 for tag in tags)
    assert content["made"]["bundles"][0]["name"] == "mini"
    assert f"{len(examples)} examples" in out and str(recorded) in out
    code, out, err = gallery("--from", recorded, "--page", page)
    assert code == 0, err
    assert examples[0]["passage_id"] in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give bundles, or --endpoint, or --from"),
        (
            ["--from", "a.json", "--endpoint", "http://127.0.0.1:1", "--out", "b"],
            "give bundles, or",
        ),
        (["--from", "a.json"], "give --out for the recording"),
        (["--from", "nowhere.json", "--page", "b.html"], "nowhere.json"),
        (["nowhere", "--out", "b.json"], "nowhere"),
        (["--endpoint", "http://127.0.0.1:1", "--out", "b.json"], "cannot be reached"),
    ],
)
def test_mistakes_are_told_in_one_line(gallery, arguments, told):
    code, _, err = gallery(*arguments)
    assert code == 1 and err.count("\n") == 1 and told in err


def test_an_evaluation_that_is_none_is_named(gallery, bundle, tmp_path):
    code, _, err = gallery(bundle, "--evaluation", bundle, "--out", tmp_path / "b.json")
    assert code == 1 and "is no finished evaluation" in err
