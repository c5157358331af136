"""The encoder stage computes what the method says, from the rows it may read and no others."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest

from interlingua.core.moments import fold_of
from interlingua.specs.splits import Split
from interlingua.stages.backend import Context, LocalPool
from interlingua.stages.extract import layer_folder
from interlingua.stages.graph import (
    RIDGE,
    Encoded,
    HostRows,
    anchor_encoder_stage,
    encoder_stage,
    graph_of,
)
from interlingua.stages.rows import PooledRows
from interlingua.store.artifact import Stage, build, find
from interlingua.store.maps import read_encoder
from interlingua.store.shards import (
    ShardHeader,
    list_shards,
    read_shard,
    rows_by_id,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.splits import (
    LEDGER_NAME,
    consumed_upstream,
    passage_id,
    read_consumed,
    recorded_access,
)
from jobs.recipes import world_mini

BLOCK = 1
LATENT = 6
WIDTHS = {"anchor": 12, "left": 10, "right": 16, "late": 9, "wide": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSpec:
    """Made-up rows: linear in what a passage is about, far from the origin, with noise."""

    host_tag: str
    block_indices: tuple[int, ...]
    splits: tuple[Split, ...]
    num_passages: int
    order_seed: int = 0
    first_is_nan: int = 0
    last_is_zero: int = 0


class World(NamedTuple):
    """A run root and what is built in it."""

    root: object
    rows: dict[str, HostRows]
    anchor: Encoded
    trained: dict[str, Encoded]


def ids_of(split, num_passages):
    return [passage_id(f"{split} {number}") for number in range(num_passages)]


def vectors_of(spec, ids):
    """[N, D] of one host, each row by its passage alone."""
    width = WIDTHS[spec.host_tag]
    host = np.random.default_rng(width)
    mix, mean = host.normal(size=(LATENT, width)), 3 * host.normal(size=width)
    passages = [np.random.default_rng(int(identity, 16)) for identity in ids]
    latents = np.array([rng.normal(size=LATENT) for rng in passages])
    noise = np.array([np.random.default_rng([width, int(i, 16)]).normal(size=width) for i in ids])
    h_ND = latents @ mix + mean + 0.3 * noise
    h_ND[: spec.first_is_nan] = np.nan
    h_ND[len(ids) - spec.last_is_zero :] = 0.0
    return h_ND.astype(np.float32)


def write_rows(spec, inputs, out, context):
    """An artifact as an extraction leaves it, in shards of 30 rows, shuffled."""
    [split] = spec.splits
    ids = ids_of(split, spec.num_passages)
    h_ND = vectors_of(spec, ids)
    order = np.random.default_rng(spec.order_seed).permutation(len(ids))
    header = ShardHeader(
        host_tag=spec.host_tag,
        host_revision="",
        tokenizer_hash="hash",
        block_index=BLOCK,
        read_mode="pooled",
        dtype="float32",
        max_length=9,
    )
    layer_folder(out, BLOCK).mkdir(exist_ok=True)
    for index, start in enumerate(range(0, len(ids), 30)):
        chosen = order[start : start + 30]
        columns = ([ids[i] for i in chosen], [-1] * len(chosen), [9] * len(chosen), h_ND[chosen])
        write_shard(shard_path(layer_folder(out, BLOCK), index), header, shard_rows(*columns))
    with recorded_access(spec.splits, out) as access:
        for identity in ids:
            access.consume(identity, split)
    return {}


def host_rows(tag, num_fit=200, **changes):
    """The made-up rows of one host; changes are for its `fit` rows."""
    spec = RowsSpec(
        host_tag=tag, block_indices=(BLOCK,), splits=(Split.FIT,), num_passages=num_fit, **changes
    )
    dev = RowsSpec(host_tag=tag, block_indices=(BLOCK,), splits=(Split.DEV,), num_passages=40)
    return HostRows(fit=rows_stage(spec), dev=rows_stage(dev))


def rows_stage(spec):
    label = "-".join([spec.host_tag, *spec.splits])
    return Stage(kind="activations", label=label, spec=spec, run=write_rows, inputs={}, revision=1)


def built(stage, root):
    """The artifact, after all that it needs."""
    for upstream in stage.inputs.values():
        built(upstream, root)
    return build(stage, root, Context(world_mini().placement, LocalPool()))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An anchor, two trained hosts, and rows of others."""
    root = tmp_path_factory.mktemp("encoders")
    rows = {tag: host_rows(tag) for tag in WIDTHS}
    anchor = Encoded(rows["anchor"], anchor_encoder_stage(rows["anchor"]))
    trained = {
        tag: Encoded(rows[tag], encoder_stage(rows[tag], {"anchor": anchor}, anchor))
        for tag in ("left", "right")
    }
    return World(root, rows, anchor, trained)


