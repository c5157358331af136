"""The AV with its loss, and what is measured of it: the NLL under its own vector, another's, none.

h is a raw activation [D] of a host, v [E] its vector in the shared space; T counts response tokens.
Knows neither a training nor where rows come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.shared_space import SharedSpace
from interlingua.models.pair.prompts import IGNORED, AvPrompt, right_padded
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.stages.sft.batches import of_like_length
from interlingua.stages.sft.loop import Place, Placed
from interlingua.store.rows.shards import Key

VECTORS = ("real", "shuffled", "zero")


@dataclass(frozen=True, slots=True)
class AvBatch:
    """Rows of one host. `weight` makes their summed loss a part of the mean over all tokens."""

    host_tag: str
    keys: tuple[Key, ...]
    h_BD: Tensor
    response_BT: Tensor
    weight: float
    # On `dev` only: vectors of another passage, and the places of the rows in an evaluation.
    other_h_BD: Tensor | None = None
    places: tuple[Place, ...] = ()


class AvLearner(nn.Module):
    """The verbalizer with the encoders before it, which may be trained with it."""

    def __init__(
        self, verbalizer: Verbalizer, space: SharedSpace, prompts: Mapping[str, AvPrompt]
    ) -> None:
        super().__init__()
        self.verbalizer, self.space = verbalizer, space
        self._prompts = prompts

    def forward(self, batch: AvBatch) -> Tensor:
        """The batch's part of the mean negative log-likelihood of the step."""
        v_BD = self.space(batch.host_tag, batch.h_BD)
        return self.nll(batch, v_BD, num_parts=1).sum() * batch.weight

    def nll(self, batch: AvBatch, v_BD: Tensor, *, num_parts: int | None) -> Tensor:
        """[B, T]: the negative log-likelihood of the responses under given vectors."""
        # One prompt for the whole batch, which is why a batch is of one host.
        prompt = self._prompts[batch.host_tag].to(v_BD.device)
        return self.verbalizer.nll(prompt, v_BD, batch.response_BT, num_parts=num_parts)


def made_batch(
    tag: str,
    keys: Sequence[Key],
    h_BD: np.ndarray,
    ids: Sequence[Sequence[int]],
    weight: float,
    *,
    device: str,
) -> AvBatch:
    """A batch of these rows of one host on a device."""
    return AvBatch(
        host_tag=tag,
        keys=tuple(keys),
        h_BD=torch.from_numpy(h_BD).to(device),
        response_BT=right_padded(ids, IGNORED).to(device),
        weight=weight,
    )


def with_others(
    turn: int,
    rows: KeyedRows,
    keys: Sequence[Key],
    ids: Sequence[Sequence[int]],
    others: Sequence[Key],
    *,
    most_rows: int,
    device: str,
) -> list[AvBatch]:
    """Rows of one host, each with another row's vector beside its own; `turn` is the host's.

    `others` are of other passages or documents: another token of the same passage would be nearly
    the right vector.
    """
    h_ND, other_h_ND = rows.vectors(keys), rows.vectors(others)
    batches = []
    # The same texts in the same batches for all three vectors, so that losses are paired.
    for part in of_like_length([*map(len, ids)], most_rows):
        own_keys, own_ids = [keys[row] for row in part], [ids[row] for row in part]
        made = made_batch(rows.host_tag, own_keys, h_ND[part], own_ids, 1.0, device=device)
        other_h_BD = torch.from_numpy(other_h_ND[part]).to(device)
        places = tuple((turn, row) for row in part)
        batches.append(replace(made, other_h_BD=other_h_BD, places=places))
    return batches


def nll_rows(learner: AvLearner, batch: AvBatch, *, num_parts: int | None) -> Placed:
    """The loss of every row under its own vector, another's, and none."""
    space = learner.space
    assert batch.other_h_BD is not None
    real_BD = space(batch.host_tag, batch.h_BD)
    # Two controls: where the loss is no higher without the right vector, the AV does not read it,
    # however low the loss is.
    vectors = (real_BD, space(batch.host_tag, batch.other_h_BD), torch.zeros_like(real_BD))
    nlls = [learner.nll(batch, v_BD, num_parts=num_parts) for v_BD in vectors]
    # Sums over tokens, not means: a mean divides once, by the tokens of all rows.
    sums = [nll_BT.double().sum(1).tolist() for nll_BT in nlls]
    counts = (batch.response_BT != IGNORED).sum(1).tolist()
    rows = [
        {
            "host": batch.host_tag,
            "passage_id": key[0],
            "position": key[1],
            "num_tokens": count,
            **{f"nll_{name}": sums[at][row] for at, name in enumerate(VECTORS)},
        }
        for row, (key, count) in enumerate(zip(batch.keys, counts, strict=True))
    ]
    return list(zip(batch.places, rows, strict=True))
