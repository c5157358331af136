"""The encoder stage takes the rows that it may read, joined by id, a block at a time."""

from dataclasses import replace

import numpy as np
import pytest

from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.artifact import find
from interlingua.store.maps import read_encoder
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import LEDGER_NAME, read_consumed


def small_blocks(stage, block_rows):
    return replace(stage, spec=replace(stage.spec, block_rows=block_rows))


def first_ids(made_up, rows):
    """The passages of the first shard, in its order."""
    artifact = made_up.built(rows.fit)
    [block_index] = rows.fit.spec.block_indices
    shard = read_shard(list_shards(block_folder(artifact.path, block_index))[0])
    return shard.rows.passage_ids_N.tolist()


def test_rows_are_joined_by_id_alone(made_up):
    """Other orders of rows, in other shards, on either side."""
    permuted = {tag: made_up.host_rows(tag, order_seed=1) for tag in ("left", "anchor")}
    for tag, rows in permuted.items():
        assert first_ids(made_up, rows) != first_ids(made_up, made_up.rows[tag])
    expected = read_encoder(made_up.built(made_up.trained["left"].encoder).path)
    for stage in (
        made_up.to_anchor(permuted["left"]),
        made_up.to_anchor(made_up.rows["left"], made_up.anchored(permuted["anchor"])),
    ):
        found = read_encoder(made_up.built(stage).path)
        np.testing.assert_allclose(found.weight_ED, expected.weight_ED, atol=1e-6)
        np.testing.assert_allclose(found.mean_D, expected.mean_D, atol=1e-6)


def test_rows_without_a_direction_are_dropped_on_both_sides_and_counted(made_up):
    own = made_up.host_rows("left", first_is_nan=7, last_is_zero=4)
    anchor = made_up.anchored(made_up.host_rows("anchor", first_is_nan=9, last_is_zero=1))
    artifact = made_up.built(made_up.to_anchor(own, anchor))
    metrics = artifact.record.metrics
    assert (metrics["num_rows"], metrics["num_dropped"]) == (200 - 9 - 4, 9 + 4)
    anchor_metrics = made_up.built(anchor.encoder).record.metrics
    assert (anchor_metrics["num_rows"], anchor_metrics["num_dropped"]) == (190, 10)
    good_ND = own.fit.spec.vectors_ND[9:-4].astype(np.float64)
    mean_D = (good_ND / np.linalg.norm(good_ND, axis=1, keepdims=True)).mean(axis=0)
    expected = np.sqrt(good_ND.shape[1]) * mean_D
    np.testing.assert_allclose(read_encoder(artifact.path).mean_D, expected, rtol=1e-5)


@pytest.mark.parametrize("bad", [{"first_is_nan": 200}, {"last_is_zero": 200}])
def test_no_row_with_a_direction_is_an_error(made_up, bad):
    with pytest.raises(ValueError, match="left and its targets share no `fit` row"):
        made_up.built(made_up.to_anchor(made_up.host_rows("left", **bad)))
    with pytest.raises(ValueError, match="anchor has no `fit` row"):
        made_up.built(made_up.anchored(made_up.host_rows("anchor", **bad)).encoder)


@pytest.mark.parametrize("which", ["anchor", "left"])
def test_blocks_of_rows_with_nothing_good_in_them_are_passed_over(made_up, which):
    """Zero rows are finite: a whole block may consist of them."""
    rows = made_up.host_rows(which, last_is_zero=150)
    is_anchor = which == "anchor"
    stage = made_up.anchored(rows).encoder if is_anchor else made_up.to_anchor(rows)
    assert made_up.built(small_blocks(stage, 2)).record.metrics["num_rows"] == 50


@pytest.mark.parametrize("block_rows", [7, 64])
def test_the_fit_holds_one_block_of_rows(made_up, block_rows, monkeypatch):
    asked = []
    real = KeyedRows.vectors
    fit_ids = set(made_up.rows["right"].fit.spec.ids)

    def vectors(self, keys):
        if {passage_id for passage_id, _ in keys} <= fit_ids:
            asked.append(len(keys))
        return real(self, keys)

    monkeypatch.setattr(KeyedRows, "vectors", vectors)
    stage = made_up.trained["right"].encoder
    expected = made_up.built(stage)
    asked.clear()
    artifact = made_up.built(small_blocks(stage, block_rows))
    assert max(asked) == block_rows
    assert sum(asked) == 2 * 200  # the host's own rows and the anchor's, once each
    found, wanted = (read_encoder(a.path).weight_ED for a in (artifact, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_an_encoder_reads_fit_and_dev_and_test_is_in_no_lineage(mini_root):
    seen = set()
    for stage in graph_of(world_mini()):
        if stage.kind != "encoder":
            continue
        artifact = find(stage, mini_root)
        ledger = read_consumed(artifact.path / LEDGER_NAME)
        assert ledger.keys() == {Split.FIT, Split.DEV}
        assert len(ledger[Split.FIT]) == artifact.record.metrics["num_rows"]
        assert len(ledger[Split.DEV]) == artifact.record.metrics["dev/fve_centred_own_n"]
        seen.add(stage.label)
    assert seen == {host.tag for host in world_mini().hosts}
