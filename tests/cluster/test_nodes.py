"""What a cluster has, what its autoscaler may add, and what finds a place on it; without Ray."""

import json
from dataclasses import replace

import pytest

from interlingua.cluster import nodes as nodes_module
from interlingua.cluster.nodes import Cluster, Fit, Node, fit_together, nodes_of, read_config
from interlingua.specs.placement import Workers

ADDRESS = "10.0.0.1:6379"
CONFIG = {
    "max_workers": 5,
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 8}, "max_workers": 0},
        "av": {"resources": {"CPU": 48, "GPU": 4}, "labels": {"role": "av"}, "max_workers": 1},
        # what AWS knows of an instance may be left out
        "extract": {"resources": {"GPU": 1}, "labels": {"role": "extract"}, "max_workers": 9},
        "none": {"resources": {"GPU": 99}, "max_workers": 0},
    },
}


class FakeRay:
    """The nodes of a cluster, as Ray tells them."""

    def __init__(self, *nodes):
        self._nodes = nodes

    def nodes(self):
        return [
            {
                "NodeManagerHostname": name, "NodeID": name, "Alive": name != "dead",
                "Labels": {"role": name, "ray.io/node-group": name},
                "Resources": resources,
            }
            for name, resources in self._nodes
        ]  # fmt: skip


def grown(monkeypatch, *nodes, config=CONFIG, is_known=True):
    monkeypatch.setattr(nodes_module, "_asked_head", lambda ray: (is_known, config))
    return Cluster(FakeRay(*nodes))


HEAD = ("head", {"CPU": 8.0, "memory": 4e9})


def test_nodes_are_those_that_are_alive():
    found = nodes_of(FakeRay(HEAD, ("dead", {"CPU": 4.0}), ("av", {"CPU": 4.0, "GPU": 2.0})))
    assert [(n.name, n.label, n.cpus, n.gpus, n.memory, n.type) for n in found] == [
        ("head", "head", 8, 0, 4_000_000_000, "head"), ("av", "av", 4, 2, None, "av"),
    ]  # fmt: skip


def test_as_many_nodes_of_a_type_may_be_added_as_its_file_says(monkeypatch):
    added = grown(monkeypatch, HEAD).added()
    assert added.is_known
    assert [(node.type, node.label, node.gpus) for node in added.nodes] == [
        ("av", "av", 4), *[("extract", "extract", 1)] * 5,
    ]  # fmt: skip
    there = grown(monkeypatch, HEAD, ("av", {"CPU": 48.0, "GPU": 4.0}), ("extract", {"GPU": 1.0}))
    assert [node.type for node in there.added().nodes] == ["extract"] * 4


def test_a_node_whose_type_ray_was_not_told_is_known_by_its_label_and_cards(monkeypatch):
    class Untold(FakeRay):
        def nodes(self):
            return [node | {"Labels": {"role": node["NodeID"]}} for node in super().nodes()]

    monkeypatch.setattr(nodes_module, "_asked_head", lambda ray: (True, CONFIG))
    there = Cluster(Untold(HEAD, ("av", {"CPU": 48.0, "GPU": 4.0})))
    assert {node.type for node in there.added().nodes} == {"extract"}


def test_what_fits_later_is_what_node_types_have(monkeypatch):
    cluster = grown(monkeypatch, HEAD)
    small, four = Workers(count=1, cpus=8, gpus=0), Workers(count=1, cpus=48, gpus=4)
    assert cluster.fit([(small,)]) is Fit.NOW
    assert cluster.fit([(four,)]) is Fit.LATER
    assert cluster.fit([(four, four)]) is Fit.NEVER
    assert cluster.fit([(replace(four, cpus=49),)]) is Fit.NEVER
    assert cluster.fit([(replace(four, node_label="extract"),)]) is Fit.NEVER
    assert cluster.fit([(Workers(count=5, cpus=100, gpus=1, node_label="extract"),)]) is Fit.LATER


def test_where_there_is_no_autoscaler_nothing_is_added_and_where_nobody_knows_it_may(monkeypatch):
    four = (Workers(count=1, cpus=48, gpus=4),)
    assert grown(monkeypatch, HEAD, config=None).fit([four]) is Fit.NEVER
    assert grown(monkeypatch, HEAD, config=None, is_known=False).fit([four]) is Fit.LATER


def test_of_a_cluster_of_our_own_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(nodes_module, "_asked_head", lambda ray: pytest.fail("asked"))
    cluster = Cluster(FakeRay(HEAD), is_private=True)
    assert cluster.fit([(Workers(count=1, cpus=9, gpus=0),)]) is Fit.NEVER


def process(folder, number, *words):
    (folder / str(number)).mkdir()
    (folder / str(number) / "cmdline").write_bytes("\0".join(words).encode() + b"\0")


def test_the_file_of_the_autoscaler_is_found_among_the_processes_of_the_head(tmp_path):
    assert read_config(ADDRESS, tmp_path) == (False, None)
    mine, other = tmp_path / "mine.json", tmp_path / "other.yaml"
    mine.write_text(json.dumps(CONFIG))
    other.write_text("max_workers: 1")
    monitor = ("python", "-u", "/x/ray/autoscaler/v2/monitor.py")
    process(tmp_path, 1, "python", "-m", "jobs.run", f"--gcs-address={ADDRESS}")
    process(tmp_path, 2, *monitor, "--gcs-address=10.0.0.2:1", f"--autoscaling-config={other}")
    assert read_config(ADDRESS, tmp_path) == (False, None)
    process(tmp_path, 3, *monitor, f"--gcs-address={ADDRESS}", f"--autoscaling-config={mine}")
    assert read_config(ADDRESS, tmp_path) == (True, CONFIG)


def test_a_head_whose_monitor_has_no_file_adds_nothing(tmp_path):
    process(tmp_path, 7, "python", "-u", "/x/monitor.py", f"--gcs-address={ADDRESS}")
    assert read_config(ADDRESS, tmp_path) == (True, None)


def test_memory_is_shared_out_as_cores_are():
    node = Node("n", None, cpus=8, gpus=0, memory=10)
    six = (Workers(count=1, cpus=1, gpus=0, memory=6),)
    assert fit_together([six], [node])
    assert not fit_together([six, six], [node])
    assert fit_together([six, six], [replace(node, memory=None)])
    assert fit_together([(Workers(count=10, cpus=0.8, gpus=0),)], [node])  # no dust of sums


def test_trainings_roles_and_readers_are_let_in_beside_each_other_as_one():
    """Of 16 cards a training has 8, reading 4; three roles of 4 + 2 + 2 find no place."""
    training = (Workers(count=8, cpus=1, gpus=1),)
    reading = (Workers(count=4, cpus=1, gpus=1),)
    roles = tuple(Workers(count=n, cpus=1, gpus=1) for n in (4, 2, 2))
    own = (Workers(count=1, cpus=4, gpus=1),)
    there = [Node(f"n{n}", None, cpus=64, gpus=8) for n in range(2)]
    assert fit_together([training, reading, own], there)
    assert fit_together([training, roles], there)
    assert not fit_together([training, reading, roles], there)
    assert not fit_together([training, roles, own], there)
