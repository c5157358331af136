"""Extraction broken off anywhere and resumed has every row once; an orphan writes nothing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from interlingua.cluster.local import LocalPool, local_context
from interlingua.specs.extraction import TokenPositions
from interlingua.stages.rows import block_reader
from interlingua.stages.rows.activations import activations_stage
from interlingua.stages.rows.block_reader import Block, BlockReader, Job
from interlingua.stages.rows.passages import passages_stage
from interlingua.store import blocks
from interlingua.store.artifact import build, folder
from interlingua.store.lock import exclusive
from interlingua.store.partial import claimed, latest_folder
from interlingua.store.rows.shards import block_folder, list_shards, read_shard

TOKENS = TokenPositions(per_passage=3, min_position=5, seed=0)


class Broken(Exception):
    """Stands for whatever ends a process in the middle of its work."""


class CountingPool(LocalPool):
    """Counts the passages that were taken from the stage and not yet given back."""

    def __init__(self):
        self.num_items, self.num_alive, self.most_alive = 0, 0, 0

    def map(self, worker, job, items, workers):
        for result in super().map(worker, job, self._taken(items), workers):
            self.num_alive -= result["num_passages"]
            yield result

    def _taken(self, items):
        for item in items:
            self.num_items += 1
            self.num_alive += len(item.passages)
            self.most_alive = max(self.most_alive, self.num_alive)
            yield item


def keys_and_vectors(artifact, block_index):
    """Every row as it lies in the files, in the order of id and position."""
    shards = [read_shard(path) for path in list_shards(block_folder(artifact.path, block_index))]
    keys = [
        (passage_id.decode(), int(position))
        for shard in shards
        for passage_id, position in zip(
            shard.rows.passage_ids_N, shard.rows.positions_N, strict=True
        )
    ]
    vectors = np.concatenate([shard.rows.vectors_ND for shard in shards])
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [keys[i] for i in order], vectors[order]


def assert_same_rows(one, other):
    for block_index in one.record.spec["block_indices"]:
        one_keys, one_ND = keys_and_vectors(one, block_index)
        other_keys, other_ND = keys_and_vectors(other, block_index)
        assert one_keys == other_keys
        np.testing.assert_allclose(one_ND, other_ND, rtol=1e-5, atol=1e-6)


def files_of(path):
    """What tells whether a file was written again."""
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file()}


def broken_at(monkeypatch, name, limit):
    """Let a function of the worker, or of the stage, be called `limit` times, then raise."""
    calls, where = [], blocks if name == "keep_blocks" else block_reader
    real = getattr(where, name)

    def call(*arguments, **named):
        if len(calls) == limit:
            raise Broken
        calls.append(name)
        return real(*arguments, **named)

    monkeypatch.setattr(where, name, call)


# Two shards a block, in five blocks.
BREAKS = [("begin_block", 0), ("begin_block", 3), ("write_shard", 4), ("write_shard", 5),
          ("end_block", 2), ("keep_blocks", 0)]  # fmt: skip


@pytest.mark.parametrize(("name", "limit"), BREAKS)
def test_a_broken_extraction_resumed_equals_an_undisturbed_one(
    name, limit, stage_of, own_root, undisturbed, context, fit_passages
):
    stage = stage_of()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
        broken_at(patch, name, limit)
        build(stage, own_root, context)
    resumed = build(stage, own_root, context)
    assert_same_rows(resumed, undisturbed())
    wanted = {passage.passage_id for passage in fit_passages}
    keys, _ = keys_and_vectors(resumed, 0)
    assert len(keys) == len(wanted) and {passage_id for passage_id, _ in keys} == wanted
    assert len(wanted) > 4 * context.placement.extraction.block_passages
    same = ("num_passages", "num_tokens", "num_rows", "num_without_rows", "num_not_finite")
    for metric in same:
        assert resumed.record.metrics[metric] == undisturbed().record.metrics[metric]


def test_token_rows_survive_a_break_too(stage_of, own_root, undisturbed, context, pooled_spec):
    spec = replace(pooled_spec, read=TOKENS)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
        broken_at(patch, "write_shard", 5)
        build(stage_of(spec), own_root, context)
    resumed = build(stage_of(spec), own_root, context)
    assert_same_rows(resumed, undisturbed(spec))
    keys, _ = keys_and_vectors(resumed, 0)
    assert set(Counter(passage_id for passage_id, _ in keys).values()) == {3}


def test_finished_blocks_are_not_read_again(monkeypatch, stage_of, own_root, context):
    stage = stage_of()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
        broken_at(patch, "begin_block", 3)
        build(stage, own_root, context)
    partial = latest_folder(folder(stage, own_root))
    shards = files_of(block_folder(partial, 0)) | files_of(block_folder(partial, 2))
    assert len(shards) == 2 * 3
    pool = CountingPool()
    artifact = build(stage, own_root, local_context(context.placement, pool))
    after = files_of(artifact.path)
    for path, stamp in shards.items():
        assert after[artifact.path / path.relative_to(partial)] == stamp
    assert pool.num_items == len(list_shards(block_folder(artifact.path, 0))) - 3 > 0


@pytest.mark.parametrize("sizes", [(8, 5), (5, 8), (4, 100), (8, 3, 8), (3, 8, 3)])
def test_blocks_of_another_size_give_the_same_rows(
    sizes, stage_of, own_root, undisturbed, blocks_of
):
    stage = stage_of()
    for size in sizes[:-1]:
        # Between the shards of the third block and the note that it is done.
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
            broken_at(patch, "end_block", 2)
            build(stage, own_root, blocks_of(size))
    artifact = build(stage, own_root, blocks_of(sizes[-1]))
    assert_same_rows(artifact, undisturbed())
    num_blocks = -(-artifact.record.metrics["num_passages"] // sizes[-1])
    for folder_name in ("output_of_block_000", "output_of_block_002", "done"):
        assert len(list((artifact.path / folder_name).iterdir())) == num_blocks


def test_a_note_never_vouches_for_shards_of_other_blocks(
    stage_of, own_root, undisturbed, blocks_of
):
    """Blocks of 8, then of 3 but killed between shards and note, then of 8 again."""
    stage = stage_of()
    for size, name, limit in ((8, "begin_block", 2), (3, "end_block", 0)):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
            broken_at(patch, name, limit)
            build(stage, own_root, blocks_of(size))
    assert_same_rows(build(stage, own_root, blocks_of(8)), undisturbed())


def test_an_orphan_cannot_publish(host_folder, pooled_spec, fit_passages, tmp_path):
    """The lock was taken over while a worker of the old owner was still reading."""
    target = tmp_path / "kind" / "name"
    target.parent.mkdir()
    passages = tuple(fit_passages[:3])
    job = Job(
        spec=replace(pooled_spec, block_indices=(0,)),
        source=str(host_folder),
        revision=None,
        device="cpu",
        batch_tokens=512,
        threads=1,
    )
    with exclusive(target) as lock:
        old = claimed(lock)
        for made in (block_folder(old, 0), old / "done"):
            made.mkdir()
    with exclusive(target) as lock:
        new = claimed(lock)
        before = files_of(new)
        with pytest.raises(FileNotFoundError):
            BlockReader(job)(Block(0, passages, old))
        assert not old.exists() and files_of(new) == before
        BlockReader(job)(Block(0, passages, new))
        # rows, the note that they are done, and how much memory that took
        assert len(files_of(new)) == len(before) + 3


def test_memory_holds_one_block_however_many_passages_there_are(
    recipe, stage_of, own_root, context, pooled_spec
):
    """Of the passages, the stage has one block in its hands, and asks for the next one after it."""
    corpus = recipe.passages.corpus
    larger = replace(corpus, num_passages=4 * corpus.num_passages)
    spec = replace(recipe.passages, corpus=larger)
    more = passages_stage(spec)
    build(more, own_root, context)
    host = stage_of().inputs.host
    most, num_passages = [], []
    for passages in (passages_stage(recipe.passages), more):
        pool = CountingPool()
        stage = activations_stage(host, passages, pooled_spec)
        artifact = build(stage, own_root, local_context(context.placement, pool))
        most.append(pool.most_alive)
        num_passages.append(artifact.record.metrics["num_passages"])
    assert num_passages[1] > 3 * num_passages[0]
    assert most == [context.placement.extraction.block_passages] * 2
