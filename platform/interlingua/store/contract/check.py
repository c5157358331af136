"""Checks a contract against a tokenizer, a width and files before anything runs by it.

The tokenizer is passed in and known only by a small Protocol: no transformers, no model. Every
failure is a `ContractMismatch` that says what was expected, what was found, and the symptom of
going on all the same.
"""

import hashlib
from pathlib import Path
from typing import Any, Protocol

from interlingua.specs.injection import BosRule
from interlingua.store.contract.statement import (
    EXPLANATION_FIELD,
    Contract,
    ContractMismatch,
    MarkerTokens,
)

CHINESE = "symptom: explanations in Chinese or about a bracketed character"
# the token before the suffix may merge with any of these; the suffix ids themselves must not move
CANONICAL_EXPLANATIONS = ("a word", "A sentence.", 'A "quote"', "lines\n")


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that a contract depends on."""

    @property
    def unk_token_id(self) -> int | None: ...

    @property
    def bos_token_id(self) -> int | None: ...

    @property
    def chat_template(self) -> Any: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any: ...


def verify_av(contract: Contract, tokenizer: Tokenizer) -> None:
    """Raise unless the marker and its neighbours stand in the AV's prompt as recorded."""
    recorded = contract.tokens
    found = measured_tokens(
        contract.av_message(), recorded.marker, contract.extension.num_slots, tokenizer
    )
    _expect("the marker's token id", found.marker_id, recorded.marker_id, CHINESE)
    _expect("the token left of the markers", found.left_id, recorded.left_id, CHINESE)
    _expect("the token right of the markers", found.right_id, recorded.right_id, CHINESE)


def verify_ar(contract: Contract, tokenizer: Tokenizer) -> None:
    """Raise unless the AR's prompt ends in the recorded suffix and begins by its BOS rule."""
    if not contract.ar_suffix_ids:
        raise ContractMismatch("no source states ar_suffix_ids; give a sidecar that does")
    suffix = list(contract.ar_suffix_ids)
    for explanation in CANONICAL_EXPLANATIONS:
        ids = ar_prompt_ids(contract, tokenizer, explanation)
        what = f"the end of the AR prompt of {explanation!r}"
        symptom = "symptom: the AR reads another token than it was trained on"
        _expect(what, ids[-len(suffix) :], suffix, symptom)
    _verify_bos(contract, tokenizer, ids)


def _verify_bos(contract: Contract, tokenizer: Tokenizer, ids: list[int]) -> None:
    """Raise unless a prompt of the AR begins as its rule says; all of them begin alike."""
    rule = contract.extension.ar_bos
    if rule is BosRule.TOKENIZER_DEFAULT and contract.extension.tokenizer_sha256 is not None:
        # By its hash it is the tokenizer of the training: some have a BOS and begin no text by it.
        return
    has_bos = tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id
    is_expected = {
        BosRule.TOKENIZER_DEFAULT: tokenizer.bos_token_id is not None,
        BosRule.PRESENT: True,
        BosRule.ABSENT: False,
    }[rule]
    symptom = "symptom: the FVE halves and nothing else is wrong; record ar_bos as it was trained"
    _expect("a BOS before the AR prompt", has_bos, is_expected, symptom)


def verify_width(contract: Contract, hidden_size: int) -> None:
    """Raise unless the trunk is as wide as the vectors."""
    _expect("the trunk's hidden size", hidden_size, contract.d_model, "another trunk was loaded")


def verify_affine(contract: Contract, folder: Path) -> None:
    """Raise unless the affine file lies in the folder with the recorded content."""
    affine = contract.extension.affine
    if affine is None:
        return
    path = folder / affine.file
    if not path.is_file():
        raise ContractMismatch(f"{path} is missing; the AV was trained with its affine maps")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    symptom = (
        "symptom: every slot carries a wrongly mapped vector; copy the file of this checkpoint"
    )
    _expect(f"the sha256 of {path}", found, affine.sha256, symptom)


