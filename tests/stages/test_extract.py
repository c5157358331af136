"""The extraction stage: killed anywhere and resumed it has every row once; nobody else writes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from interlingua.specs.extraction import ExtractSpec, Pooled, TokenPositions
from interlingua.specs.pool import pool_host
from interlingua.specs.splits import Split
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.stages import extract
from interlingua.stages.adopt import adopted_spec
from interlingua.stages.backend import Context, LocalPool
from interlingua.stages.extract import Block, BlockReader, Job, layer_folder
from interlingua.stages.graph import adopted_stage, extraction_stage, passages_stage
from interlingua.stages.passages import PASSAGES_NAME
from interlingua.stages.rows import PooledRows
from interlingua.store.artifact import build, find, folder
from interlingua.store.lock import LockLost, exclusive
from interlingua.store.passages import read_passages
from interlingua.store.shards import CorruptShard, list_shards, read_shard, rows_by_id, write_shard
from interlingua.store.splits import LEDGER_NAME, SplitAccess, SplitViolation, read_consumed
from interlingua.world.hosts import fresh_model, tiny_config
from interlingua.world.text import tellings
from interlingua.world.tokenizers import special_ids, trained_tokenizer

torch.set_num_threads(1)

SPEC = ExtractSpec(
    host_tag="tiny",
    block_indices=(0, 2),
    read=Pooled(include_first=False),
    max_tokens=256,
    dtype="float32",
    splits=(Split.FIT,),
)
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


@pytest.fixture(scope="module")
def host_folder(recipe, tmp_path_factory):
    """A random host of three blocks, saved as Hugging Face saves models."""
    path = tmp_path_factory.mktemp("tiny")
    spec = TokenizerSpec(kind=TokenizerKind.BYTE_BPE, vocab_size=900, has_bos=True, chat=None)
    told = tellings(recipe.passages.world, 0, 200)
    tokenizer = trained_tokenizer(spec, (telling.text for telling in told))
    config = tiny_config(
        pool_host("gpt2-medium"),
        width=32,
        num_blocks=3,
        num_heads=4,
        vocab_size=len(tokenizer),
        max_positions=256,
        special_ids=special_ids(tokenizer),
    )
    fresh_model(config, seed=0).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def stage_of(recipe, host_folder):
    """Extraction from the tiny host, by its spec."""
    host = adopted_stage(adopted_spec("tiny", str(host_folder), None))
    return lambda spec=SPEC: extraction_stage(host, passages_stage(recipe), spec)


@pytest.fixture
def own_root(recipe, root, stage_of, context, tmp_path):
    """A run root of the test's own, in which the inputs are built."""
    (tmp_path / "passages").symlink_to(root / "passages")
    build(stage_of().inputs["host"], tmp_path, context)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(stage_of, root, context):
    """The artifact of an extraction that nothing disturbed, by its spec."""
    build(stage_of().inputs["host"], root, context)
    return lambda spec=SPEC: build(stage_of(spec), root, context)


def blocks_of(context, block_passages):
    """The same context with blocks of another size."""
    place = replace(context.placement.extraction, block_passages=block_passages)
    return replace(context, placement=replace(context.placement, extraction=place))


def passages_of(recipe, root, split):
    path = find(passages_stage(recipe), root).path / PASSAGES_NAME
    return list(read_passages(path, {split}, SplitAccess({split})))


def keys_and_vectors(artifact, block_index):
    """Every row as it lies in the files, in the order of id and position."""
    shards = [read_shard(path) for path in list_shards(layer_folder(artifact.path, block_index))]
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
    for block_index in SPEC.block_indices:
        one_keys, one_ND = keys_and_vectors(one, block_index)
        other_keys, other_ND = keys_and_vectors(other, block_index)
        assert one_keys == other_keys
        np.testing.assert_allclose(one_ND, other_ND, rtol=1e-5, atol=1e-6)


def files_of(path):
    """What tells whether a file was written again."""
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file()}


def broken_at(monkeypatch, name, limit):
    """Let a function of the stage be called `limit` times, then raise in its place."""
    calls = []
    real = getattr(extract, name)

    def call(*arguments, **named):
        if len(calls) == limit:
            raise Broken
        calls.append(name)
        return real(*arguments, **named)

    monkeypatch.setattr(extract, name, call)


# Two shards a block, in five blocks.
BREAKS = [("verify_token", 0), ("verify_token", 3), ("write_shard", 4), ("write_shard", 5),
          ("write_atomically", 2), ("_keep_only", 0)]  # fmt: skip


