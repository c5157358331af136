"""What is found of nodes before a run: places for workers, and the memory of devices."""

from dataclasses import replace

import pytest

from interlingua.cluster.findings import cluster_findings, memory_finding, seen_nodes
from interlingua.cluster.nodes import Node
from interlingua.cluster.session import ADDRESS_VARIABLE
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.finding import State
from interlingua.specs.placement import Single, Workers

GIB = 2**30
NODE = Node(name="one", label=None, cpus=8, gpus=0, memory=16 * GIB)
WITH_GPU = replace(NODE, name="two", gpus=1, card=80 * GIB)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)


def bad(placement, *nodes):
    return {
        one.subject: one.state
        for one in cluster_findings(placement, nodes)
        if one.state is not State.OK
    }


def test_this_machine_is_seen_without_a_cluster():
    [node] = seen_nodes()
    assert node.cpus >= 2 and node.memory > GIB
    assert bad(ONE_CORE_A_STAGE, node) == {}


def test_what_finds_no_place_is_wrong_here_and_may_come_on_a_cluster(monkeypatch):
    training = replace(ONE_CORE_A_STAGE.training, workers=Workers(count=8, cpus=2, gpus=1))
    placement = replace(ONE_CORE_A_STAGE, training=training)
    assert bad(placement, NODE) == {"placement.training.workers": State.WRONG}
    monkeypatch.setenv(ADDRESS_VARIABLE, "10.0.0.1:6379")
    assert bad(placement, NODE) == {"placement.training.workers": State.UNKNOWN}
    nodes = [replace(WITH_GPU, gpus=4), replace(WITH_GPU, gpus=4, name="three")]
    assert bad(placement, *nodes) == {}


def test_a_device_that_is_not_there_is_wrong():
    place = Single(device="cuda", micro_batch_rows=1, batch_rows=1)
    placement = replace(ONE_CORE_A_STAGE, reinforcing=place)
    assert bad(placement, NODE) == {"placement.reinforcing": State.WRONG}
    assert bad(placement, WITH_GPU) == {}


@pytest.mark.parametrize(
    ("num_bytes", "device", "nodes", "state"),
    [
        (15 * GIB, "cpu", [NODE], State.OK),
        (17 * GIB, "cpu", [NODE], State.WRONG),
        (17 * GIB, "cuda", [NODE, WITH_GPU], State.OK),
        (81 * GIB, "cuda:1", [NODE, WITH_GPU], State.WRONG),
        (81 * GIB, "auto", [WITH_GPU], State.OK),  # spread over several
        (1, "cuda", [NODE], State.UNKNOWN),
    ],
)
def test_weights_beside_the_memory_of_a_device(num_bytes, device, nodes, state):
    assert memory_finding("it", num_bytes, device, nodes).state is state
