"""serve/dev.yaml and serve/cluster.yaml: Serve takes them, and what they name is built."""

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import yaml
from ray.serve._private.build_app import build_app
from ray.serve.schema import ServeDeploySchema

from interlingua.cluster.serve_file import spec_of
from interlingua.cluster.serving import _backend, application
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.own.serve_spec import ServeSpec
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.store.bundle import BundleDamaged
from serve.app import build

REPOSITORY = Path(__file__).parents[2]
FILES = ["dev.yaml", "cluster.yaml"]
PARTS = {"hosts", "av", "ar", "ingress"}


def application_of(name):
    """The one application of a file, once Serve's own schema took the file."""
    content = yaml.safe_load((REPOSITORY / "serve" / name).read_text())
    ServeDeploySchema.model_validate(content)
    [found] = content["applications"]
    return found


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


def arguments(bundle, /, **others):
    return {"bundles": {"toy": str(bundle)}, "token_from": None, **others}


def deployments(bound):
    """Those of an application, by name; no handles are made of them, which would start Ray."""
    built = build_app(bound, name="test", make_deployment_handle=lambda one, _: one.name)
    return {one.name: one for one in built.deployments}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_what_a_file_says_is_built_and_set(name, bundle, monkeypatch):
    asked = application_of(name)
    assert asked["import_path"] == "serve.app:build"
    (served,) = asked["args"]["bundles"]
    given = asked["args"] | {"bundles": {served: str(bundle)}}
    if variable := given["token_from"]:
        monkeypatch.setenv(variable, "secret")
    built = deployments(build(given))
    assert built.keys() == PARTS
    for settings in asked["deployments"]:
        one = built[settings.pop("name")].options(**settings)
        assert one.ray_actor_options.items() >= settings.get("ray_actor_options", {}).items()


def test_an_ingress_has_the_variables_of_who_builds_it_beside_its_own(monkeypatch):
    """Serve adds none where a deployment has some; it would not find the package."""
    context = SimpleNamespace(runtime_env={"env_vars": {"PYTHONPATH": "platform"}})
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    ingress = deployments(application(ServeSpec(bundles={})))["ingress"]
    variables = ingress.ray_actor_options["runtime_env"]["env_vars"]
    assert variables == {"PYTHONPATH": "platform", "MALLOC_ARENA_MAX": "1"}


def test_in_a_cluster_a_token_is_needed_and_no_part_is_where_its_device_is_not():
    content = application_of("cluster.yaml")
    assert content["args"]["token_from"]
    nodes = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())["available_node_types"]
    asked = {one["name"]: one for one in content["deployments"]}
    assert content["args"]["parts"] == {part: {"device": "cuda"} for part in PARTS - {"ingress"}}
    for part in content["args"]["parts"]:
        options, most = asked[part]["ray_actor_options"], asked[part]["autoscaling_config"]
        [node] = [
            node for node in nodes.values() if options["label_selector"] == node["labels"]
        ]  # fmt: skip
        gpus = node["max_workers"] * node["resources"]["GPU"]
        assert 0 < options["num_gpus"] * most["max_replicas"] <= gpus


def test_on_one_machine_nobody_else_is_let_in_without_a_token():
    content = yaml.safe_load((REPOSITORY / "serve/dev.yaml").read_text())
    assert content["http_options"]["host"] == "127.0.0.1"


@pytest.mark.slow
def test_all_that_args_may_have_is_in_what_is_served(bundle, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    spec = spec_of(
        arguments(
            bundle,
            token_from="A_TOKEN",
            origins=["https://a.example"],
            limits={"max_rows": 7, "timeout_s": 3},
            most_open=2,
            parts={"av": {"device": "cuda", "num_threads": 3}},
        )
    )
    assert spec.bundles == {"toy": str(bundle)} and spec.most_open == 2
    assert (spec.settings.token, spec.settings.origins) == ("secret", ("https://a.example",))
    assert spec.limits == Limits(max_rows=7, timeout_s=3)
    assert (spec.replicas("av").device, spec.replicas("av").num_threads) == ("cuda", 3)
    assert spec.replicas("ar").device == "cpu"


@pytest.mark.slow
def test_clients_are_shown_the_devices_of_the_parts(bundle):
    spec = spec_of(arguments(bundle, parts={"av": {"device": "cuda"}}))
    card = _backend("toy", spec.bundles["toy"], spec, None, None, None).card
    assert card.devices == {"hosts": "cpu", "av": "cuda", "ar": "cpu"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bundle": {}}, "args.bundle: there is no such field"),
        ({"limits": {"max_rowz": 1}}, "args.limits.max_rowz: there is no such field"),
        ({"limits": {"max_rows": "1"}}, "args.limits.max_rows: .* integer"),
        ({"parts": {"av": {"least": 1}}}, "args.parts.av.least: .* stand in `deployments`"),
        ({"parts": {"av": {"num_threads": 0}}}, "args.parts.av.num_threads: .* greater"),
        ({"parts": {"actor": {}}}, "args.parts.actor"),
        ({"bundles": {}}, "args.bundles: .* at least 1"),
        ({"bundles": ["x"]}, "args.bundles: .* object"),
        ({"most_open": 0}, "most_open is 0"),
        ({"token_from": "NOT_SET_HERE"}, "args.token_from is NOT_SET_HERE, which is not set on"),
        ({"bundles": {"a": "no/such-*"}}, r"args.bundles.a is no/such-\*; .* no bundle at /.*such"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(changed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifest.json").touch()
    monkeypatch.setattr("interlingua.cluster.serve_file.read_manifest", lambda path: None)
    with pytest.raises(ValueError, match=message):
        spec_of(arguments(tmp_path, **changed))


def test_who_may_ask_must_be_said(tmp_path):
    with pytest.raises(ValueError, match="args.token_from: Field required"):
        spec_of({"bundles": {"a": "/x"}})


@pytest.mark.slow
def test_of_a_pattern_the_newest_whole_bundle_is_taken(bundle, tmp_path, monkeypatch):
    for age, name in enumerate(["demo-rl-a.owner.partial", "demo-rl-b", "demo-rl-c", "other"]):
        copy = shutil.copytree(bundle, tmp_path / name)
        os.utime(copy / "manifest.json", (2**30 - age, 2**30 - age))
    (tmp_path / "demo-rl-empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for given in ("demo-rl-*", f"{tmp_path}/demo-rl-*"):
        assert spec_of(arguments(given)).bundles == {"toy": f"{tmp_path}/demo-rl-b"}
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "demo-rl-empty"))):
        spec_of(arguments("demo-rl-empty"))
    (tmp_path / "other/manifest.json").write_text("{}")
    with pytest.raises(BundleDamaged):
        spec_of(arguments("other"))
