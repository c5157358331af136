"""Failures of published runs as recipes: what each changes, and what refuses it before any work."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from interlingua.cluster.local import local_context
from interlingua.core.geometry import rescale
from interlingua.probes.decoder_fits import DecoderFit, FitRows, decoders_of_activations
from interlingua.recipes.failures import (
    world_collapsed,
    world_lora,
    world_mixed_teachers,
    world_sound,
    world_wrong_decoder,
)
from interlingua.recipes.world import world_mini
from interlingua.sources.pinned import pinned
from interlingua.specs.maps import FromEncoder
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import opened_rows
from interlingua.store.artifact import build, find
from interlingua.store.maps import read_decoder, read_encoder
from interlingua.store.rows.splits import SplitAccess
from interlingua.sweeps.catalog import seeds_sweep
from interlingua.sweeps.sweep import SweepRefused, cells_of

TAG = "toy-gpt2-medium"


def fingerprints(recipe):
    return {stage.name: stage.fingerprint for stage in graph_of(recipe)}


def kinds_that_differ(one, other):
    """Kinds of which a stage differs, but for those that are named after their recipe."""
    mine, theirs = (
        {name.replace(recipe.name, "x"): f for name, f in fingerprints(recipe).items()}
        for recipe in (one, other)
    )
    assert mine.keys() == theirs.keys()
    return {name.split("/")[0] for name in mine if mine[name] != theirs[name]}


def test_mixed_teachers_are_refused_before_any_work():
    recipe = world_mixed_teachers()
    for accepts in ((), ("another",)):
        with pytest.raises(ValueError, match=r"mixes teachers.*--set accepts_teachers=world$"):
            replace(recipe, accepts_teachers=accepts).check_teachers()
    for accepts in (("world",), ("world-0123456789ab",)):
        replace(recipe, accepts_teachers=accepts).check_teachers()
    world_sound().check_teachers()


def test_no_way_to_build_goes_around_that():
    recipe = replace(world_mixed_teachers(), accepts_teachers=())
    with pytest.raises(ValueError, match="mixes teachers"):
        pinned(recipe)
    with pytest.raises(SweepRefused, match="mixes teachers"):
        cells_of(seeds_sweep(recipe, seeds=(0, 1)))
    assert graph_of(pinned(recipe, is_built=False))  # a dry run shows it


def test_a_wrong_decoder_changes_decoders_and_what_is_made_with_them():
    differing = kinds_that_differ(world_sound(), world_wrong_decoder())
    assert differing == {"decoder", "bundle", "scored", "methods", "evaluation", "report"}


def test_a_collapse_is_one_setting_of_the_av():
    lora, collapsed = world_lora(), world_collapsed()
    assert replace(lora.av, optim=collapsed.av.optim) == collapsed.av
    assert replace(lora, name=collapsed.name, av=collapsed.av) == collapsed
    assert {"host", "activations", "encoder", "ar"}.isdisjoint(kinds_that_differ(lora, collapsed))


def test_a_decoder_of_encoded_activations_is_the_published_fit(mini_nla_root, tmp_path):
    """The one that the comparison of methods calls `enc_refit`, made by a stage of its own."""
    root = shutil.copytree(mini_nla_root, tmp_path / "root", copy_function=os.link)
    mini = world_mini()
    wrong = replace(mini, fitting=replace(mini.fitting, decoder=FromEncoder()))
    [stage] = [s for s in graph_of(wrong) if (s.kind, s.label) == ("decoder", TAG)]
    decode = read_decoder(build(stage, root, local_context(mini.placement)).path)
    encoders = {tag: find(one, root) for tag, one in stage.inputs.encoders.items()}
    fit = opened_rows(find(stage.inputs.fit, root), [Split.FIT], SplitAccess({Split.FIT}))
    keys = fit.finite_keys()
    h_ND = fit.vectors(keys)
    space = opened_space(encoders, anchor=mini.anchor, centring=mini.av.injection.centring)
    v_NE = space.v_of(TAG, h_ND).astype(np.float64)
    rows = FitRows(
        a_NE=v_NE,
        n_ND=rescale(h_ND),
        v_NE=v_NE,
        passages_N=np.array([passage_id for passage_id, _ in keys]),
        encoder=read_encoder(encoders[TAG].path),
    )
    published = decoders_of_activations(rows, mini.fitting.ridge)[DecoderFit.ENC_REFIT]
    assert np.abs(decode(v_NE) - rows.n_ND.mean(axis=0)).max() > 0.1
    np.testing.assert_allclose(decode(v_NE), published(v_NE), atol=1e-4)
