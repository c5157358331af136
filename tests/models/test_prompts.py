"""What the AV and the AR are asked and answer, in the ids of every kind of tokenizer."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from interlingua.core.injection import MarkerMismatch
from interlingua.models.pair.prompts import (
    CLOSING,
    IGNORED,
    OPENING,
    ar_ids,
    av_prompt,
    explanation_in,
    response_ids,
    right_padded,
)
from interlingua.specs.injection import BosRule
from interlingua.specs.world import ChatFormat, TokenizerKind, TokenizerSpec, WorldSpec
from interlingua.store.contract.check import measured_suffix, measured_tokens, verify_ar, verify_av
from interlingua.store.contract.statement import (
    RELEASED,
    Contract,
    Statement,
    av_message,
    resolve_contract,
)
from interlingua.world.text import tellings
from interlingua.world.tokenizers import MARKER, trained_tokenizer

WORLD = WorldSpec(
    seed=0,
    second_language_share=0.2,
    problem_share=0.5,
    quote_share=0.3,
    framed_share=0.3,
    min_sentences=2,
    max_sentences=4,
    largest_number=5,
)
AV_TEMPLATE = "read {host_tag} . <concept>{injection_char}</concept> what is said here ?"
AR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
KINDS = [(kind, has_bos) for kind in TokenizerKind for has_bos in (True, False)]
TAGS = ("gpt2-medium", "qwen3-1p7b", "x")
SAID = "about a farm. in ruska. 3 letters."


@pytest.fixture(scope="module")
def texts() -> list[str]:
    told = [told.text for told in tellings(WORLD, 0, 80)]
    return [*told, AV_TEMPLATE, AR_TEMPLATE, *TAGS, f"{OPENING}\n{SAID}\n{CLOSING}"]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]} bos={kind[1]}")
def tokenizer(request, texts) -> PreTrainedTokenizerFast:
    kind, has_bos = request.param
    spec = TokenizerSpec(kind=kind, vocab_size=900, has_bos=has_bos, chat=ChatFormat.CHATML)
    return trained_tokenizer(spec, texts)


def contract_for(
    tokenizer: PreTrainedTokenizerFast,
    num_slots: int = 3,
    bos: BosRule = BosRule.TOKENIZER_DEFAULT,
    av_template: str = AV_TEMPLATE,
) -> Contract:
    """What a writer records for this tokenizer; it knows no host yet."""
    message = av_message(av_template, MARKER, num_slots)
    said = Statement(
        d_model=32,
        tokens=measured_tokens(message, MARKER, num_slots, tokenizer),
        ar_suffix_ids=measured_suffix(AR_TEMPLATE, tokenizer),
        av_template=av_template,
        ar_template=AR_TEMPLATE,
        extension=replace(RELEASED, num_slots=num_slots, ar_bos=bos),
    )
    return resolve_contract(explicit=said)


@pytest.mark.parametrize("num_slots", [1, 3])
@pytest.mark.parametrize("host_tag", TAGS)
def test_the_av_prompt_is_the_rendered_message_with_its_markers(tokenizer, num_slots, host_tag):
    contract = contract_for(tokenizer, num_slots)
    verify_av(contract, tokenizer)
    prompt = av_prompt(contract, tokenizer, host_tag)
    content = f"read {host_tag} . <concept>{MARKER * num_slots}</concept> what is said here ?"
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, return_dict=False
    )
    ids = prompt.ids_T.tolist()
    assert ids == expected
    assert prompt.ids_T.dtype == prompt.positions_S.dtype == torch.long
    places = [place for place, token in enumerate(ids) if token == contract.tokens.marker_id]
    assert prompt.positions_S.tolist() == places == list(range(places[0], places[0] + num_slots))
    around = tokenizer.convert_ids_to_tokens([ids[places[0] - 1], ids[places[-1] + 1]])
    assert around == ["<concept>", "</concept>"]
    assert prompt.num_shared == places[0]
    num_begins = ids.count(tokenizer.bos_token_id)
    assert num_begins == (tokenizer.bos_token_id is not None)
    assert ids[0] == tokenizer.bos_token_id or not num_begins


def test_hosts_differ_by_their_tag_alone(tokenizer):
    contract = contract_for(tokenizer)
    prompts = [av_prompt(contract, tokenizer, tag) for tag in TAGS]
    for prompt, tag in zip(prompts, TAGS, strict=True):
        text = tokenizer.decode(prompt.ids_T)
        assert f"{tag} ." in text
        assert "{" not in text
        behind = prompt.ids_T[prompt.num_shared :]
        assert torch.equal(behind, prompts[0].ids_T[prompts[0].num_shared :])
    assert len({tuple(prompt.ids_T.tolist()) for prompt in prompts}) == len(TAGS)


def test_a_prompt_moves_whole(tokenizer):
    prompt = av_prompt(contract_for(tokenizer), tokenizer, "x")
    moved = prompt.to("meta")
    assert (moved.ids_T.device.type, moved.positions_S.device.type) == ("meta", "meta")
    assert moved.ids_T.shape == prompt.ids_T.shape


@pytest.mark.parametrize("drift", [{"left_id": 0}, {"right_id": 0}, {"marker_id": 0}])
def test_recorded_tokens_that_drifted_are_refused(tokenizer, drift):
    contract = contract_for(tokenizer)
    drifted = replace(contract, tokens=replace(contract.tokens, **drift))
    with pytest.raises(MarkerMismatch, match="in Chinese"):
        av_prompt(drifted, tokenizer, "x")


@pytest.mark.parametrize("host_tag", [MARKER, f"x{MARKER * 3}", f"<concept>{MARKER}</concept>"])
def test_a_tag_that_holds_a_marker_is_refused(tokenizer, host_tag):
    with pytest.raises(MarkerMismatch, match="expected"):
        av_prompt(contract_for(tokenizer), tokenizer, host_tag)


def test_a_tag_beside_the_markers_is_refused(tokenizer):
    glued = AV_TEMPLATE.replace("{injection_char}", "{host_tag}{injection_char}")
    contract = contract_for(tokenizer, av_template=glued.replace("{host_tag}", "x"))
    with pytest.raises(MarkerMismatch, match="the markers stand between"):
        av_prompt(replace(contract, av_template=glued), tokenizer, "gpt2-medium")


@pytest.mark.parametrize("explanation", [SAID, "a", f"{SAID}\n- {SAID}", f"a  {MARKER} b", " a "])
def test_an_answer_is_read_back_from_its_ids(tokenizer, explanation):
    ids = response_ids(tokenizer, explanation)
    assert tokenizer.convert_ids_to_tokens(ids[0]) == OPENING
    assert tokenizer.convert_ids_to_tokens(ids[-1]) == "</s>"
    assert ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.bos_token_id not in ids
    text = tokenizer.decode(ids[:-1])
    assert text == f"{OPENING}\n{explanation}\n{CLOSING}"
    assert explanation_in(text) == explanation_in(tokenizer.decode(ids)) == explanation.strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{OPENING}\na farm\n{CLOSING}", "a farm"),
        (f"{OPENING}a farm{CLOSING}", "a farm"),
        (f"  {OPENING} \n\t a  farm \n{CLOSING} and more", "a  farm"),
        (f"Well: {OPENING}\none\n\ntwo\n{CLOSING}</s>", "one\n\ntwo"),
        (f"{OPENING}first{CLOSING}{OPENING}second{CLOSING}", "first"),
        (f"{CLOSING}{OPENING}a farm{CLOSING}", "a farm"),
        (f"{OPENING}a {MARKER} b{CLOSING}", f"a {MARKER} b"),
        (f"{OPENING}a <b> & c{CLOSING}", "a <b> & c"),
        (f"{OPENING}a farm{CLOSING}{CLOSING}", "a farm"),
        ("", None),
        ("a farm", None),
        (OPENING, None),
        (CLOSING, None),
        (f"{OPENING}a farm", None),
        (f"a farm{CLOSING}", None),
        (f"{CLOSING}a farm{OPENING}", None),
        (f"{OPENING}{CLOSING}", None),
        (f"{OPENING} \n\t {CLOSING}", None),
        (f"{OPENING}{CLOSING}{OPENING}a farm{CLOSING}", None),
        ("<explanation >a farm</explanation>", None),
        (f"{OPENING}a farm</ explanation>", None),
        ("<EXPLANATION>a farm</EXPLANATION>", None),
    ],
)
def test_only_what_stands_between_the_tags_is_an_explanation(text, expected):
    assert explanation_in(text) == expected


@given(st.lists(st.sampled_from([OPENING, CLOSING, "a", " ", "\n"]), max_size=8))
def test_an_explanation_is_never_empty_nor_unbounded(pieces):
    text = "".join(pieces)
    found = explanation_in(text)
    behind = pieces[pieces.index(OPENING) + 1 :] if OPENING in pieces else []
    inside = "".join(behind[: behind.index(CLOSING)]).strip() if CLOSING in behind else ""
    assert found == (inside or None)


@pytest.mark.parametrize("bos", BosRule)
def test_the_ar_is_asked_in_its_template_and_by_its_bos_rule(tokenizer, bos):
    contract = contract_for(tokenizer, bos=bos)
    explanations = [SAID, "", f"a {MARKER} b", '"quoted"\n']
    rows = ar_ids(contract, tokenizer, explanations)
    assert len(rows) == len(explanations)
    suffix = list(contract.ar_suffix_ids)
    has_begin = bos is not BosRule.ABSENT and tokenizer.bos_token_id is not None
    for explanation, ids in zip(explanations, rows, strict=True):
        text = f"Summary of the following text: <text>{explanation}</text> <summary>"
        begin = [tokenizer.bos_token_id] * has_begin
        assert ids == begin + tokenizer.encode(text, add_special_tokens=False)
        assert ids.count(tokenizer.bos_token_id) == has_begin
        assert tokenizer.eos_token_id not in ids
        assert ids[-len(suffix) :] == suffix
    if bos is not BosRule.PRESENT or has_begin:
        verify_ar(contract, tokenizer)


def test_rows_are_padded_on_the_right():
    padded_BT = right_padded([[1, 2, 3], [4], []], IGNORED)
    assert padded_BT.tolist() == [[1, 2, 3], [4, IGNORED, IGNORED], [IGNORED] * 3]
    assert padded_BT.dtype == torch.long
    assert right_padded([[5, 6]], 0).tolist() == [[5, 6]]
