"""What a pair goes by before it is trained: its marker, its contract, its dtypes."""

import copy
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from interlingua.models.pair.fresh import (
    NoEnd,
    NoMarker,
    check_speaks,
    contract_of,
    marker_of,
    tokenizer_sha256,
)
from interlingua.recipes.parts import WORLD_AR, WORLD_AV
from interlingua.specs.injection import BosRule, Centring, Readout, Replace
from interlingua.specs.world import ChatFormat, TokenizerKind, TokenizerSpec
from interlingua.stages.sft.engine import ParamGroup, TorchEngine
from interlingua.store.contract.check import verify_ar, verify_av
from interlingua.world.tokenizers import MARKER, trained_tokenizer


@pytest.fixture(scope="module", params=list(TokenizerKind))
def tokenizer(request):
    spec = TokenizerSpec(kind=request.param, vocab_size=700, has_bos=False, chat=ChatFormat.CHATML)
    return trained_tokenizer(spec, ["model vector text summary", "about a farm. in english."] * 50)


def test_the_marker_is_one_token_alone_and_in_a_run(tokenizer):
    marker = marker_of(tokenizer, 4)
    assert marker == MARKER
    assert len(tokenizer.encode(marker * 4, add_special_tokens=False)) == 4


def without_marker(**special):
    """A tokenizer that knows words and no enclosed character."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, "word": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", **special)


def test_a_trunk_without_a_usable_marker_says_what_to_do():
    with pytest.raises(NoMarker, match="add one as a special token of the trunk"):
        marker_of(without_marker(), 1)
    with pytest.raises(NoMarker):
        contract_of(without_marker(), 8, av=WORLD_AV)


def test_a_marker_that_was_added_is_found():
    tokenizer = without_marker()
    tokenizer.add_special_tokens({"additional_special_tokens": [chr(0x3201)]})
    assert marker_of(tokenizer, 1) == chr(0x3201)


def test_the_contract_of_a_pair_holds_on_its_own_tokenizer(tokenizer):
    contract = contract_of(tokenizer, 96, av=WORLD_AV, ar=WORLD_AR)
    verify_av(contract, tokenizer)
    verify_ar(contract, tokenizer)
    extension = contract.extension
    assert (extension.num_slots, extension.injection_rule) == (4, Replace())
    assert (extension.centring, extension.ar_readout) == (Centring.HOST_MEAN, Readout.NORMALIZED)
    assert extension.ar_bos is BosRule.TOKENIZER_DEFAULT
    assert contract.injection_norm() == contract.mse_norm() == 96**0.5


def test_each_model_alone_states_its_own_part_only(tokenizer):
    av, ar = contract_of(tokenizer, 96, av=WORLD_AV), contract_of(tokenizer, 96, ar=WORLD_AR)
    assert (av.ar_template, av.ar_suffix_ids, av.block_index) == (None, None, None)
    assert (ar.av_template, ar.injection_scale, ar.block_index) == (None, None, 2)


def test_a_trunk_must_embed_the_marker_and_end_a_text(tokenizer):
    contract = contract_of(tokenizer, 96, av=WORLD_AV)
    check_speaks(tokenizer, contract, len(tokenizer))
    with pytest.raises(NoMarker, match=f"resize its embeddings .* to {len(tokenizer)} and save"):
        check_speaks(tokenizer, contract, contract.tokens.marker_id)
    endless = copy.deepcopy(tokenizer)
    endless.eos_token = None
    with pytest.raises(NoEnd, match="has no eos_token.*set it to one of its tokens"):
        check_speaks(endless, contract, len(tokenizer))


def test_the_hash_of_a_tokenizer_is_not_that_of_its_last_call(tokenizer):
    before = tokenizer_sha256(tokenizer)
    tokenizer(["about a farm", "in"], padding=True, truncation=True, max_length=2)
    assert tokenizer_sha256(tokenizer) == before


def test_fp16_on_a_cpu_is_refused():
    import torch

    module = torch.nn.Linear(2, 2)
    groups = [ParamGroup(list(module.parameters()), 1e-3)]
    with pytest.raises(ValueError, match="a CPU has no fp16 training: use bfloat16"):
        TorchEngine(module, groups, replace(WORLD_AV.optim, dtype="float16"), "cpu")


@pytest.mark.parametrize(
    ("spec", "changes", "said"),
    [
        (WORLD_AV, {"template": "no marker here"}, r"must hold \{injection_char\} once"),
        (WORLD_AR, {"template": "{explanation} {explanation}"}, r"must hold \{explanation\} once"),
        (WORLD_AV, {"affine_learning_rate": 1e-3}, "there is nothing to train with it"),
        (WORLD_AV, {"encoder_learning_rate": 0.0}, "encoder_learning_rate is 0.0"),
        (WORLD_AR, {"readout": "W"}, "readout is 'W'"),
    ],
)
def test_specs_that_cannot_be_are_refused(spec, changes, said):
    with pytest.raises(ValueError, match=said):
        replace(spec, **changes)
