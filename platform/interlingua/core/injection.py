"""Vectors written over the markers of a prompt. Knows no model, no tokenizer and no host.

Where a vector goes is found in the ids themselves and checked before anything is written: a vector
at the wrong place gives fluent explanations of nothing.

h is the residual stream of the AV, v a vector to inject, x what a slot gets of it; u(v) is v at the
norm 1. B rows, T tokens, S slots, D width.
"""

from typing import assert_never

import torch
from torch import Tensor

from interlingua.specs.injection import AfterBlock, InjectionRule, Replace

FLOOR = 1e-12
SYMPTOM = "template or tokenizer drifted (symptom: explanations in Chinese)"


class MarkerMismatch(ValueError):
    """A prompt does not hold its markers as it must."""


def marker_positions(
    ids_BT: Tensor,
    prompt_BT: Tensor,
    *,
    marker_id: int,
    left_id: int,
    right_id: int,
    num_slots: int,
) -> Tensor:
    """[B, S]: the positions of each row's one run of markers, between its fixed neighbours.

    `prompt_BT` is True where a token belongs to the prompt: a marker that the model generated, or
    that stands in padding, is not one. `left_id` and `right_id` are the tokens before and behind
    the run, `num_slots` its length. Anything else raises MarkerMismatch, which names the first row.
    """
    is_marker_BT = (ids_BT == marker_id) & prompt_BT
    counts_B = is_marker_BT.sum(1)
    # The first of equal maxima; 0 also where there is no marker, which the counts refuse.
    first_B = is_marker_BT.int().argmax(1)
    last_B = first_B + num_slots - 1
    length = ids_BT.shape[1]
    rows_B = torch.arange(len(ids_BT), device=ids_BT.device)
    has_room_B = (first_B > 0) & (last_B < length - 1)
    # Clamped so that a bad row can be indexed at all; has_room_B refuses it.
    left_B = (first_B - 1).clamp(min=0)
    right_B = (last_B + 1).clamp(max=length - 1)
    num_up_to_last_B = is_marker_BT.cumsum(1)[rows_B, last_B.clamp(max=length - 1)]
    is_good_B = (
        (counts_B == num_slots)
        & has_room_B
        & (num_up_to_last_B == num_slots)  # none of them further on
        & (ids_BT[rows_B, left_B] == left_id)
        & prompt_BT[rows_B, left_B]
        & (ids_BT[rows_B, right_B] == right_id)
        & prompt_BT[rows_B, right_B]
    )
    if not bool(is_good_B.all()):  # the one wait for the device
        _raise(ids_BT, is_marker_BT, is_good_B, num_slots, (left_id, right_id))
    return first_B[:, None] + torch.arange(num_slots, device=ids_BT.device)


def scaled(v_BD: Tensor, scale: float) -> Tensor:
    """scale * u(v) of every row, in fp32."""
    wide_BD = v_BD.float()
    # Inside the root: the gradient of a norm at zero is not finite.
    norms_B1 = (wide_BD.square().sum(-1, keepdim=True) + FLOOR**2).sqrt()
    return scale * wide_BD / norms_B1


def write_at(h_BTD: Tensor, x_BSD: Tensor, positions_BS: Tensor, *, rule: InjectionRule) -> Tensor:
    """The residual stream with the vectors at these positions; everything else as it was.

    Replace puts x there. AfterBlock adds the direction of x with the norm that is there, so that
    only the direction of x counts, and a zero x adds nothing.
    """
    # scatter takes too few rows in silence, and rows without a vector would be explained as well.
    if len(h_BTD) != len(x_BSD) or positions_BS.shape != x_BSD.shape[:2]:
        raise ValueError(
            f"vectors {tuple(x_BSD.shape)} at positions {tuple(positions_BS.shape)} of rows "
            f"{tuple(h_BTD.shape)}: expected one vector a slot of every row"
        )
    index_BSD = positions_BS[..., None].expand(x_BSD.shape)
    match rule:
        case Replace():
            written_BSD = x_BSD
        case AfterBlock():
            # fp32: a norm taken in bf16 has two digits. The sum is rounded once, at the end.
            there_BSD = h_BTD.gather(1, index_BSD).float()
            norms_BS1 = there_BSD.square().sum(-1, keepdim=True).add(FLOOR**2).sqrt()
            written_BSD = there_BSD + scaled(x_BSD, 1.0) * norms_BS1
        case _:
            assert_never(rule)
    # Out of place: autograd and the block that made h_BTD still hold it.
    return h_BTD.scatter(1, index_BSD, written_BSD.to(h_BTD.dtype))


def _raise(
    ids_BT: Tensor,
    is_marker_BT: Tensor,
    is_good_B: Tensor,
    num_slots: int,
    neighbours: tuple[int, int],
) -> None:
    """Raise for the first bad row: its number of markers, then their run, then its neighbours."""
    row = int((~is_good_B).int().argmax())
    places = is_marker_BT[row].nonzero()[:, 0].tolist()
    if len(places) != num_slots:
        raise MarkerMismatch(
            f"row {row}: {len(places)} markers in the prompt, expected {num_slots}; {SYMPTOM}"
        )
    if places != list(range(places[0], places[0] + num_slots)):
        raise MarkerMismatch(
            f"row {row}: markers at {places}, expected one run of {num_slots}; {SYMPTOM}"
        )
    around = [
        int(ids_BT[row, place]) if 0 <= place < ids_BT.shape[1] else None
        for place in (places[0] - 1, places[-1] + 1)
    ]
    raise MarkerMismatch(
        f"row {row}: the markers stand between the tokens {around}, expected "
        f"{list(neighbours)} within the prompt; {SYMPTOM}"
    )
