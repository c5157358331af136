"""A contract holds for the tokenizer it was measured on; every drift is refused and explained."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from interlingua.specs.injection import BosRule
from interlingua.store.contract.check import (
    ar_prompt_ids,
    av_prompt_ids,
    measured_suffix,
    measured_tokens,
    verify_affine,
    verify_ar,
    verify_av,
    verify_hashes,
    verify_width,
)
from interlingua.store.contract.statement import (
    RELEASED,
    AffineFile,
    Contract,
    ContractMismatch,
    Extension,
    MarkerTokens,
    Statement,
    av_message,
    resolve_contract,
)

MARKER = "\u320e"
AV_TEMPLATE = "Here is the vector:\n\n<concept>{injection_char}</concept>\n\nPlease explain."
AR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
CORPUS = [
    AV_TEMPLATE,
    AR_TEMPLATE,
    "<text>A word.</text> <summary> another word</text> <summary>",
    "the markers stand between <concept> and </concept> in every prompt",
] * 8
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build_tokenizer(
    *,
    marker: str | None = MARKER,
    has_bos: bool = True,
    has_prefix_space: bool = False,
    chat_template: str | None = CHAT,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on a few lines, with a chat template."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=has_prefix_space)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS, trainer)
    if marker is not None:
        raw.add_special_tokens([AddedToken(marker, normalized=False)])
    if has_bos:
        raw.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", raw.token_to_id("<bos>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<bos>", eos_token="<eos>", chat_template=chat_template
    )


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def measured(tokenizer: PreTrainedTokenizerFast, num_slots: int = 1, **changes: object) -> Contract:
    """The contract that a writer records for this tokenizer."""
    message = av_message(AV_TEMPLATE, MARKER, num_slots)
    extension: Extension = replace(RELEASED, num_slots=num_slots, **changes)
    said = Statement(
        d_model=64,
        tokens=measured_tokens(message, MARKER, num_slots, tokenizer),
        ar_suffix_ids=measured_suffix(AR_TEMPLATE, tokenizer),
        av_template=AV_TEMPLATE,
        ar_template=AR_TEMPLATE,
        extension=extension,
    )
    return resolve_contract(checkpoint=said)


@pytest.mark.parametrize("num_slots", [1, 3, 16])
def test_what_was_measured_verifies(tokenizer: PreTrainedTokenizerFast, num_slots: int) -> None:
    contract = measured(tokenizer, num_slots, ar_bos=BosRule.PRESENT)
    verify_av(contract, tokenizer)
    verify_ar(contract, tokenizer)
    ids = av_prompt_ids(contract.av_message(), tokenizer)
    first = ids.index(contract.tokens.marker_id)
    run = [contract.tokens.marker_id] * num_slots
    assert ids[first - 1 : first + num_slots + 1] == [
        contract.tokens.left_id,
        *run,
        contract.tokens.right_id,
    ]
    assert tokenizer.decode(contract.tokens.left_id).endswith(">")
    assert ids.count(tokenizer.bos_token_id) == 1
    assert len(contract.ar_suffix_ids or ()) >= 2


@pytest.mark.parametrize("has_bos", [True, False])
def test_a_base_model_reads_the_message_as_any_text(has_bos: bool) -> None:
    tokenizer = build_tokenizer(has_bos=has_bos, chat_template=None)
    contract = measured(tokenizer, 3)
    verify_av(contract, tokenizer)
    ids = av_prompt_ids(contract.av_message(), tokenizer)
    assert tokenizer.decode(ids) == f"{'<bos>' * has_bos}{contract.av_message()}"


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        ({"marker_id": 7}, r"the marker's token id: expected 7, found \d+ .*Chinese"),
        ({"left_id": 7}, "left of the markers: expected 7, found"),
        ({"right_id": 7}, "right of the markers: expected 7, found"),
        (
            {"marker": "<eos>"},
            r"'<eos>' at the positions \[\d+, \d+\], expected one run of 1",
        ),
        ({"marker": "two words"}, "expected one known id; choose another"),
    ],
)
def test_recorded_tokens_that_drifted_are_refused(
    tokenizer: PreTrainedTokenizerFast, drift: dict[str, object], message: str
) -> None:
    contract = measured(tokenizer)
    tokens: MarkerTokens = replace(contract.tokens, **drift)
    with pytest.raises(ContractMismatch, match=message):
        verify_av(replace(contract, tokens=tokens), tokenizer)


def test_a_tokenizer_without_the_marker_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ContractMismatch, match=r"is \[\d+, \d+, \d+\] for this tokenizer"):
        verify_av(measured(tokenizer), build_tokenizer(marker=None))


def test_an_unknown_token_is_no_marker() -> None:
    vocab = {"<unk>": 0, "concept": 1, "<": 2, ">": 3}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    words = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", chat_template=CHAT)
    assert words.encode(MARKER, add_special_tokens=False) == [words.unk_token_id]
    with pytest.raises(ContractMismatch, match=r"is \[0\] for this tokenizer \(unknown: 0\)"):
        measured_tokens(av_message(AV_TEMPLATE, MARKER, 1), MARKER, 1, words)


def test_a_run_that_is_not_one_token_a_marker_is_refused() -> None:
    raw = Tokenizer(models.BPE(vocab={"a": 0, "aa": 1}, merges=[("a", "a")]))
    merging = PreTrainedTokenizerFast(tokenizer_object=raw, chat_template=CHAT)
    assert merging.encode("a", add_special_tokens=False) == [0]
    with pytest.raises(ContractMismatch, match=r"'a' in a row are \[1\], expected \[0, 0\]"):
        measured_tokens("aa", "a", 2, merging)


def test_a_template_or_slot_count_that_drifted_is_refused(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    contract = measured(tokenizer, 3)
    spaced = replace(contract, av_template=AV_TEMPLATE.replace("{inj", " {inj"))
    with pytest.raises(ContractMismatch, match="left of the markers"):
        verify_av(spaced, tokenizer)
    doubled = replace(contract, av_template=AV_TEMPLATE + f" for example {MARKER}")
    with pytest.raises(ContractMismatch, match="expected one run of 3"):
        verify_av(doubled, tokenizer)
    bare = build_tokenizer()
    bare.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(ContractMismatch, match="at the edge"):
        measured_tokens(MARKER, MARKER, 1, bare)


def test_the_end_of_the_ar_prompt_is_checked(tokenizer: PreTrainedTokenizerFast) -> None:
    contract = measured(tokenizer)
    moved = replace(contract, ar_template=AR_TEMPLATE + "\n")
    with pytest.raises(ContractMismatch, match="the end of the AR prompt of 'a word': expected"):
        verify_ar(moved, tokenizer)
    with pytest.raises(ContractMismatch, match="no source states ar_suffix_ids"):
        verify_ar(replace(contract, ar_suffix_ids=None), tokenizer)


@pytest.mark.parametrize(
    ("rule", "with_bos", "without_bos"),
    [
        (BosRule.PRESENT, True, False),
        (BosRule.TOKENIZER_DEFAULT, True, False),
        (BosRule.ABSENT, True, True),
    ],
)
def test_the_bos_rule_is_checked(
    tokenizer: PreTrainedTokenizerFast, rule: BosRule, with_bos: bool, without_bos: bool
) -> None:
    forgetful = build_tokenizer(has_bos=False)
    for found, is_valid in ((tokenizer, with_bos), (forgetful, without_bos)):
        contract = measured(found, ar_bos=rule)
        ids = ar_prompt_ids(contract, found, "z")
        assert (ids[0] == found.bos_token_id) == (rule is not BosRule.ABSENT and found is tokenizer)
        if is_valid:
            verify_ar(contract, found)
        else:
            with pytest.raises(ContractMismatch, match="BOS .*expected True, found False"):
                verify_ar(contract, found)


def test_a_tokenizer_that_has_no_bos_needs_none_by_default() -> None:
    plain = build_tokenizer(has_bos=False)
    plain.bos_token = None
    verify_ar(measured(plain), plain)
    with pytest.raises(ContractMismatch, match="BOS"):
        verify_ar(measured(plain, ar_bos=BosRule.PRESENT), plain)


def test_a_tokenizer_that_is_known_may_have_a_bos_and_not_begin_by_it() -> None:
    """As GPT-2's: what ends its texts is its BOS, too."""
    plain = build_tokenizer(has_bos=False)
    verify_ar(measured(plain, tokenizer_sha256="0" * 64), plain)
    for recorded in ({}, {"tokenizer_sha256": "0" * 64, "ar_bos": BosRule.PRESENT}):
        with pytest.raises(ContractMismatch, match="BOS .*expected True, found False"):
            verify_ar(measured(plain, **recorded), plain)


