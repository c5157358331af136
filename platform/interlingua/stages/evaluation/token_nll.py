"""The NLL of the teacher's explanations under a trained AV, given the own vector, another's, none.

Knows no round trip: what the AV itself would write is not asked.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch

from interlingua.core.shared_space import SharedSpace
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of
from interlingua.models.pair.prompts import av_prompt, response_ids
from interlingua.models.pair.trained import trained_verbalizer
from interlingua.stages.nla.inputs import WriterInputs
from interlingua.stages.nla.pair import av_training_of
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.stages.sft.av_learner import AvLearner, nll_rows, with_others
from interlingua.stages.sft.batches import Texts
from interlingua.stages.sft.best_weights import AV_PREFIX, weights_of
from interlingua.store.artifact import Artifact
from interlingua.store.hosts import opened_from
from interlingua.store.rows.shards import Key


class Asked(NamedTuple):
    """Texts of one host's rows as token ids, and the rows whose vectors are shuffled to them."""

    keys: Sequence[Key]
    ids: Sequence[Sequence[int]]
    others: Sequence[Key]


def usable_texts(writer: WriterInputs[Artifact], explained: Mapping[Key, Sequence[str]]) -> Texts:
    """The explanations as the AV would write them, without those that it could not."""
    av = av_training_of(writer.av).av
    source, revision = opened_from(writer.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    return Texts(explained, lambda text: response_ids(tokenizer, text), av.max_response_tokens)


def opened_learner(writer: WriterInputs[Artifact], space: SharedSpace, *, device: str) -> AvLearner:
    """The trained AV with its loss on a device, for the hosts of the space."""
    av = av_training_of(writer.av).av
    source, revision = opened_from(writer.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    weights = weights_of(writer.av, AV_PREFIX)
    verbalizer = trained_verbalizer(source, av, weights, revision=revision, device=device)
    contract = contract_of(tokenizer, space.width, av=av)
    prompts = {tag: av_prompt(contract, tokenizer, tag) for tag in space.tags}
    # A copy: the caller's space goes on taking rows that lie in this process's memory.
    return AvLearner(verbalizer, deepcopy(space).to(device), prompts)


def scored_texts(
    learner: AvLearner,
    rows: KeyedRows,
    asked: Asked,
    *,
    turn: int,
    batch_rows: int,
    device: str,
) -> list[dict[str, Any]]:
    """A row of losses for every text, in their order; `turn` is the host's place among several."""
    keys, ids, others = asked
    batches = with_others(turn, rows, keys, ids, others, most_rows=batch_rows, device=device)
    with torch.no_grad():
        # Parts: logits of a large vocabulary are never all held at once.
        placed = [one for batch in batches for one in nll_rows(learner, batch, num_parts=None)]
    return [row for _, row in sorted(placed, key=lambda one: one[0])]