def small_blocks(stage, block_rows):
    return replace(stage, spec=replace(stage.spec, block_rows=block_rows))


def fitted(world, rows):
    """The artifact of an encoder fitted to the anchor."""
    return built(encoder_stage(rows, {"anchor": world.anchor}, world.anchor), world.root)


def rescaled(spec, ids):
    """n(h), by the method's words."""
    h_ND = vectors_of(spec, ids).astype(np.float64)
    return np.sqrt(h_ND.shape[1]) * h_ND / np.linalg.norm(h_ND, axis=1, keepdims=True)


def unit(x_ND):
    return x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)


def centred(rows, ids):
    n_ND = rescaled(rows.fit.spec, ids)
    return n_ND - n_ND.mean(axis=0)


def ridge_of(x_ND, y_NE, strength):
    """[E, D] of a ridge relative to the mean diagonal of X^T X, by the normal equations."""
    gram = x_ND.T @ x_ND
    penalty = strength * np.diag(gram).mean() * np.eye(len(gram))
    return np.linalg.solve(gram + penalty, x_ND.T @ y_NE).T


def fold_errors_of(x_ND, y_NE, ids):
    """By strength, the mean squared error of held-out folds of passages, fold by fold."""
    folds_N = np.array([fold_of(identity, RIDGE.num_folds) for identity in ids])
    errors = dict.fromkeys(RIDGE.strengths, 0.0)
    for strength in RIDGE.strengths:
        for fold in range(RIDGE.num_folds):
            x, y = x_ND[folds_N != fold], y_NE[folds_N != fold]
            weight = ridge_of(x - x.mean(0), y - y.mean(0), strength)
            held = (x_ND[folds_N == fold] - x.mean(0)) @ weight.T + y.mean(0)
            errors[strength] += float(((held - y_NE[folds_N == fold]) ** 2).sum()) / len(ids)
    return errors


def checked_strength(metrics, x_ND, y_NE, ids):
    """The strength that was chosen, which is the best of those that were tried."""
    errors = fold_errors_of(x_ND, y_NE, ids)
    found = {strength: metrics[f"fold_error/{strength:g}"] for strength in errors}
    assert found == pytest.approx(errors, rel=1e-5)
    assert metrics["ridge"] == min(errors, key=errors.__getitem__)
    return metrics["ridge"]


def test_an_encoder_is_the_ridge_of_the_method(world):
    ids = ids_of(Split.FIT, 200)
    x_ND, y_NE = (centred(world.rows[tag], ids) for tag in ("left", "anchor"))
    artifact = built(world.trained["left"].encoder, world.root)
    strength = checked_strength(artifact.record.metrics, x_ND, y_NE, ids)
    encoder = read_encoder(artifact.path)
    np.testing.assert_allclose(encoder.weight_ED, ridge_of(x_ND, y_NE, strength), atol=1e-5)
    mean_D = rescaled(world.rows["left"].fit.spec, ids).mean(axis=0)
    np.testing.assert_allclose(encoder.mean_D, mean_D, rtol=1e-5)
    np.testing.assert_allclose(encoder(x_ND + mean_D), x_ND @ encoder.weight_ED.T, atol=1e-4)


def test_its_score_is_that_of_the_anchors_vectors_rebuilt(world):
    metrics = built(world.trained["left"].encoder, world.root).record.metrics
    encoders = {
        tag: read_encoder(built(stage, world.root).path)
        for tag, stage in (
            ("left", world.trained["left"].encoder),
            ("anchor", world.anchor.encoder),
        )
    }
    ids = ids_of(Split.DEV, 40)
    gold = rescaled(world.rows["anchor"].dev.spec, ids)
    own = rescaled(world.rows["left"].dev.spec, ids)
    predicted = encoders["anchor"].mean_D + encoders["left"](own)
    cos = (unit(predicted) * unit(gold)).sum(axis=1)
    variance = 1 - np.linalg.norm(unit(gold).mean(axis=0)) ** 2
    expected = 1 - (2 * (1 - cos)).mean() / variance
    assert metrics["dev/fve_centred_own"] == pytest.approx(expected, abs=1e-4)
    assert 0.5 < expected < 0.999
    assert metrics["dev/fve_centred_own_n"] == 40
    assert metrics["constant/fve_centred_own"] <= 0


