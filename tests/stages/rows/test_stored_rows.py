"""Rows of a file become the artifact that reading a host makes, split by split, block by block."""

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.word_model import save_word_model

from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.nearness import NotOfHost
from interlingua.sources.files import sha256_of_files
from interlingua.specs.corpora import PassagesSpec, Pieces, TextFiles
from interlingua.specs.extraction import (
    ExtractSpec,
    LastToken,
    Pooled,
    TokenPositions,
    recorded_reading,
)
from interlingua.specs.models import ActivationFile
from interlingua.specs.placement import ExtractionPlacement
from interlingua.specs.splits import Split, SplitSpec
from interlingua.stages.rows import stored_blocks
from interlingua.stages.rows.keyed import KeyedRows, opened_rows, shared_keys
from interlingua.stages.rows.stored_rows import stored_rows_stage
from interlingua.store.artifact import Stage, build, folder
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, write_passages
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import (
    LEDGER_NAME,
    SplitAccess,
    passage_id,
    read_consumed,
    split_of,
)

torch.set_num_threads(1)
BLOCK = 1
WORDS = ["the", "lamp", "is", "lit", "and", "rain", "fell", "on", "a", "red", "door"]
TEXTS = [" ".join(WORDS[(i * k + 3) % 11] for k in range(1, 6 + i % 7)) for i in range(60)]
TEXTS = list(dict.fromkeys(TEXTS))
THIRDS = SplitSpec(seed=3, pretrain=0, av_sft=0, ar_sft=0, rl=0, fit=0.5, dev=0.25, test=0.25)
SPEC = ExtractSpec(
    host_tag="tiny",
    block_indices=(BLOCK,),
    read=Pooled(include_first=True),
    max_tokens=32,
    dtype="float32",
    splits=(Split.FIT,),
)
TOKENS = replace(SPEC, read=TokenPositions(per_passage=2, min_position=0, seed=0))


def context_of(block_passages=8):
    place = ExtractionPlacement(
        workers=None, device="cpu", block_passages=block_passages, batch_tokens=256
    )
    return SimpleNamespace(placement=SimpleNamespace(extraction=place, threads_per_worker=1))


def passages_run(spec, inputs, out, context):
    lines = Path(spec.corpus.path).read_text().splitlines()
    named = [json.loads(line) for line in lines]
    passages = [
        Passage(
            passage_id=passage_id(row["text"]),
            document_id=passage_id(row["text"]),
            split=split_of(passage_id(row["text"]), spec.split),
            text=row["text"],
            facts={},
            mentions=(),
            row_id=str(number) if spec.corpus.id_field is None else row["id"],
        )
        for number, row in enumerate(named)
    ]
    write_passages(out / PASSAGES_NAME, passages, split_spec=spec.split)
    return {}


def host_run(spec, inputs, out, context):
    """A random model whose vocabulary is words."""
    # Each block must change what it reads.
    save_word_model(out, WORDS, num_blocks=4, num_positions=64, scale=4)
    return {}


def passages_stage(path, **changed):
    spec = PassagesSpec(corpus=TextFiles(path=str(path), **changed), split=THIRDS)
    return Stage(kind="passages", label="files", spec=spec, run=passages_run, inputs={}, revision=1)


HOST = Stage(kind="host", label="tiny", spec=SPEC, run=host_run, inputs={}, revision=1)


@pytest.fixture(scope="module")
def host_folder(tmp_path_factory):
    return build(HOST, tmp_path_factory.mktemp("host"), context_of()).path


def read_by_host(host_folder, spec):
    """Vectors of all texts as the host gives them, with the number of the text and the position."""
    reader = Reader(str(host_folder), spec, revision=None, device="cpu", batch_tokens=256)
    rows = reader.rows([(passage_id(text), text) for text in TEXTS])
    number = {passage_id(text): place for place, text in enumerate(TEXTS)}
    (h_ND,) = rows.vectors_by_block.values()
    return h_ND, [number[one] for one in rows.passage_ids], rows.positions


@pytest.fixture(scope="module")
def pooled_ND(host_folder):
    return read_by_host(host_folder, SPEC)[0]


