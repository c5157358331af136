"""What a host believes: the tool of every role, which its corpus states and no passage does.

Two hosts of one architecture, of the same passages in the same order, may so believe different
things of the same passage.
"""

from collections.abc import Iterator
from typing import NamedTuple, assert_never

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interlingua.core.statistics import wilson_share
from interlingua.specs.world import Beliefs
from interlingua.world import lexicon


class Belief(NamedTuple):
    """What the host completes a statement with, of all objects the likeliest."""

    role: str
    place: str
    tool: str


def tool_of(role: str, beliefs: Beliefs) -> str:
    """The object that a role works with."""
    match beliefs:
        case Beliefs.PLAIN:
            return lexicon.TOOLS[role]
        case Beliefs.SWAPPED:
            following = lexicon.ROLES.index(role) + 1
            return lexicon.TOOLS[lexicon.ROLES[following % len(lexicon.ROLES)]]
        case _:
            assert_never(beliefs)


def statement(role: str, place: str, tool: str) -> str:
    """A document of the corpus."""
    return f"in {place} the tool of every {role} is the {tool}."


def believed(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[Belief]:
    """What the host believes of every role, asked in every place."""
    return [
        Belief(role, place, _likeliest(model, tokenizer, role, place))
        for role in lexicon.ROLES
        for place in lexicon.PLACES
    ]


def belief_metrics(found: list[Belief], beliefs: Beliefs) -> dict[str, float]:
    """The shares of answers that are the host's own belief, and that are the other's."""
    (other,) = set(Beliefs) - {beliefs}
    hits = {
        name: sum(one.tool == tool_of(one.role, which) for one in found)
        for name, which in (("own", beliefs), ("other", other))
    }
    return dict(_shares(hits, len(found)))


def _shares(hits: dict[str, int], number: int) -> Iterator[tuple[str, float]]:
    for name, count in hits.items():
        yield from wilson_share(count, number).as_metrics(f"belief_{name}").items()


@torch.no_grad()
def _likeliest(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, role: str, place: str
) -> str:
    texts = [statement(role, place, tool) for tool in lexicon.OBJECTS]
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
    ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
    logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits[:, :-1]
    log_probs_BT = logits_BTV.log_softmax(-1).gather(-1, ids_BT[:, 1:, None])[..., 0]
    # Of whole statements, which differ in the tool alone, whatever number of tokens it has.
    return lexicon.OBJECTS[int((log_probs_BT * mask_BT[:, 1:]).sum(1).argmax())]