def test_a_host_that_comes_later_is_fitted_to_the_mean_of_the_trained(world):
    late = built(encoder_stage(world.rows["late"], world.trained, world.anchor), world.root)
    ids = ids_of(Split.FIT, 200)
    encoded = []
    for tag, trained in world.trained.items():
        encoder = read_encoder(built(trained.encoder, world.root).path)
        encoded.append(centred(world.rows[tag], ids) @ encoder.weight_ED.T)
    x_ND, y_NE = centred(world.rows["late"], ids), np.mean(encoded, axis=0)
    strength = checked_strength(late.record.metrics, x_ND, y_NE, ids)
    found = read_encoder(late.path).weight_ED
    np.testing.assert_allclose(found, ridge_of(x_ND, y_NE, strength), atol=1e-5)
    to_anchor = ridge_of(x_ND, centred(world.rows["anchor"], ids), strength)
    assert np.abs(found - to_anchor).max() > 0.01


def test_the_anchor_is_the_identity_with_its_own_mean(world):
    artifact = built(world.anchor.encoder, world.root)
    encoder = read_encoder(artifact.path)
    np.testing.assert_array_equal(encoder.weight_ED, np.eye(WIDTHS["anchor"]))
    mean_D = rescaled(world.rows["anchor"].fit.spec, ids_of(Split.FIT, 200)).mean(axis=0)
    np.testing.assert_allclose(encoder.mean_D, mean_D, rtol=1e-6)
    assert artifact.record.metrics["dev/fve_centred_own"] == pytest.approx(1)
    assert artifact.record.metrics["num_rows"] == 200


def test_rows_are_joined_by_id_alone(world):
    """Other orders of rows, in other shards, on either side."""
    for tag in ("left", "anchor"):
        ids = [p.decode() for p in first_shard(world, world.rows[tag]).passage_ids_N]
        other = host_rows(tag, order_seed=1)
        assert [p.decode() for p in first_shard(world, other).passage_ids_N] != ids
    expected = read_encoder(built(world.trained["left"].encoder, world.root).path)
    permuted = host_rows("left", order_seed=1)
    anchor_rows = host_rows("anchor", order_seed=1)
    anchor = Encoded(anchor_rows, anchor_encoder_stage(anchor_rows))
    for own, target in ((permuted, world.anchor), (world.rows["left"], anchor)):
        artifact = built(encoder_stage(own, {"anchor": target}, target), world.root)
        found = read_encoder(artifact.path)
        np.testing.assert_allclose(found.weight_ED, expected.weight_ED, atol=1e-6)
        np.testing.assert_allclose(found.mean_D, expected.mean_D, atol=1e-6)


def first_shard(world, rows):
    artifact = built(rows.fit, world.root)
    return read_shard(list_shards(layer_folder(artifact.path, BLOCK))[0]).rows


def test_more_dimensions_than_rows_is_told_and_gives_numbers(world):
    artifact = fitted(world, host_rows("wide", num_fit=25))
    assert artifact.record.metrics["num_rows"] == 25
    assert artifact.record.metrics["has_few_rows"]
    encoder = read_encoder(artifact.path)
    assert np.isfinite(encoder.weight_ED).all()
    assert np.isfinite(artifact.record.metrics["dev/fve_centred_own"])


def test_least_squares_with_more_dimensions_than_rows_is_rank_deficient(world):
    stage = encoder_stage(host_rows("wide", num_fit=25), {"anchor": world.anchor}, world.anchor)
    plain = replace(stage.spec, ridge=replace(RIDGE, strengths=(0.0,)))
    artifact = built(replace(stage, spec=plain), world.root)
    assert artifact.record.metrics["is_rank_deficient"]
    assert artifact.record.metrics["effective_rank"] <= 25
    assert np.isfinite(read_encoder(artifact.path).weight_ED).all()


