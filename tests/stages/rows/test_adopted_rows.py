"""A released parquet is adopted where it lies and read as extraction's shards are."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.cluster.local import LocalPool, local_context
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.placement import ExtractionPlacement, Placement, Workers
from interlingua.specs.released import AdoptedRowsSpec
from interlingua.specs.splits import Split, SplitSpec
from interlingua.stages.rows.adopted_rows import adopted_rows_spec, adopted_shards, run
from interlingua.store.artifact import Stage, build, folder
from interlingua.store.rows.released import ReleaseMismatch
from interlingua.store.rows.shards import ShardIndex
from interlingua.store.rows.splits import (
    LEDGER_NAME,
    SplitAccess,
    SplitViolation,
    passage_id,
    read_consumed,
    split_of,
)

D = 4
THIRDS = SplitSpec(seed=3, pretrain=0, av_sft=0, ar_sft=0, rl=0, fit=0.4, dev=0.3, test=0.3)
READ = (Split.FIT, Split.DEV, Split.TEST)
CONTEXT = local_context(
    Placement(
        cpus_per_stage=1,
        threads_per_worker=1,
        stages_side_by_side=1,
        extraction=ExtractionPlacement(
            workers=Workers(count=1, cpus=1, gpus=0),
            device="cpu",
            block_passages=8,
            batch_tokens=64,
        ),
        training=ONE_CORE_A_STAGE.training,
        verbalizing=ONE_CORE_A_STAGE.verbalizing,
        reinforcing=ONE_CORE_A_STAGE.reinforcing,
    ),
    LocalPool(),
)


def document_rows(num_documents=30, per_document=4):
    """Rows as prefixes of documents: (document, number of tokens, text, vector)."""
    draw = np.random.default_rng(0)
    return [
        (f"c:train:{d}", 51 + 10 * k, f"document {d} up to {k}", draw.normal(size=D).tolist())
        for d in range(num_documents)
        for k in range(per_document)
    ]


def write(path, rows, rows_per_group=32):
    documents, num_tokens, texts, vectors = zip(*rows, strict=True)
    table = {
        "n_raw_tokens": pa.array(num_tokens, pa.int64()),
        "detokenized_text_truncated": pa.array(texts, pa.string()),
        "activation_vector": pa.array(
            vectors, pa.list_(pa.float32(), -1 if None in vectors else D)
        ),
        "activation_layer": pa.array([20] * len(rows)),
        "doc_id": pa.array(documents),
    }
    pq.write_table(pa.table(table), path, row_group_size=rows_per_group)
    extraction = {"base_model": "a/b", "d_model": D, "layer_index": 20, "norm": "none"}
    tree = {"kind": "nla_dataset", "schema_version": 1, "stage": "base", "extraction": extraction}
    Path(f"{path}.nla_meta.yaml").write_text(yaml.safe_dump(tree))
    return path


def stage_of(path, splits=READ):
    spec = adopted_rows_spec("some-host", str(path), THIRDS, splits)
    return Stage(kind="adopted_rows", label="some-host", spec=spec, run=run, inputs={}, revision=1)


def adopted(path, root, splits=READ):
    return build(stage_of(path, splits), root, CONTEXT)


def keys_of(shards):
    rows = [shard.rows for shard in shards]
    return [
        (identity, position)
        for part in rows
        for identity, position in zip(
            part.passage_ids_N.astype(str).tolist(), part.positions_N.tolist(), strict=True
        )
    ]


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "base.parquet", document_rows())


def test_rows_come_as_the_shards_of_an_extraction(path, tmp_path):
    artifact = adopted(path, tmp_path)
    access = SplitAccess(READ)
    shards = list(adopted_shards(artifact, READ, access))
    rows = document_rows()
    header = shards[0].header
    assert (header.host_tag, header.block_index, header.read_mode) == ("some-host", 20, "token")
    assert keys_of(shards) == [(passage_id(text), n - 1) for _, n, text, _ in rows]
    ids = [passage_id(text) for _, _, text, _ in reversed(rows)]
    joined = ShardIndex(shards).rows(ids)
    expected_ND = np.array([vector for *_, vector in reversed(rows)], np.float32)
    assert joined.vectors_ND.tobytes() == expected_ND.tobytes()
    assert joined.num_tokens_N.tolist() == [n for _, n, _, _ in reversed(rows)]
    assert access.consumed() == read_consumed(artifact.path / LEDGER_NAME)


def test_the_vectors_are_not_copied_into_the_artifact(path, tmp_path):
    artifact = adopted(path, tmp_path)
    for stored in artifact.path.glob("*.parquet"):
        assert "activation_vector" not in pq.read_schema(stored).names


def test_no_document_stands_in_two_splits(path, tmp_path):
    artifact = adopted(path, tmp_path)
    document_of = {passage_id(text): document for document, _, text, _ in document_rows()}
    documents = {}
    for split in READ:
        found = keys_of(adopted_shards(artifact, [split], SplitAccess([split])))
        documents[split] = {document_of[identity] for identity, _ in found}
        assert len(found) == 4 * len(documents[split])  # a document comes whole
        assert {split_of(document, THIRDS) for document in documents[split]} == {split}
    assert sum(map(len, documents.values())) == len(set().union(*documents.values())) == 30


def test_a_split_that_is_not_permitted_is_refused(path, tmp_path):
    artifact = adopted(path, tmp_path)
    with pytest.raises(SplitViolation):
        adopted_shards(artifact, [Split.TEST], SplitAccess([Split.FIT]))


def test_a_split_that_was_not_adopted_is_refused_and_not_in_the_ledger(path, tmp_path):
    artifact = adopted(path, tmp_path, splits=(Split.FIT,))
    assert set(read_consumed(artifact.path / LEDGER_NAME)) == {Split.FIT}
    with pytest.raises(ValueError, match="without the splits test"):
        adopted_shards(artifact, [Split.TEST], SplitAccess(READ))
    metrics = artifact.record.metrics
    assert metrics["rows/fit"] + metrics["num_of_other_splits"] == metrics["num_rows"] == 120


def test_consumption_is_noted_as_the_blocks_come(path, tmp_path):
    access = SplitAccess([Split.FIT])
    shards = adopted_shards(adopted(path, tmp_path), [Split.FIT], access)
    assert access.consumed() == {}
    first = next(shards)
    assert access.consumed() == {Split.FIT: frozenset(i for i, _ in keys_of([first]))}


def test_a_text_that_two_splits_share_is_in_neither(tmp_path):
    split_by_document = {f"c:train:{d}": split_of(f"c:train:{d}", THIRDS) for d in range(30)}
    fit, dev = (
        [d for d, found in split_by_document.items() if found is split][:2]
        for split in (Split.FIT, Split.DEV)
    )
    vector = [1.0] * D
    rows = [
        (fit[0], 51, "boilerplate", vector),
        (dev[0], 51, "boilerplate", vector),
        (fit[0], 60, "told twice", vector),
        (fit[1], 60, "told twice", vector),
        (dev[1], 70, "told once", vector),
    ]
    artifact = adopted(write(tmp_path / "base.parquet", rows), tmp_path)
    found = keys_of(adopted_shards(artifact, READ, SplitAccess(READ)))
    assert found == [(passage_id("told twice"), 59), (passage_id("told once"), 69)]
    assert artifact.record.metrics["num_shared_by_splits"] == 2
    assert artifact.record.metrics["num_repeated"] == 1


def test_rows_without_a_vector_are_counted_and_others_kept_raw(tmp_path):
    rows = document_rows(6, 2)
    rows[3] = (*rows[3][:3], None)
    rows[5] = (*rows[5][:3], [1.0, float("nan"), float("inf"), 3e38])
    artifact = adopted(write(tmp_path / "base.parquet", rows), tmp_path)
    assert artifact.record.metrics["num_without_vector"] == 1
    assert artifact.record.metrics["num_not_finite"] == 1
    shards = list(adopted_shards(artifact, READ, SplitAccess(READ)))
    assert passage_id(rows[3][2]) not in {identity for identity, _ in keys_of(shards)}
    strange = ShardIndex(shards).rows([passage_id(rows[5][2])])
    assert strange.vectors_ND.tobytes() == np.array(rows[5][3], np.float32).tobytes()
    assert strange.is_finite_N.tolist() == [False]


def test_a_path_with_a_slice_is_refused(path):
    with pytest.raises(ValueError, match="name the whole file"):
        adopted_rows_spec("some-host", f"{path}@[0:10]", THIRDS, READ)


@pytest.mark.parametrize("suffix", ["", ".nla_meta.yaml"])
def test_files_that_changed_are_refused_by_the_stage(path, tmp_path, suffix):
    stage = stage_of(path)
    with Path(f"{path}{suffix}").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ReleaseMismatch, match="has changed"):
        build(stage, tmp_path, CONTEXT)
    assert not folder(stage, tmp_path).exists()


@pytest.mark.parametrize("suffix", ["", ".nla_meta.yaml"])
def test_files_that_changed_after_it_are_refused_on_opening(path, tmp_path, suffix):
    artifact = adopted(path, tmp_path)
    with Path(f"{path}{suffix}").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ReleaseMismatch, match="has changed"):
        adopted_shards(artifact, READ, SplitAccess(READ))


def test_the_same_bytes_at_another_time_are_accepted(path, tmp_path):
    artifact = adopted(path, tmp_path)
    shutil.copy(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    os.utime(path, ns=(1, 1))
    assert len(keys_of(adopted_shards(artifact, READ, SplitAccess(READ)))) == 120


@pytest.mark.parametrize("name", ["parquet_sha256", "sidecar_sha256"])
def test_a_spec_needs_whole_hashes(name):
    hashes = {"parquet_sha256": "0" * 64, "sidecar_sha256": "f" * 64, name: "abc"}
    with pytest.raises(ValueError, match=name):
        AdoptedRowsSpec(host_tag="h", path="/x", split=THIRDS, splits=READ, **hashes)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([f"c:train:{d}" for d in range(8)]),
            st.integers(1, 3),
            st.none() | st.sampled_from(["a", "b", "c", "d", "e"]),
            st.none() | st.lists(st.floats(width=32), min_size=D, max_size=D),
        ),
        min_size=1,
        max_size=20,
    ),
    rows_per_group=st.integers(1, 20),
)
def test_every_row_is_read_or_counted(tmp_path_factory, rows, rows_per_group):
    root = tmp_path_factory.mktemp("adopted")
    artifact = adopted(write(root / "base.parquet", rows, rows_per_group), root)
    keys, splits_of = [], {}
    for document, num_tokens, text, vector in rows:
        if vector is not None:
            identity = passage_id(document if text is None else text)
            keys.append((identity, num_tokens - 1, np.array(vector, np.float32).tobytes()))
            splits_of.setdefault(identity, set()).add(split_of(document, THIRDS))
    expected = {}
    for identity, position, content in keys:
        if len(splits_of[identity]) == 1:
            expected.setdefault((identity, position), content)
    found = {}
    for split in READ:
        for shard in adopted_shards(artifact, [split], SplitAccess([split])):
            contents = [vector.tobytes() for vector in shard.rows.vectors_ND]
            block = dict(zip(keys_of([shard]), contents, strict=True))
            assert all(splits_of[identity] == {split} for identity, _ in block)
            assert not found.keys() & block.keys()
            found |= block
    assert found == expected
    counted = Counter(artifact.record.metrics)
    names = ("num_without_vector", "num_shared_by_splits", "num_repeated", "num_of_other_splits")
    lost = sum(counted[name] for name in names)
    assert len(found) + lost == len(rows) == counted["num_rows"]
