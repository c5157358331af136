"""Minutes of clients of all kinds, of prompts of every size, of load that comes and goes."""

import os
import signal
import threading
import time
from collections import Counter
from itertools import product

import pytest
from tests.cluster.load import Load, Memory, counts, explained, summary
from tests.cluster.served import started
from tests.serving.schema_fuzz import fuzz

from interlingua.models.bundle.nla import NLA
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.engines.local import opened_backend
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

SECONDS, WARM_SECONDS, WINDOW_SECONDS = 120.0, 30.0, 5.0
FUZZ_SECONDS = 300.0
SCALING_SECONDS = 120.0
CLIENTS = 64
# Parallel requests, words of a prompt, tokens of it to be explained (None: all), tokens drawn.
GRID = ((1, 16, 64), (8, 60), (1, 8, None), (8, 64))


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture(scope="module")
def nla(bundle):
    return NLA.load(bundle)


def parts(server):
    return Counter(server.replicas().values())


def wait_for(server, num_av, seconds=SCALING_SECONDS):
    deadline = time.monotonic() + seconds
    while parts(server)["av"] != num_av:
        assert time.monotonic() < deadline, parts(server)
        time.sleep(0.5)


def test_a_killed_replica_costs_only_what_it_was_at(bundle, nla):
    """And memory stays as it is: of the replica that takes its place, too."""
    with started(f"mini={bundle}", "--replicas", "av=2") as server:
        load = Load(nla, server.port, num_clients=CLIENTS)
        killed = threading.Timer(SECONDS / 4, kill_one, (server,))
        killed.start()
        with Memory(server.replicas) as memory:
            outcomes = load.run(SECONDS)
        killed.join()
        growth = memory.growth(WARM_SECONDS, WINDOW_SECONDS)
        print(summary(outcomes, SECONDS), growth, sep="\n")
        assert parts(server) == {"hosts": 1, "av": 2, "ar": 1, "ingress": 1}
    assert [one for one in outcomes if one.wrong and one.status != 503] == []
    statuses = Counter(one.status for one in outcomes)
    assert max(statuses) == 503 and not statuses.keys() & {0, 500, 502, 504}
    # No more than a replica can have had of what is begun at once.
    assert statuses[503] <= CLIENTS
    assert all(counts(outcomes).values())
    assert Counter(part for part, _ in growth)["av"] == 2
    assert max(growth.values()) < 0.03


def kill_one(server):
    process, *_ = [process for process, part in server.replicas().items() if part == "av"]
    os.kill(process, signal.SIGKILL)


def test_every_cell_of_a_grid_of_prompts_is_answered_or_turned_away(bundle):
    with started(f"mini={bundle}") as server:
        statuses = {cell: Counter(explained(server.port, *cell)) for cell in product(*GRID)}
    total = sum(statuses.values(), Counter())
    print(total, [cell for cell, found in statuses.items() if found[429]])
    assert total.keys() == {200, 429}
    # What one client asks for alone has a place.
    assert all(found == {200: 1} for cell, found in statuses.items() if cell[0] == 1)


def test_replicas_come_with_load_and_go_with_it(bundle, nla):
    with started(f"mini={bundle}", "--replicas", "av=1:2") as server:
        assert parts(server)["av"] == 1
        load = Load(nla, server.port, num_clients=CLIENTS)
        clients = threading.Thread(target=load.run, args=(SCALING_SECONDS / 2,))
        clients.start()
        begun = time.monotonic()
        wait_for(server, 2)
        print(f"two after {time.monotonic() - begun:.0f} s")
        clients.join()
        left = time.monotonic()
        wait_for(server, 1)
        print(f"one {time.monotonic() - left:.0f} s after the last request")
    print(summary(load.outcomes, SCALING_SECONDS / 2))
    assert [one for one in load.outcomes if one.wrong] == []


def test_the_schema_leads_to_no_500(bundle):
    backend = opened_backend(bundle, limits=Limits())
    fuzz(backend, FUZZ_SECONDS)
    backend.close()