@pytest.mark.parametrize(("name", "limit"), BREAKS)
def test_a_broken_extraction_resumed_equals_an_undisturbed_one(
    name, limit, stage_of, own_root, undisturbed, context, recipe
):
    stage = stage_of()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
        broken_at(patch, name, limit)
        build(stage, own_root, context)
    resumed = build(stage, own_root, context)
    assert_same_rows(resumed, undisturbed())
    wanted = {passage.passage_id for passage in passages_of(recipe, own_root, Split.FIT)}
    keys, _ = keys_and_vectors(resumed, 0)
    assert len(keys) == len(wanted) and {passage_id for passage_id, _ in keys} == wanted
    assert len(wanted) > 4 * context.placement.extraction.block_passages
    same = ("num_passages", "num_tokens", "num_rows", "num_without_rows", "num_not_finite")
    for metric in same:
        assert resumed.record.metrics[metric] == undisturbed().record.metrics[metric]


def test_token_rows_survive_a_break_too(stage_of, own_root, undisturbed, context):
    spec = replace(SPEC, read=TOKENS)
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
        broken_at(patch, "verify_token", 3)
        build(stage, own_root, context)
    partial = folder(stage, own_root).with_name(folder(stage, own_root).name + ".partial")
    shards = files_of(layer_folder(partial, 0)) | files_of(layer_folder(partial, 2))
    assert len(shards) == 2 * 3
    pool = CountingPool()
    artifact = build(stage, own_root, Context(context.placement, pool))
    after = files_of(artifact.path)
    for path, stamp in shards.items():
        assert after[artifact.path / path.relative_to(partial)] == stamp
    assert pool.num_items == len(list_shards(layer_folder(artifact.path, 0))) - 3 > 0


