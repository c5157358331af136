"""cluster.yaml: a file that `ray up` takes, with a node for every role, and no secret in it."""

import json
import re
import shlex
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import (
    prepare_config,
    validate_config,
)

REPOSITORY = Path(__file__).parents[2]
ROLES = {"av", "av_init", "ar"}
COMMANDS = [
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
]


@pytest.fixture
def cluster():
    return yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())


@pytest.fixture
def schema():
    return json.loads(files("ray.autoscaler").joinpath("ray-schema.json").read_text())


def test_it_fits_rays_schema(cluster, schema):
    jsonschema.validate(cluster, schema)


def test_the_schema_would_refuse_a_misspelt_field(cluster, schema):
    cluster["available_node_types"]["av"]["label"] = {"role": "av"}
    with pytest.raises(jsonschema.ValidationError, match="label"):
        jsonschema.validate(cluster, schema)


def test_the_launcher_prepares_it(cluster):
    prepared = prepare_config(cluster)
    validate_config(prepared)
    assert prepared["head_node_type"] == "head"
    for name, node in prepared["available_node_types"].items():
        assert node["labels"] == {"role": name}
    # Nothing is left to Ray's defaults, which install another Ray and open the dashboard to all.
    assert {name: prepared[name] for name in COMMANDS} == {
        "head_setup_commands": cluster["setup_commands"] + cluster["head_setup_commands"],
        "worker_setup_commands": cluster["setup_commands"] + cluster["worker_setup_commands"],
    } | {name: cluster[name] for name in COMMANDS if "start" in name} | {
        "setup_commands": cluster["setup_commands"]
    }


def test_every_role_has_a_node_with_gpus_and_the_head_has_none(cluster):
    nodes = cluster["available_node_types"]
    assert nodes.keys() == ROLES | {"head", "extract"}
    assert all(node["labels"] == {"role": name} for name, node in nodes.items())
    assert "GPU" not in nodes["head"]["resources"]
    assert all(nodes[name]["resources"]["GPU"] >= 1 for name in nodes.keys() - {"head"})
    workers = [node for name, node in nodes.items() if name != "head"]
    assert sum(node["max_workers"] for node in workers) <= cluster["max_workers"]
    spot = {name for name, node in nodes.items() if "InstanceMarketOptions" in node["node_config"]}
    assert spot == {"extract"}
    assert len({node["node_config"]["ImageId"] for node in workers}) == 1


def test_all_nodes_start_with_the_mode_and_the_file_of_one_token(cluster):
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        [start] = [command for command in cluster[name] if "ray start" in command]
        assert "RAY_AUTH_MODE=token" in start.split("ray start")[0].split()
        assert "--dashboard-host=0.0.0.0" not in start
    assert cluster["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    text = (REPOSITORY / "cluster.yaml").read_text()
    assert "RAY_AUTH_TOKEN=" not in text
    assert re.search(r"[0-9a-f]{32}|AKIA[0-9A-Z]{16}", text) is None


def test_what_is_mounted_of_the_checkout_exists_and_pins_every_dependency(cluster):
    mounted = [path for path in cluster["file_mounts"].values() if not path.startswith("~")]
    assert mounted == ["pyproject.toml", "constraints.txt"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=]", each)[0].lower() for each in project["dependencies"]}
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert needed <= pinned


def test_commands_are_whole_shell_commands(cluster):
    commands = [command for name in COMMANDS for command in cluster[name]]
    assert len(commands) > 8
    for command in commands:
        assert shlex.split(command)
        done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