def test_a_prefix_space_is_refused() -> None:
    spacing = build_tokenizer(marker=None, has_prefix_space=True)
    with pytest.raises(ContractMismatch, match="expected one known id"):
        measured_tokens(av_message(AV_TEMPLATE, ">", 1), ">", 1, spacing)


def test_the_width_is_checked(tokenizer: PreTrainedTokenizerFast) -> None:
    contract = measured(tokenizer)
    verify_width(contract, 64)
    with pytest.raises(ContractMismatch, match="hidden size: expected 64, found 128"):
        verify_width(contract, 128)


def test_the_affine_file_is_checked(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    verify_affine(measured(tokenizer), tmp_path)
    path = tmp_path / "nla_affine.safetensors"
    sha256 = hashlib.sha256(b"maps").hexdigest()
    contract = measured(tokenizer, affine=AffineFile(file=path.name, sha256=sha256))
    with pytest.raises(ContractMismatch, match="nla_affine.safetensors is missing"):
        verify_affine(contract, tmp_path)
    path.write_bytes(b"maps")
    verify_affine(contract, tmp_path)
    path.write_bytes(b"mapz")
    with pytest.raises(ContractMismatch, match=f"expected '{sha256}', found '[0-9a-f]{{64}}'"):
        verify_affine(contract, tmp_path)


def test_recorded_hashes_are_checked_and_absent_ones_are_not(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    verify_hashes(measured(tokenizer), tokenizer_sha256="a", chat_template_sha256=None)
    contract = measured(tokenizer, tokenizer_sha256="a", chat_template_sha256="b")
    verify_hashes(contract, tokenizer_sha256="a", chat_template_sha256="b")
    with pytest.raises(ContractMismatch, match="the tokenizer's hash: expected 'a', found 'c'"):
        verify_hashes(contract, tokenizer_sha256="c", chat_template_sha256="b")
    with pytest.raises(ContractMismatch, match="chat template's hash: expected 'b', found None"):
        verify_hashes(contract, tokenizer_sha256="a", chat_template_sha256=None)