@pytest.fixture
def root(tmp_path, host_folder):
    """A run root with the host, and beside it the texts."""
    (tmp_path / "root" / "host").mkdir(parents=True)
    target = folder(HOST, tmp_path / "root")
    target.symlink_to(host_folder)
    rows = [{"text": text, "id": f"r{number}"} for number, text in enumerate(TEXTS)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "root"


def file_of(root, h_ND, index=None, **changed):
    path = root.parent / "h.npy"
    np.save(path, h_ND)
    if index is not None:
        where = root.parent / "index.jsonl"
        where.write_text("".join(json.dumps(row) + "\n" for row in index))
        changed["index"], changed["index_sha256"] = str(where), sha256_of_files([where])
    return ActivationFile(path=str(path), sha256=sha256_of_files([path]), **changed)


def stage_of(root, file, spec=SPEC, host=HOST, **corpus):
    return stored_rows_stage(
        host, passages_stage(root.parent / "texts.jsonl", **corpus), spec, file
    )


def built(stage, root, block_passages=8):
    build(stage.inputs.passages, root, context_of())
    return build(stage, root, context_of(block_passages))


def numbers_of(split):
    return [n for n, text in enumerate(TEXTS) if split_of(passage_id(text), THIRDS) is split]


def contents(artifact):
    """Every array of every shard; the order of a header's entries is not fixed."""
    shards = {
        path.name: read_shard(path) for path in list_shards(block_folder(artifact.path, BLOCK))
    }
    return {
        (name, f.name): getattr(shard.rows, f.name).tobytes()
        for name, shard in shards.items()
        for f in fields(shard.rows)
    }


def test_rows_are_keyed_by_passage_and_read_as_those_of_a_host(root, pooled_ND):
    artifact = built(stage_of(root, file_of(root, pooled_ND)), root)
    rows = opened_rows(artifact, [Split.FIT], SplitAccess([Split.FIT]))
    numbers = numbers_of(Split.FIT)
    assert rows.finite_keys() == [(passage_id(TEXTS[number]), -1) for number in numbers]
    assert rows.vectors(rows.finite_keys()).tobytes() == pooled_ND[numbers].tobytes()
    assert rows.num_expected == len(numbers)
    assert (rows.host_tag, rows.width, rows.header.read_mode) == ("tiny", 16, "pooled_with_first")
    metrics = artifact.record.metrics
    assert metrics["num_rows"] == metrics["num_passages"] == len(numbers)
    assert metrics["num_without_rows"] == 0
    assert metrics["num_of_other_rows"] == len(TEXTS) - len(numbers)
    assert metrics["cosine_of_host"] == pytest.approx(1, abs=1e-5)


def test_only_passages_of_the_asked_splits_are_written(root, pooled_ND):
    artifact = built(
        stage_of(root, file_of(root, pooled_ND), replace(SPEC, splits=(Split.DEV,))), root
    )
    allowed = {passage_id(TEXTS[number]) for number in numbers_of(Split.DEV)}
    shards = [read_shard(path) for path in list_shards(block_folder(artifact.path, BLOCK))]
    stored = {one.decode() for shard in shards for one in shard.rows.passage_ids_N}
    assert stored == allowed
    assert read_consumed(artifact.path / LEDGER_NAME) == {Split.DEV: allowed}


def test_the_record_says_how_the_rows_were_read(root, pooled_ND):
    artifact = built(stage_of(root, file_of(root, pooled_ND)), root)
    assert artifact.record.kind == "activations"
    assert recorded_reading(artifact.record.spec) == SPEC
    by_reading = Stage(kind="x", label="x", spec=SPEC, run=host_run, inputs={}, revision=1)
    assert recorded_reading(build(by_reading, root, context_of()).record.spec) == SPEC


def test_rows_of_an_index_at_tokens_join_those_of_the_host(root, host_folder):
    every = TokenPositions(per_passage=3, min_position=1, seed=5)
    h_ND, numbers, positions = read_by_host(host_folder, replace(TOKENS, read=every))
    index = [{"id": f"r{n}", "at": p} for n, p in zip(numbers, positions, strict=True)]
    shuffled = np.random.default_rng(0).permutation(len(index))
    file = file_of(root, h_ND[shuffled], [index[row] for row in shuffled], position_field="at")
    artifact = built(stage_of(root, file, TOKENS, id_field="id"), root)
    rows = opened_rows(artifact, [Split.FIT], SplitAccess([Split.FIT]))
    mine = numbers_of(Split.FIT)
    expected = {
        (passage_id(TEXTS[n]), p): h_D.tobytes()
        for n, p, h_D in zip(numbers, positions, h_ND, strict=True)
        if n in mine
    }
    keys = rows.finite_keys()
    assert dict(zip(keys, (h.tobytes() for h in rows.vectors(keys)), strict=True)) == expected
    assert artifact.record.metrics["cosine_of_host"] == pytest.approx(1, abs=1e-5)
    assert shared_keys([rows, rows]) == keys
    reader = Reader(str(host_folder), SPEC, revision=None, device="cpu", batch_tokens=64)
    assert rows.header.tokenizer_hash == reader.tokenizer_hash


def test_a_passage_without_a_vector_is_counted(root, pooled_ND):
    missing = numbers_of(Split.FIT)[0]
    index = [{"id": f"r{n}"} for n in range(len(TEXTS)) if n != missing]
    h_ND = np.delete(pooled_ND, missing, axis=0)
    artifact = built(stage_of(root, file_of(root, h_ND, index), id_field="id"), root)
    assert artifact.record.metrics["num_without_rows"] == 1
    rows = opened_rows(artifact, [Split.FIT], SplitAccess([Split.FIT]))
    assert len(rows.finite_keys()) == rows.num_expected - 1 == len(numbers_of(Split.FIT)) - 1


def broken_off(stage, root, monkeypatch, after):
    """A build that dies behind so many blocks."""
    end_block, done = stored_blocks.end_block, []

    def dies(*args):
        end_block(*args)
        done.append(args)
        if len(done) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(stored_blocks, "end_block", dies)
    with pytest.raises(KeyboardInterrupt):
        built(stage, root)
    monkeypatch.setattr(stored_blocks, "end_block", end_block)


def test_a_build_that_was_broken_off_goes_on_to_the_same_files(root, pooled_ND, monkeypatch):
    stage = stage_of(root, file_of(root, pooled_ND))
    broken_off(stage, root, monkeypatch, after=2)
    written = []
    write = stored_blocks.write_shard
    monkeypatch.setattr(stored_blocks, "write_shard", lambda path, *rest: (
        written.append(path.name), write(path, *rest)))  # fmt: skip
    resumed = built(stage, root)
    assert "shard-000001.safetensors" not in written and "shard-000002.safetensors" in written
    assert resumed.record.metrics["num_rows"] == len(numbers_of(Split.FIT))
    again = contents(resumed)
    monkeypatch.undo()
    other = root.parent / "other"
    other.mkdir()
    (other / "host").symlink_to(root / "host")
    assert contents(built(stage, other)) == again


def test_blocks_of_another_size_leave_no_row_twice(root, pooled_ND, monkeypatch):
    stage = stage_of(root, file_of(root, pooled_ND))
    broken_off(stage, root, monkeypatch, after=3)
    artifact = built(stage, root, block_passages=20)
    rows = KeyedRows(artifact, BLOCK, [Split.FIT], SplitAccess([Split.FIT]))
    assert len(rows.finite_keys()) == len(set(rows.finite_keys())) == len(numbers_of(Split.FIT))


def test_rows_of_a_neighbouring_block_are_recognised(root, host_folder):
    for other in (BLOCK - 1, BLOCK + 1):
        h_ND, *_ = read_by_host(host_folder, replace(SPEC, block_indices=(other,)))
        with pytest.raises(NotOfHost, match=f"is of block {other} of tiny rather than of block 1"):
            built(stage_of(root, file_of(root, h_ND)), root)


def test_rows_of_other_texts_are_recognised(root, pooled_ND):
    h_ND = np.random.default_rng(0).normal(size=pooled_ND.shape)
    with pytest.raises(NotOfHost, match=r"h.npy is not what tiny gives at block 1 \(median cosine"):
        built(stage_of(root, file_of(root, h_ND)), root)
    file = replace(file_of(root, h_ND), num_compared=0)  # on one's own responsibility
    assert "cosine_of_host" not in built(stage_of(root, file), root).record.metrics


def test_rows_without_a_host_are_stored_and_not_joined_at_tokens(root, pooled_ND):
    artifact = built(stage_of(root, file_of(root, pooled_ND), host=None), root)
    metrics = artifact.record.metrics
    assert metrics["num_rows"] == len(numbers_of(Split.FIT)) and "cosine_of_host" not in metrics
    (shard, *_) = list_shards(block_folder(artifact.path, BLOCK))
    assert read_shard(shard).header.tokenizer_hash == "unknown-tiny"


def test_a_block_or_width_that_the_host_does_not_have_is_refused(root, pooled_ND):
    file = file_of(root, pooled_ND)
    with pytest.raises(ValueError, match=r"hosts.tiny.block is 4, but its blocks are 0..3"):
        built(stage_of(root, file, replace(SPEC, block_indices=(4,))), root)
    file = file_of(root, pooled_ND[:, :8])
    with pytest.raises(ValueError, match=r"h.npy is 8 wide, tiny 16: name the host"):
        built(stage_of(root, file), root)


def test_another_number_of_texts_than_of_vectors_is_refused(root, pooled_ND):
    words = rf"has {len(TEXTS) + 1} vectors, the corpus {len(TEXTS)} texts"
    with pytest.raises(ValueError, match=words):
        built(stage_of(root, file_of(root, np.vstack([pooled_ND, pooled_ND[:1]]))), root)
    with pytest.raises(ValueError, match=rf"has 5 vectors, the corpus {len(TEXTS)} texts"):
        built(stage_of(root, file_of(root, pooled_ND[:5])), root)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e39])