def test_rows_without_a_direction_are_dropped_on_both_sides_and_counted(world):
    own = host_rows("left", first_is_nan=7, last_is_zero=4)
    anchor_rows = host_rows("anchor", first_is_nan=9, last_is_zero=1)
    anchor = Encoded(anchor_rows, anchor_encoder_stage(anchor_rows))
    artifact = built(encoder_stage(own, {"anchor": anchor}, anchor), world.root)
    metrics = artifact.record.metrics
    assert (metrics["num_rows"], metrics["num_dropped"]) == (200 - 9 - 4, 9 + 4)
    anchor_metrics = built(anchor.encoder, world.root).record.metrics
    assert (anchor_metrics["num_rows"], anchor_metrics["num_dropped"]) == (190, 10)
    ids = ids_of(Split.FIT, 200)
    mean_D = rescaled(world.rows["left"].fit.spec, ids[9:-4]).mean(axis=0)
    np.testing.assert_allclose(read_encoder(artifact.path).mean_D, mean_D, rtol=1e-5)


@pytest.mark.parametrize("bad", [{"first_is_nan": 200}, {"last_is_zero": 200}])
def test_no_row_with_a_direction_is_an_error(world, bad):
    with pytest.raises(ValueError, match="left and its targets share no `fit` row"):
        fitted(world, host_rows("left", **bad))
    with pytest.raises(ValueError, match="anchor has no `fit` row"):
        built(anchor_encoder_stage(host_rows("anchor", **bad)), world.root)


@pytest.mark.parametrize("which", ["anchor", "left"])
def test_blocks_of_rows_with_nothing_good_in_them_are_passed_over(world, which):
    """Zero rows are finite: a whole block may consist of them."""
    rows = host_rows(which, last_is_zero=150)
    stage = anchor_encoder_stage(rows) if which == "anchor" else encoder_stage(
        rows, {"anchor": world.anchor}, world.anchor
    )  # fmt: skip
    artifact = built(small_blocks(stage, 2), world.root)
    assert artifact.record.metrics["num_rows"] == 50


@pytest.mark.parametrize("block_rows", [7, 64])
def test_the_fit_holds_one_block_of_rows(world, block_rows, monkeypatch):
    asked = []
    real = PooledRows.vectors

    def vectors(self, ids):
        if set(ids) <= set(ids_of(Split.FIT, 200)):
            asked.append(len(ids))
        return real(self, ids)

    monkeypatch.setattr(PooledRows, "vectors", vectors)
    expected = built(world.trained["right"].encoder, world.root)
    asked.clear()
    artifact = built(small_blocks(world.trained["right"].encoder, block_rows), world.root)
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
        upstream = consumed_upstream(artifact, mini_root)
        assert upstream.keys() == {Split.PRETRAIN, Split.FIT, Split.DEV}
        seen.add(stage.label)
    assert seen == {host.tag for host in world_mini().hosts}


def test_an_encoder_of_real_rows_is_the_ridge_of_the_method(mini_root):
    """The same computation on the rows of the mini world's own hosts, read from its shards."""
    stages = {(stage.kind, stage.label): stage for stage in graph_of(world_mini())}
    x_ND, y_NE = (
        real_rows(find(stages["activations", f"{tag}-fit"], mini_root))
        for tag in ("gpt2-medium", "qwen3-1p7b")
    )
    artifact = find(stages["encoder", "gpt2-medium"], mini_root)
    encoder = read_encoder(artifact.path)
    np.testing.assert_allclose(encoder.mean_D, x_ND.mean(axis=0), rtol=1e-5, atol=1e-6)
    x_ND, y_NE = x_ND - x_ND.mean(axis=0), y_NE - y_NE.mean(axis=0)
    expected = ridge_of(x_ND, y_NE, artifact.record.metrics["ridge"])
    np.testing.assert_allclose(encoder.weight_ED, expected, atol=1e-5)


def real_rows(artifact):
    """n(h) of all rows, in the order of the ids."""
    [block_index] = artifact.record.spec["block_indices"]
    shards = [read_shard(path) for path in list_shards(layer_folder(artifact.path, block_index))]
    ids = sorted(read_consumed(artifact.path / LEDGER_NAME)[Split.FIT])
    h_ND = rows_by_id(shards, ids).vectors_ND.astype(np.float64)
    return np.sqrt(h_ND.shape[1]) * h_ND / np.linalg.norm(h_ND, axis=1, keepdims=True)
