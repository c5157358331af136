"""The encoder stage computes what the method says."""

from dataclasses import replace

import numpy as np
import pytest

from interlingua.core.moments import fold_of
from interlingua.recipes.parts import WORLD_FITTING
from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.maps.encoder import encoder_stage
from interlingua.store.artifact import find
from interlingua.store.maps import read_encoder
from interlingua.store.rows.shards import ShardIndex, block_folder, list_shards, read_shard
from interlingua.store.rows.splits import LEDGER_NAME, read_consumed


def unit(x_ND):
    return x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)


def rescaled(h_ND):
    """n(h), by the method's words."""
    return np.sqrt(h_ND.shape[1]) * unit(h_ND.astype(np.float64))


def centred(x_ND):
    return x_ND - x_ND.mean(axis=0)


def ridge_of(x_ND, y_NE, strength):
    """[E, D] of a ridge relative to the mean diagonal of X^T X, by the normal equations."""
    gram = x_ND.T @ x_ND
    penalty = strength * np.diag(gram).mean() * np.eye(len(gram))
    return np.linalg.solve(gram + penalty, x_ND.T @ y_NE).T


def fold_errors_of(x_ND, y_NE, ids):
    """By strength, the mean squared error of held-out folds of passages, fold by fold."""
    folds_N = np.array([fold_of(identity, WORLD_FITTING.ridge.num_folds) for identity in ids])
    errors = dict.fromkeys(WORLD_FITTING.ridge.strengths, 0.0)
    for strength in WORLD_FITTING.ridge.strengths:
        for fold in range(WORLD_FITTING.ridge.num_folds):
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


def test_an_encoder_is_the_ridge_of_the_method(made_up):
    own, target = (made_up.rows[tag].fit.spec for tag in ("left", "anchor"))
    mean_D = rescaled(own.vectors_ND).mean(axis=0)
    x_ND, y_NE = (centred(rescaled(spec.vectors_ND)) for spec in (own, target))
    artifact = made_up.built(made_up.trained["left"].encoder)
    strength = checked_strength(artifact.record.metrics, x_ND, y_NE, own.ids)
    encoder = read_encoder(artifact.path)
    np.testing.assert_allclose(encoder.weight_ED, ridge_of(x_ND, y_NE, strength), atol=1e-5)
    np.testing.assert_allclose(encoder.mean_D, mean_D, rtol=1e-5)
    np.testing.assert_allclose(encoder(x_ND + mean_D), x_ND @ encoder.weight_ED.T, atol=1e-4)


def test_its_score_is_that_of_the_anchors_vectors_rebuilt(made_up):
    artifact = made_up.built(made_up.trained["left"].encoder)
    encoder = read_encoder(artifact.path)
    anchor = read_encoder(made_up.built(made_up.anchor.encoder).path)
    own, target = (rescaled(made_up.rows[tag].dev.spec.vectors_ND) for tag in ("left", "anchor"))
    cos = (unit(anchor.mean_D + encoder(own)) * unit(target)).sum(axis=1)
    variance = 1 - np.linalg.norm(unit(target).mean(axis=0)) ** 2
    expected = 1 - (2 * (1 - cos)).mean() / variance
    metrics = artifact.record.metrics
    assert metrics["dev/fve_centred_own"] == pytest.approx(expected, abs=1e-4)
    assert 0.5 < expected < 0.999
    assert metrics["dev/fve_centred_own_n"] == 40
    assert metrics["constant/fve_centred_own"] <= 0


def test_a_host_that_comes_later_is_fitted_to_the_mean_of_the_trained(made_up):
    own = made_up.rows["late"]
    late = made_up.built(encoder_stage(WORLD_FITTING, own, made_up.trained, made_up.anchor))
    encoded = []
    for tag, trained in made_up.trained.items():
        encoder = read_encoder(made_up.built(trained.encoder).path)
        rows_ND = rescaled(made_up.rows[tag].fit.spec.vectors_ND)
        encoded.append(centred(rows_ND) @ encoder.weight_ED.T)
    x_ND, y_NE = centred(rescaled(own.fit.spec.vectors_ND)), np.mean(encoded, axis=0)
    strength = checked_strength(late.record.metrics, x_ND, y_NE, own.fit.spec.ids)
    found = read_encoder(late.path).weight_ED
    np.testing.assert_allclose(found, ridge_of(x_ND, y_NE, strength), atol=1e-5)
    anchor_ND = centred(rescaled(made_up.rows["anchor"].fit.spec.vectors_ND))
    assert np.abs(found - ridge_of(x_ND, anchor_ND, strength)).max() > 0.01


def test_the_anchor_is_the_identity_with_its_own_mean(made_up):
    artifact = made_up.built(made_up.anchor.encoder)
    encoder = read_encoder(artifact.path)
    np.testing.assert_array_equal(encoder.weight_ED, np.eye(made_up.widths["anchor"]))
    mean_D = rescaled(made_up.rows["anchor"].fit.spec.vectors_ND).mean(axis=0)
    np.testing.assert_allclose(encoder.mean_D, mean_D, rtol=1e-6)
    assert artifact.record.metrics["dev/fve_centred_own"] == pytest.approx(1)
    assert artifact.record.metrics["num_rows"] == 200


def test_more_dimensions_than_rows_is_told_and_gives_numbers(made_up):
    artifact = made_up.built(made_up.to_anchor(made_up.host_rows("wide", num_fit=25)))
    assert artifact.record.metrics["num_rows"] == 25
    assert artifact.record.metrics["has_few_rows"]
    assert np.isfinite(read_encoder(artifact.path).weight_ED).all()
    assert np.isfinite(artifact.record.metrics["dev/fve_centred_own"])


def test_least_squares_with_more_dimensions_than_rows_is_rank_deficient(made_up):
    stage = made_up.to_anchor(made_up.host_rows("wide", num_fit=25))
    plain = replace(stage.spec, ridge=replace(WORLD_FITTING.ridge, strengths=(0.0,)))
    artifact = made_up.built(replace(stage, spec=plain))
    assert artifact.record.metrics["is_rank_deficient"]
    assert artifact.record.metrics["effective_rank"] <= 25
    assert np.isfinite(read_encoder(artifact.path).weight_ED).all()


def test_an_encoder_of_real_rows_is_the_ridge_of_the_method(mini_root):
    """The same computation on the rows of the mini world's own hosts, read from its shards."""
    stages = {(stage.kind, stage.label): stage for stage in graph_of(world_mini())}
    x_ND, y_NE = (
        rescaled(real_rows(find(stages["activations", f"{tag}-fit"], mini_root)))
        for tag in ("toy-gpt2-medium", "toy-qwen3-1p7b")
    )
    artifact = find(stages["encoder", "toy-gpt2-medium"], mini_root)
    encoder = read_encoder(artifact.path)
    np.testing.assert_allclose(encoder.mean_D, x_ND.mean(axis=0), rtol=1e-5, atol=1e-6)
    expected = ridge_of(centred(x_ND), centred(y_NE), artifact.record.metrics["ridge"])
    np.testing.assert_allclose(encoder.weight_ED, expected, atol=1e-5)


def real_rows(artifact):
    """All rows, in the order of the ids."""
    [block_index] = artifact.record.spec["block_indices"]
    shards = [read_shard(path) for path in list_shards(block_folder(artifact.path, block_index))]
    ids = sorted(read_consumed(artifact.path / LEDGER_NAME)[Split.FIT])
    return ShardIndex(shards).rows(ids).vectors_ND