@pytest.mark.parametrize("sizes", [(8, 5), (5, 8), (4, 100), (8, 3, 8), (3, 8, 3)])
def test_blocks_of_another_size_give_the_same_rows(sizes, stage_of, own_root, undisturbed, context):
    stage = stage_of()
    for size in sizes[:-1]:
        # Between the shards of the third block and the note that it is done.
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
            broken_at(patch, "write_atomically", 2)
            build(stage, own_root, blocks_of(context, size))
    artifact = build(stage, own_root, blocks_of(context, sizes[-1]))
    assert_same_rows(artifact, undisturbed())
    num_blocks = -(-artifact.record.metrics["num_passages"] // sizes[-1])
    for folder_name in ("output_of_block_000", "output_of_block_002", "done"):
        assert len(list((artifact.path / folder_name).iterdir())) == num_blocks


def test_a_note_never_vouches_for_shards_of_other_blocks(stage_of, own_root, undisturbed, context):
    """Blocks of 8, then of 3 but killed between shards and note, then of 8 again."""
    stage = stage_of()
    for size, name, limit in ((8, "verify_token", 2), (3, "write_atomically", 0)):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
            broken_at(patch, name, limit)
            build(stage, own_root, blocks_of(context, size))
    assert_same_rows(build(stage, own_root, blocks_of(context, 8)), undisturbed())


def test_the_ledger_holds_the_split_alone(undisturbed, recipe, root):
    ledger = read_consumed(undisturbed().path / LEDGER_NAME)
    assert ledger == {Split.FIT: {p.passage_id for p in passages_of(recipe, root, Split.FIT)}}


def test_rows_of_another_split_are_refused(undisturbed):
    with pytest.raises(SplitViolation, match="test"):
        PooledRows(undisturbed(), 0, {Split.TEST}, SplitAccess({Split.FIT}))
    rows = PooledRows(undisturbed(), 0, {Split.FIT}, access := SplitAccess({Split.FIT}))
    asked = rows.finite_ids()[:2]
    rows.vectors(asked)
    assert access.consumed() == {Split.FIT: frozenset(asked)}


def test_token_rows_are_no_pooled_rows(undisturbed):
    artifact = undisturbed(replace(SPEC, read=TOKENS))
    with pytest.raises(ValueError, match="holds token rows"):
        PooledRows(artifact, 0, {Split.FIT}, SplitAccess({Split.FIT}))


def test_an_orphan_cannot_publish(host_folder, recipe, root, tmp_path):
    """The lock was taken over while a worker of the old owner was still reading."""
    out = tmp_path / "kind" / "name.partial"
    layer_folder(out, 0).mkdir(parents=True)
    (out / "done").mkdir()
    block = Block(0, tuple(passages_of(recipe, root, Split.FIT)[:3]))
    with exclusive(out.with_name("name")) as old:
        pass
    with exclusive(out.with_name("name")) as new:
        with pytest.raises(LockLost):
            BlockReader(job_of(host_folder, out, old.token))(block)
        assert files_of(out) == {}
        BlockReader(job_of(host_folder, out, new.token))(block)
        assert len(files_of(out)) == 2


def job_of(host_folder, out, token):
    return Job(
        spec=replace(SPEC, block_indices=(0,)),
        source=str(host_folder),
        revision=None,
        out=out,
        token=token,
        device="cpu",
        batch_tokens=512,
        threads=1,
    )


@pytest.fixture
def damaged(stage_of, own_root, context):
    """An artifact that a test may damage, and its shards of block 0."""
    artifact = build(stage_of(), own_root, context)
    return artifact, list_shards(layer_folder(artifact.path, 0))


@pytest.mark.parametrize("kept", [0, 7, 300, -1])
def test_a_truncated_shard_is_named(damaged, kept):
    artifact, shards = damaged
    shards[1].write_bytes(shards[1].read_bytes()[:kept])
    with pytest.raises(CorruptShard, match=shards[1].name):
        PooledRows(artifact, 0, {Split.FIT}, SplitAccess({Split.FIT}))


@pytest.mark.parametrize("field", ["host_revision", "tokenizer_hash", "dtype"])
def test_shards_of_another_reading_are_not_joined(damaged, field):
    artifact, shards = damaged
    other = read_shard(shards[1])
    write_shard(shards[1], replace(other.header, **{field: "another"}), other.rows)
    rows = PooledRows(artifact, 0, {Split.FIT}, SplitAccess({Split.FIT}))
    with pytest.raises(ValueError, match=f"differ in {field}"):
        rows.vectors(rows.finite_ids())


def test_rows_that_are_not_finite_are_counted_and_never_handed_out(
    recipe, host_folder, own_root, context, tmp_path
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(host_folder)
    tokenizer = AutoTokenizer.from_pretrained(host_folder)
    texts = {p.passage_id: p.text for p in passages_of(recipe, own_root, Split.FIT)}
    ids_of = {key: set(tokenizer(text)["input_ids"]) for key, text in texts.items()}
    uses = Counter(token for ids in ids_of.values() for token in ids)
    poison = next(token for token, count in uses.items() if 2 <= count <= 6)
    with torch.no_grad():
        model.get_input_embeddings().weight[poison] = float("nan")
    model.save_pretrained(tmp_path / "poisoned")
    tokenizer.save_pretrained(tmp_path / "poisoned")
    host = adopted_stage(adopted_spec("tiny", str(tmp_path / "poisoned"), None))
    build(host, own_root, context)
    artifact = build(extraction_stage(host, passages_stage(recipe), SPEC), own_root, context)
    bad = {key for key, ids in ids_of.items() if poison in ids}
    assert artifact.record.metrics["num_not_finite"] == len(bad) == uses[poison]
    rows = PooledRows(artifact, 0, {Split.FIT}, SplitAccess({Split.FIT}))
    assert set(rows.finite_ids()) == texts.keys() - bad
    assert rows.num_passages == len(texts)


def test_passages_that_are_too_short_have_no_row_and_are_counted(
    stage_of, own_root, context, undisturbed
):
    tokens_N = lengths(undisturbed())
    limit = int(np.median(tokens_N))
    spec = replace(SPEC, read=TokenPositions(per_passage=1, min_position=limit, seed=0))
    artifact = build(stage_of(spec), own_root, context)
    keys, vectors_ND = keys_and_vectors(artifact, 2)
    num_short = int(np.count_nonzero(tokens_N <= limit))
    assert artifact.record.metrics["num_without_rows"] == num_short > 0
    assert len(keys) == len(vectors_ND) == len(tokens_N) - num_short > 0


def lengths(artifact):
    shards = [read_shard(path) for path in list_shards(layer_folder(artifact.path, 0))]
    keys, _ = keys_and_vectors(artifact, 0)
    return rows_by_id(shards, [passage_id for passage_id, _ in keys]).num_tokens_N


def test_a_split_without_passages_is_refused(recipe, host_folder, context, tmp_path):
    shares = {**recipe.passages.split.shares(), Split.FIT: 0.0}
    seed = recipe.passages.split.seed
    rest = 1 - sum(shares.values()) + shares[Split.PRETRAIN]
    split = type(recipe.passages.split)(seed=seed, **{**shares, Split.PRETRAIN: rest})
    passages = passages_stage(replace(recipe, passages=replace(recipe.passages, split=split)))
    host = adopted_stage(adopted_spec("tiny", str(host_folder), None))
    for stage in (passages, host):
        build(stage, tmp_path, context)
    with pytest.raises(ValueError, match="fit; no passage"):
        build(extraction_stage(host, passages, SPEC), tmp_path, context)


def test_memory_holds_one_block_however_many_passages_there_are(
    recipe, stage_of, own_root, context
):
    """Of the passages, the stage has one block in its hands, and asks for the next one after it."""
    spec = replace(recipe.passages, num_passages=4 * recipe.passages.num_passages)
    more = passages_stage(replace(recipe, passages=spec))
    build(more, own_root, context)
    host = stage_of().inputs["host"]
    most, num_passages = [], []
    for passages in (passages_stage(recipe), more):
        pool = CountingPool()
        stage = extraction_stage(host, passages, SPEC)
        artifact = build(stage, own_root, Context(context.placement, pool))
        most.append(pool.most_alive)
        num_passages.append(artifact.record.metrics["num_passages"])
    assert num_passages[1] > 3 * num_passages[0]
    assert most == [context.placement.extraction.block_passages] * 2
