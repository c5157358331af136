"""What an extraction read and what it could not are in its ledger and its metrics."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.local_host import local_host
from transformers import AutoModelForCausalLM, AutoTokenizer

from interlingua.specs.extraction import LastToken, TokenPositions
from interlingua.specs.splits import Split
from interlingua.stages.rows.activations import activations_stage
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import build
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed


def test_the_ledger_holds_the_split_alone(undisturbed, fit_passages):
    ledger = read_consumed(undisturbed().path / LEDGER_NAME)
    assert ledger == {Split.FIT: {passage.passage_id for passage in fit_passages}}


def test_rows_that_are_not_finite_are_counted_and_never_handed_out(
    recipe, host_folder, own_root, context, pooled_spec, fit_passages, tmp_path
):
    model = AutoModelForCausalLM.from_pretrained(host_folder)
    tokenizer = AutoTokenizer.from_pretrained(host_folder)
    texts = {p.passage_id: p.text for p in fit_passages}
    ids_of = {key: set(tokenizer(text)["input_ids"]) for key, text in texts.items()}
    uses = Counter(token for ids in ids_of.values() for token in ids)
    poison = next(token for token, count in uses.items() if 2 <= count <= 6)
    with torch.no_grad():
        model.get_input_embeddings().weight[poison] = float("nan")
    model.save_pretrained(tmp_path / "poisoned")
    tokenizer.save_pretrained(tmp_path / "poisoned")
    host = adopted_stage(local_host("tiny", str(tmp_path / "poisoned"), None))
    build(host, own_root, context)
    stage = activations_stage(host, passages_stage(recipe.passages), pooled_spec)
    artifact = build(stage, own_root, context)
    bad = {key for key, ids in ids_of.items() if poison in ids}
    assert artifact.record.metrics["num_not_finite"] == len(bad) == uses[poison]
    rows = KeyedRows(artifact, 0, {Split.FIT}, SplitAccess({Split.FIT}))
    assert {key for key, _ in rows.finite_keys()} == texts.keys() - bad
    assert rows.num_expected == len(texts)


def test_passages_that_are_too_short_have_no_row_and_are_counted(
    stage_of, own_root, context, undisturbed, pooled_spec
):
    shards = list_shards(block_folder(undisturbed().path, 0))
    tokens_N = np.concatenate([read_shard(path).rows.num_tokens_N for path in shards])
    limit = int(np.median(tokens_N))
    spec = replace(pooled_spec, read=TokenPositions(per_passage=1, min_position=limit, seed=0))
    artifact = build(stage_of(spec), own_root, context)
    rows = KeyedRows(artifact, 2, {Split.FIT}, SplitAccess({Split.FIT}))
    num_short = int(np.count_nonzero(tokens_N <= limit))
    assert artifact.record.metrics["num_without_rows"] == num_short > 0
    assert len(rows.finite_keys()) == len(tokens_N) - num_short > 0


def test_a_split_without_passages_is_refused(recipe, host_folder, context, pooled_spec, tmp_path):
    shares = {**recipe.passages.split.shares(), Split.FIT: 0.0}
    seed = recipe.passages.split.seed
    rest = 1 - sum(shares.values()) + shares[Split.PRETRAIN]
    split = type(recipe.passages.split)(seed=seed, **{**shares, Split.PRETRAIN: rest})
    passages = passages_stage(replace(recipe.passages, split=split))
    host = adopted_stage(local_host("tiny", str(host_folder), None))
    for stage in (passages, host):
        build(stage, tmp_path, context)
    with pytest.raises(ValueError, match="fit; no passage"):
        build(activations_stage(host, passages, pooled_spec), tmp_path, context)


def test_where_nothing_can_be_read_it_says_why(stage_of, own_root, context, pooled_spec):
    spec = replace(pooled_spec, read=LastToken(), max_tokens=4)
    with pytest.raises(ValueError) as caught:
        build(stage_of(spec), own_root, context)
    said = str(caught.value)
    assert said.startswith("hosts.tiny: no row of fit; of ") and "\n" not in said
    assert "are longer than max_tokens (4)" in said and "Raise hosts.tiny.max_tokens" in said
