"""Through the Ray backend a host is opened once for all its splits, and rows are as without Ray."""

import os
import signal
import sys
import uuid
from dataclasses import replace

import pytest
from safetensors.numpy import load_file

from interlingua.cluster.local import local_context
from interlingua.cluster.schedule import RayBackend
from interlingua.recipes.world import world_mini
from interlingua.specs.placement import Workers
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows import activations
from interlingua.stages.rows.block_reader import BlockReader
from interlingua.store.artifact import build, find

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HOSTS = ("toy-gpt2-medium", "toy-lfm-7b")
TWO = Workers(count=2, cpus=1, gpus=0)


class Silent:
    """A watcher that nobody needs."""

    def on_preflight(self, lines):
        pass

    def on_done(self, stage, artifact):
        pass

    def on_tick(self, running):
        pass


class CountedReader(BlockReader):
    """Leaves a mark in the run root when it has opened its host."""

    def __init__(self, job):
        super().__init__(job)
        self._has_read = False

    def __call__(self, block):
        if not self._has_read:
            (self._root(block) / "opened" / self._job.spec.host_tag / uuid.uuid4().hex).touch()
        self._has_read = True
        return super().__call__(block)

    def _root(self, block):
        return block.out.parents[1]


class ReaderKilledOnce(CountedReader):
    """Dies in the second block of the last split of a host, the first time."""

    def __call__(self, block):
        counts = super().__call__(block)
        if block.index == 1 and "-test-" in block.out.name:
            try:
                (self._root(block) / "killed").open("x").close()
            except FileExistsError:
                return counts
            os.kill(os.getpid(), signal.SIGKILL)
        return counts


class Substituting:
    """A pool with another reader in the place of the usual one."""

    def __init__(self, pool, reader):
        self._pool, self._reader = pool, reader

    def map(self, worker, job, items, workers):
        assert worker is BlockReader
        return self._pool.map(self._reader, job, items, workers)


def run_counted(spec, inputs, out, context):
    pool = Substituting(context.pool, CountedReader)
    return activations.run(spec, inputs, out, replace(context, pool=pool))


def run_killed_once(spec, inputs, out, context):
    pool = Substituting(context.pool, ReaderKilledOnce)
    return activations.run(spec, inputs, out, replace(context, pool=pool))


@pytest.fixture(scope="module")
def on_head(ray_head):
    """Stages go to the head of the session; its workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
            patch.setenv(name, value)
        yield
    cloudpickle.unregister_pickle_by_value(module)


def root_on(mini_root, path):
    """A run root of its own: all but the activations are the session's."""
    for kind in ("passages", "host"):
        (path / kind).symlink_to(mini_root / kind)
    for tag in HOSTS:
        (path / "opened" / tag).mkdir(parents=True)
    return path


def read_by_ray(run, workers, root):
    """Every split of two hosts of the mini recipe, read by the Ray backend in small blocks."""
    recipe = world_mini()
    place = replace(recipe.placement.extraction, workers=workers, block_passages=7)
    stages = [
        replace(stage, run=run)
        for stage in graph_of(recipe)
        if stage.kind == "activations" and stage.spec.host_tag in HOSTS
    ]
    upstream = {one.key: one for stage in stages for one in stage.upstream.values()}
    context = local_context(replace(recipe.placement, extraction=place))
    RayBackend().build_all([*upstream.values(), *stages], root, context, Silent())
    return stages


def num_opened(root):
    return {tag: len(list((root / "opened" / tag).iterdir())) for tag in HOSTS}


def rows(artifact):
    """Every array of every shard, to the bit; the order of a file's own header is not fixed."""
    return {
        (path.parent.name, path.name, name): array.tobytes()
        for path in artifact.path.glob("output_of_block_*/shard-*")
        for name, array in load_file(path).items()
    }


PLACES = pytest.mark.parametrize(
    "workers", [None, TWO], ids=["own process", "two workers"], scope="module"
)


@pytest.fixture(scope="module")
def read(workers, on_head, mini_root, tmp_path_factory):
    """What was read in this place, and the root in which it lies."""
    root = root_on(mini_root, tmp_path_factory.mktemp("read"))
    return read_by_ray(run_counted, workers, root), root


@pytest.fixture(scope="module")
def alone(mini_root, tmp_path_factory):
    """The artifact that a stage has where it is built in this process."""
    root = root_on(mini_root, tmp_path_factory.mktemp("alone"))
    recipe = world_mini()
    place = replace(recipe.placement.extraction, block_passages=7)
    context = local_context(replace(recipe.placement, extraction=place))
    return lambda stage: build(replace(stage, run=activations.run), root, context)


@PLACES
def test_a_host_is_opened_once_a_worker_for_all_its_splits(workers, read):
    stages, root = read
    assert len(stages) == 4 + 3  # fit, dev, what both models learn from, test; held out: no third
    assert len({find(stage, root).path for stage in stages}) == len(stages)
    most = 1 if workers is None else workers.count
    assert all(1 <= times <= most for times in num_opened(root).values())


@PLACES
def test_the_rows_are_those_of_one_process_to_the_bit(workers, read, alone):
    stages, root = read
    for stage in stages:
        ours, theirs = find(stage, root), alone(stage)
        assert rows(theirs) == rows(ours) != {}
        for name in ("num_passages", "num_tokens", "num_rows", "num_not_finite"):
            assert ours.record.metrics[name] == theirs.record.metrics[name]


@PLACES
def test_a_reader_that_dies_costs_no_row_and_no_other_split(workers, on_head, mini_root, tmp_path):
    root = root_on(mini_root, tmp_path)
    stages = read_by_ray(run_killed_once, workers, root)
    assert (root / "killed").exists()
    for stage in stages:
        found = find(stage, root)
        assert found.record.metrics["num_rows"] == found.record.metrics["num_passages"] > 0
    most = 1 if workers is None else workers.count
    assert sum(num_opened(root).values()) <= 2 * most + 1  # the dead one's successor opens anew
