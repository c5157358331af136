"""A tiny host, what is read from it, and an extraction that nothing disturbed."""

from dataclasses import replace

import pytest
import torch
from tests.local_host import local_host

from interlingua.published.hosts import pool_host
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.splits import Split
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.stages.rows.activations import activations_stage
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import build, find
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess
from interlingua.world.hosts import fresh_model, tiny_config
from interlingua.world.text import tellings
from interlingua.world.tokenizers import special_ids, trained_tokenizer

torch.set_num_threads(1)

POOLED = ExtractSpec(
    host_tag="tiny",
    block_indices=(0, 2),
    read=Pooled(include_first=False),
    max_tokens=256,
    dtype="float32",
    splits=(Split.FIT,),
)


@pytest.fixture(scope="session")
def pooled_spec():
    """Pooled rows of two blocks of the tiny host."""
    return POOLED


@pytest.fixture(scope="session")
def host_folder(recipe, tmp_path_factory):
    """A random host of three blocks, saved as Hugging Face saves models."""
    path = tmp_path_factory.mktemp("tiny")
    spec = TokenizerSpec(kind=TokenizerKind.BYTE_BPE, vocab_size=900, has_bos=True, chat=None)
    told = tellings(recipe.passages.corpus.world, 0, 200)
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


@pytest.fixture(scope="session")
def stage_of(recipe, host_folder):
    """Extraction from the tiny host, by its spec."""
    host = adopted_stage(local_host("tiny", str(host_folder), None))
    return lambda spec=POOLED: activations_stage(host, passages_stage(recipe.passages), spec)


@pytest.fixture(scope="session")
def fit_passages(recipe, root):
    """The passages that are read."""
    path = find(passages_stage(recipe.passages), root).path / PASSAGES_NAME
    return list(read_passages(path, {Split.FIT}, SplitAccess({Split.FIT})))


@pytest.fixture
def own_root(root, stage_of, context, tmp_path):
    """A run root of the test's own, in which the inputs are built."""
    (tmp_path / "passages").symlink_to(root / "passages")
    build(stage_of().inputs.host, tmp_path, context)
    return tmp_path


@pytest.fixture(scope="session")
def undisturbed(stage_of, root, context):
    """The artifact of an extraction that nothing disturbed, by its spec."""
    build(stage_of().inputs.host, root, context)
    return lambda spec=POOLED: build(stage_of(spec), root, context)


@pytest.fixture(scope="session")
def blocks_of(context):
    """The context with blocks of another size."""

    def changed(block_passages):
        place = replace(context.placement.extraction, block_passages=block_passages)
        return replace(context, placement=replace(context.placement, extraction=place))

    return changed
