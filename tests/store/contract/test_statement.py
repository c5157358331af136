"""Of several sources one contract is made, and contradictions are not settled in silence."""

from dataclasses import replace

import pytest

from interlingua.store.contract.statement import (
    RELEASED,
    ContractMismatch,
    MarkerTokens,
    Statement,
    norm_of,
    resolve_contract,
)

TOKENS = MarkerTokens(marker="\u320e", marker_id=149705, left_id=29, right_id=522)


def test_an_explicit_argument_beats_the_checkpoint_beats_the_dataset() -> None:
    def said(scale: float, slots: int) -> dict:
        ours = replace(RELEASED, num_slots=slots)
        return {"injection_scale": scale, "mse_scale": scale, "extension": ours}

    base = Statement(d_model=8, tokens=TOKENS)
    explicit, checkpoint, dataset = (
        Statement(d_model=8, tokens=TOKENS, **said(scale, slots))
        for scale, slots in ((1.0, 2), (3.0, 4), (5.0, 6))
    )
    for sources, scale, slots in (
        ({"explicit": explicit, "checkpoint": checkpoint, "dataset": dataset}, 1.0, 2),
        ({"explicit": base, "checkpoint": checkpoint, "dataset": dataset}, 3.0, 4),
        ({"checkpoint": checkpoint, "dataset": dataset}, 3.0, 4),
        ({"checkpoint": base, "dataset": dataset}, 5.0, RELEASED.num_slots),
        ({"dataset": dataset}, 5.0, 6),
    ):
        contract = resolve_contract(**sources)
        assert (contract.injection_norm(), contract.mse_norm()) == (scale, scale)
        assert contract.extension.num_slots == slots


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("d_model", 8, 9),
        ("block_index", 3, 4),
        ("av_template", "a {injection_char}", "b {injection_char}"),
        ("ar_template", "<text>{explanation}</text>", "x"),
        ("ar_suffix_ids", (1, 2), (3,)),
        ("tokens", TOKENS, MarkerTokens(marker="x", marker_id=1, left_id=2, right_id=3)),
    ],
)
def test_facts_that_contradict_are_decided_only_by_an_explicit_argument(
    name: str, one: object, other: object
) -> None:
    base = {"d_model": 8, "tokens": TOKENS}
    checkpoint, dataset = Statement(**{**base, name: one}), Statement(**{**base, name: other})
    with pytest.raises(ContractMismatch, match=f"{name}: the checkpoint says .* the data set "):
        resolve_contract(checkpoint=checkpoint, dataset=dataset)
    explicit = Statement(**{name: other})
    contract = resolve_contract(explicit=explicit, checkpoint=checkpoint, dataset=dataset)
    assert getattr(contract, name) == other


def test_what_no_source_states_is_an_error() -> None:
    with pytest.raises(ContractMismatch, match="no source states d_model"):
        resolve_contract(checkpoint=Statement(tokens=TOKENS))
    with pytest.raises(ContractMismatch, match="no source states tokens"):
        resolve_contract(dataset=Statement(d_model=8))
    contract = resolve_contract(dataset=Statement(d_model=8, tokens=TOKENS))
    with pytest.raises(ContractMismatch, match="no source states the AV template"):
        contract.av_message()
    with pytest.raises(ContractMismatch, match="no source states the AR template"):
        contract.ar_prompt("z")


def test_the_prompts_hold_the_marker_run_and_the_explanation() -> None:
    said = Statement(
        d_model=8,
        tokens=TOKENS,
        av_template="{host_tag}: <concept>{injection_char}</concept>",
        ar_template="<text>{explanation}</text>",
        extension=replace(RELEASED, num_slots=3),
    )
    contract = resolve_contract(explicit=said)
    assert contract.av_message() == "{host_tag}: <concept>\u320e\u320e\u320e</concept>"
    assert contract.ar_prompt("{injection_char}") == "<text>{injection_char}</text>"
    twice = resolve_contract(explicit=replace(said, av_template="{injection_char}{injection_char}"))
    with pytest.raises(ContractMismatch, match="AV template holds .* 2 times, expected once"):
        twice.av_message()


def test_scales_become_norms() -> None:
    assert norm_of("raw", 16) is None
    assert norm_of("sqrt_d", 16) == 4.0
    assert norm_of(150, 16) == 150.0


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "sqrt"])
def test_a_scale_is_a_positive_number_or_a_word(scale: object) -> None:
    with pytest.raises(ValueError, match=r"Statement\.injection_scale is .* positive number"):
        Statement(injection_scale=scale)
