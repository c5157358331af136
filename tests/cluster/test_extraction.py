"""A pool of actors gives what one process gives, whatever dies; and failures keep their names."""

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from interlingua.cluster.extraction import DEATHS_SURVIVED, PoolLost, RayPool
from interlingua.cluster.local import LocalPool, local_context
from interlingua.cluster.session import ray_session
from interlingua.recipes.world import world_mini
from interlingua.specs.placement import Workers
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.block_reader import BlockReader
from interlingua.store.artifact import build, find, folder
from interlingua.store.rows.shards import block_folder, list_shards, read_shard

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ONE = Workers(count=1, cpus=1, gpus=0)
TWO = Workers(count=2, cpus=1, gpus=0)


@dataclass(frozen=True, slots=True)
class Folder:
    """A toy job: where workers leave their marks."""

    path: Path


class Uncopyable(Exception):
    """An error that can be raised in one process, but not be made again in another."""

    def __init__(self, left, right):
        super().__init__(f"{left} and {right}")


class Doubler:
    """Returns twice the item, and which process did it."""

    def __init__(self, job):
        self._job = job

    def __call__(self, item):
        return 2 * item, os.getpid()


class KilledOnce(Doubler):
    """Dies in its third item, the first time that anybody works on it."""

    def __call__(self, item):
        with (self._job.path / f"{item}").open("a") as file:
            file.write("attempt\n")
        if item == 3 and is_first(self._job.path / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(item)


class AlwaysKilled(Doubler):
    """Dies with every item."""

    def __call__(self, item):
        with (self._job.path / "attempts").open("a") as file:
            file.write("attempt\n")
        os.kill(os.getpid(), signal.SIGKILL)


class Raising(Doubler):
    """Fails at item 2."""

    def __call__(self, item):
        if item == 2:
            raise LookupError(f"no {item} in any place")
        return super().__call__(item)


class NeverMade:
    """Cannot be made, with an error that cannot travel."""

    def __init__(self, job):
        raise Uncopyable("this", "that")


class OneHangs(Doubler):
    """The first item is not finished before all others are."""

    def __call__(self, item):
        if item > 0:
            (self._job.path / str(item)).touch()
            return super().__call__(item)
        while len(list(self._job.path.iterdir())) < 9:
            time.sleep(0.01)
        return super().__call__(item)


class BlockReaderKilledOnce(BlockReader):
    """Dies when a block's shard is there and the note that it is done is not."""

    def __call__(self, block):
        self._out = block.out
        return super().__call__(block)

    def _header(self, block_index):
        shards = self._out.glob("output_of_block_*/shard-*")
        if len(list(shards)) >= 3 and is_first(self._out.parent / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._header(block_index)


class KillingPool(RayPool):
    """The pool of the cluster, in which one actor is killed in mid-block."""

    def map(self, worker, job, items, workers):
        assert worker is BlockReader
        return super().map(BlockReaderKilledOnce, job, items, workers)


def is_first(path):
    """True for whoever makes the file."""
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    return True


@pytest.fixture(scope="module")
def on_head(ray_head):
    """This process is connected to the head of the session; workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
            patch.setenv(name, value)
        with ray_session():
            yield
    cloudpickle.unregister_pickle_by_value(module)


def mapped(worker, path, items, workers):
    return list(RayPool().map(worker, Folder(path), items, workers))


def extraction(label, workers):
    """The mini recipe's extraction of that label, and a context with small blocks."""
    recipe = world_mini()
    [stage] = [s for s in graph_of(recipe) if (s.kind, s.label) == ("activations", label)]
    place = replace(recipe.placement.extraction, block_passages=7, workers=workers)
    return stage, replace(recipe.placement, extraction=place)


def rows(artifact):
    """Every row as it lies in the files, by passage id and position."""
    [block_index] = artifact.record.spec["block_indices"]
    shards = [
        read_shard(path).rows for path in list_shards(block_folder(artifact.path, block_index))
    ]
    pairs = [
        ((passage_id.decode(), int(position)), vector_D)
        for shard in shards
        for passage_id, position, vector_D in zip(
            shard.passage_ids_N, shard.positions_N, shard.vectors_ND, strict=True
        )
    ]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def assert_same_rows(one, other):
    one, other = rows(one), rows(other)
    assert one.keys() == other.keys() and len(one) > 3 * 7
    for key, vector_D in one.items():
        np.testing.assert_allclose(vector_D, other[key], rtol=1e-5, atol=1e-6)


@pytest.fixture
def own_root(mini_root, tmp_path):
    """A run root of the test's own: all but the activations are the session's."""
    for kind in ("passages", "host"):
        (tmp_path / kind).symlink_to(mini_root / kind)
    return tmp_path


def test_the_stage_gives_the_rows_that_one_process_gives(on_head, own_root, mini_root):
    """Of one host; those of others are compared in test_readers.py."""
    stage, placement = extraction("toy-gpt2-medium-fit", TWO)
    pooled = build(stage, own_root, local_context(placement, RayPool()))
    assert_same_rows(pooled, find(stage, mini_root))
    local = find(stage, mini_root).record.metrics
    for name in ("num_passages", "num_tokens", "num_rows", "num_not_finite"):
        assert pooled.record.metrics[name] == local[name]


def test_an_actor_killed_in_mid_block_costs_no_row(on_head, own_root, mini_root):
    stage, placement = extraction("toy-qwen3-1p7b-fit", TWO)
    artifact = build(stage, own_root, local_context(placement, KillingPool()))
    assert (folder(stage, own_root).parent / "killed").exists()
    assert_same_rows(artifact, find(stage, mini_root))
    assert artifact.record.metrics["num_passages"] == len(rows(artifact))


def test_the_item_of_a_killed_actor_is_tried_again_and_no_other(on_head, tmp_path):
    results = mapped(KilledOnce, tmp_path, range(8), TWO)
    assert sorted(value for value, _ in results) == [2 * item for item in range(8)]
    attempts = {item: (tmp_path / str(item)).read_text().split() for item in range(8)}
    assert {item: len(lines) for item, lines in attempts.items()} == dict.fromkeys(range(8), 1) | {
        3: 2
    }


def test_an_actor_that_always_dies_is_given_up(on_head, tmp_path):
    with pytest.raises(PoolLost, match=f"died {DEATHS_SURVIVED + 1} times"):
        mapped(AlwaysKilled, tmp_path, range(3), ONE)
    assert len((tmp_path / "attempts").read_text().split()) == DEATHS_SURVIVED + 1


def test_what_a_worker_raises_arrives_as_it_was(on_head, tmp_path):
    with pytest.raises(LookupError) as caught:
        mapped(Raising, tmp_path, range(5), TWO)
    assert type(caught.value) is LookupError
    assert caught.value.args == ("no 2 in any place",)


def test_an_error_that_cannot_travel_is_still_told(on_head, tmp_path):
    with pytest.raises(RuntimeError, match="Uncopyable: this and that") as caught:
        mapped(NeverMade, tmp_path, range(2), ONE)
    assert "\n" not in str(caught.value)


def test_more_workers_than_the_cluster_has_room_for_do_not_stop_it(on_head, tmp_path):
    results = mapped(Doubler, tmp_path, range(12), Workers(count=4, cpus=2, gpus=0))
    assert sorted(value for value, _ in results) == [2 * item for item in range(12)]


def test_no_item_needs_no_worker_and_none_is_left_behind(on_head, tmp_path):
    assert mapped(AlwaysKilled, tmp_path, [], TWO) == []
    # The whole cluster is free again: four CPUs for one worker.
    [(value, _)] = mapped(Doubler, tmp_path, [1], Workers(count=1, cpus=4, gpus=0))
    assert value == 2


def test_idle_actors_take_what_a_slow_one_does_not(on_head, tmp_path):
    """The slow one ends only when all others are done: dealt in advance, it would never end."""
    results = mapped(OneHangs, tmp_path, range(10), TWO)
    [slow] = [process for value, process in results if value == 0]
    assert [process for _, process in results].count(slow) == 1
    assert len(results) == 10


def test_items_are_taken_only_when_an_actor_is_free(on_head, tmp_path):
    taken = []

    def items():
        for item in range(6):
            taken.append(item)
            yield item

    for number, _ in enumerate(RayPool().map(Doubler, Folder(tmp_path), items(), TWO), start=1):
        assert len(taken) <= number + TWO.count


def test_a_local_pool_gives_the_same(on_head, tmp_path):
    local = [value for value, _ in LocalPool().map(Doubler, Folder(tmp_path), range(5), ONE)]
    assert local == sorted(value for value, _ in mapped(Doubler, tmp_path, range(5), ONE))