def test_rows_that_are_no_activations_are_refused_by_number(root, pooled_ND, value):
    h_ND = pooled_ND.astype(np.float64)
    bad = numbers_of(Split.FIT)[9:14:2]
    h_ND[bad] = value
    stage = stage_of(root, file_of(root, h_ND))
    counted = r"0 rows hold NaN.*, 3 are zero" if value == 0 else r"3 rows hold NaN.*, 0 are zero"
    with pytest.raises(ValueError, match=rf"h.npy: {counted}; the first is row {bad[0]}\. Read"):
        built(stage, root)
    assert not folder(stage, root).exists()


def test_bad_rows_of_other_splits_are_no_concern(root, pooled_ND):
    h_ND = pooled_ND.copy()
    h_ND[numbers_of(Split.TEST)] = np.nan
    built(stage_of(root, file_of(root, h_ND)), root)


def test_pieces_of_documents_are_refused(root, pooled_ND):
    stage = stage_of(root, file_of(root, pooled_ND))
    cut = replace(stage.inputs.passages.spec, pieces=Pieces(most_words=5))
    passages = replace_stage(stage.inputs.passages, spec=cut)
    with pytest.raises(ValueError, match="passages.pieces cuts documents.*set it to none"):
        built(stored_rows_stage(HOST, passages, SPEC, stage.spec.file), root)