def verify_hashes(
    contract: Contract, *, tokenizer_sha256: str, chat_template_sha256: str | None
) -> None:
    """Raise where a recorded hash is another; what was not recorded is not checked."""
    recorded = contract.extension
    symptom = "load the tokenizer that was saved with the checkpoint"
    if recorded.tokenizer_sha256 is not None:
        _expect("the tokenizer's hash", tokenizer_sha256, recorded.tokenizer_sha256, symptom)
    if recorded.chat_template_sha256 is not None:
        template = recorded.chat_template_sha256
        _expect("the chat template's hash", chat_template_sha256, template, symptom)


def measured_tokens(
    message: str, marker: str, num_slots: int, tokenizer: Tokenizer
) -> MarkerTokens:
    """The marker tokens of an AV message (`Contract.av_message`, `av_message`), for recording."""
    marker_id = _marker_id(marker, num_slots, tokenizer)
    ids = av_prompt_ids(message, tokenizer)
    # Sought again in the whole prompt: the chat template around the run may merge with its ends.
    places = [place for place, token_id in enumerate(ids) if token_id == marker_id]
    is_run = bool(places) and places == list(range(places[0], places[0] + num_slots))
    if not is_run:
        raise ContractMismatch(
            f"the AV prompt holds {marker!r} at the positions {places}, expected one run of "
            f"{num_slots}; the template or num_slots is another ({CHINESE})"
        )
    if places[0] == 0 or places[-1] == len(ids) - 1:
        raise ContractMismatch(
            f"{marker!r} stands at the edge of the AV prompt; it needs neighbours"
        )
    left_id, right_id = ids[places[0] - 1], ids[places[-1] + 1]
    return MarkerTokens(marker=marker, marker_id=marker_id, left_id=left_id, right_id=right_id)


def measured_suffix(ar_template: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The AR suffix to record: the tail of the template less its first token, which may merge."""
    tail = ar_template.partition(EXPLANATION_FIELD)[2]
    return tuple(tokenizer.encode(tail, add_special_tokens=False)[1:])


def av_prompt_ids(message: str, tokenizer: Tokenizer) -> list[int]:
    """The AV's prompt: the message in the chat template, which brings its own BOS.

    A base model has no template: its prompt is the message, as it reads every text.
    """
    if tokenizer.chat_template is None:
        return tokenizer.encode(message, add_special_tokens=True)
    turn = [{"role": "user", "content": message}]
    # In two steps, without special tokens: a BOS of the tokenizer's own would be a second one.
    text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False)


def ar_prompt_ids(contract: Contract, tokenizer: Tokenizer, explanation: str) -> list[int]:
    """The AR's prompt of an explanation, whose last token is read."""
    is_special = contract.extension.ar_bos is not BosRule.ABSENT
    return tokenizer.encode(contract.ar_prompt(explanation), add_special_tokens=is_special)


def _marker_id(marker: str, num_slots: int, tokenizer: Tokenizer) -> int:
    """The one id of the marker, alone and in a run of the slots."""
    ids = tokenizer.encode(marker, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ContractMismatch(
            f"the marker {marker!r} is {ids} for this tokenizer (unknown: "
            f"{tokenizer.unk_token_id}), expected one known id; choose another character "
            f"or add it as a special token ({CHINESE})"
        )
    run = tokenizer.encode(marker * num_slots, add_special_tokens=False)
    if run != ids * num_slots:
        raise ContractMismatch(
            f"{num_slots} markers {marker!r} in a row are {run}, expected {ids * num_slots}; the "
            "tokenizer merges or splits them, so choose another character"
        )
    return ids[0]


def _expect(what: str, found: object, expected: object, symptom: str) -> None:
    if found != expected:
        raise ContractMismatch(f"{what}: expected {expected!r}, found {found!r} ({symptom})")
