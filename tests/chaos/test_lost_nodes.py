"""A node of a cluster is lost in the middle of an extraction: every row is there, once."""

import os
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.session import ray_session, read_authentication_again
from interlingua.recipes.world import world_mini
from interlingua.specs.placement import Workers
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.block_reader import BlockReader
from interlingua.store.artifact import build, find
from interlingua.store.rows.shards import block_folder, list_shards, read_shard

pytestmark = pytest.mark.ray

BLOCK_PASSAGES = 3


@pytest.fixture
def cluster(monkeypatch):
    """A head without CPUs and two nodes with room for one worker each."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: socket paths end at 107 characters
    (folder / "ray").mkdir()
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(folder),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    read_authentication_again()
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False},
    )
    try:
        monkeypatch.setenv("RAY_ADDRESS", made.address)
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


class MeetingReader(BlockReader):
    """Reads its first block when the worker of the other node has one, too."""

    def __call__(self, block):
        folder = block.out.parent / "met"
        folder.mkdir(exist_ok=True)
        (folder / str(os.getpid())).touch()
        while len(list(folder.iterdir())) < 2:
            time.sleep(0.01)
        return super().__call__(block)


class NodeLosingPool(RayPool):
    """The pool of the cluster, in which a node is lost while its worker has an item."""

    def __init__(self, lose):
        self._lose = lose
        self.num_results = 0

    def map(self, worker, job, items, workers):
        for result in super().map(MeetingReader, job, items, workers):
            self.num_results += 1
            if self.num_results == 4:
                self._lose()
            yield result


def rows(artifact):
    """Every row as it lies in the files, by passage id."""
    [block_index] = artifact.record.spec["block_indices"]
    shards = [
        read_shard(path).rows for path in list_shards(block_folder(artifact.path, block_index))
    ]
    pairs = [
        (passage_id, vector_D)
        for shard in shards
        for passage_id, vector_D in zip(shard.passage_ids_N, shard.vectors_ND, strict=True)
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_node_lost_in_mid_extraction_costs_no_row(cluster, mini_root, tmp_path, is_replaced):
    recipe = world_mini()
    [stage] = [s for s in graph_of(recipe) if s.name == "activations/toy-gpt2-medium-fit"]
    for kind in ("passages", "host"):
        (tmp_path / kind).symlink_to(mini_root / kind)
    place = replace(
        recipe.placement.extraction,
        block_passages=BLOCK_PASSAGES,
        workers=Workers(count=2, cpus=1, gpus=0),
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def lose():
        cluster.remove_node(nodes[1], allow_graceful=False)
        if is_replaced:
            cluster.add_node(num_cpus=1)

    # The nodes do not import this file.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with ray_session():
        cluster.wait_for_nodes()
        pool = NodeLosingPool(lose)
        context = local_context(replace(recipe.placement, extraction=place), pool)
        artifact = build(stage, tmp_path, context)
    expected = rows(find(stage, mini_root))
    found = rows(artifact)
    assert found.keys() == expected.keys() and len(found) > 10 * BLOCK_PASSAGES
    for passage_id, vector_D in found.items():
        np.testing.assert_allclose(vector_D, expected[passage_id], rtol=1e-5, atol=1e-6)