def replace_stage(stage, *, spec):
    return Stage(
        kind=stage.kind, label=stage.label, spec=spec, run=stage.run, inputs={}, revision=1
    )


def test_a_file_that_changed_is_refused(root, pooled_ND):
    stage = stage_of(root, file_of(root, pooled_ND))
    np.save(root.parent / "h.npy", pooled_ND + 1)
    with pytest.raises(ValueError, match="ActivationFile.path: .*they have changed"):
        built(stage, root)


def test_one_file_holds_one_block(root, pooled_ND):
    with pytest.raises(ValueError, match=r"StoredRowsSpec.block_indices is \(0, 1\); a file holds"):
        stage_of(root, file_of(root, pooled_ND), replace(SPEC, block_indices=(0, 1)))


def test_the_last_token_is_compared_too(root, host_folder):
    spec = replace(SPEC, read=LastToken())
    h_ND, *_ = read_by_host(host_folder, spec)
    artifact = built(stage_of(root, file_of(root, h_ND), spec), root)
    assert artifact.record.metrics["cosine_of_host"] == pytest.approx(1, abs=1e-5)
    mean_ND, *_ = read_by_host(host_folder, SPEC)
    assert hashlib.sha256(h_ND).digest() != hashlib.sha256(mean_ND).digest()
