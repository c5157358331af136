"""The GPUs of nodes, as they say of themselves: memory, and whether PyTorch there has kernels.

A task of a second on every node with a GPU that asks Ray for a corner of one. Where a node does not
answer, its card is not known, and nothing is judged by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlingua.cluster.nodes import Node
from interlingua.cluster.placement import DoesNotFit
from interlingua.specs.placement import Placement, Single

ASK_SECONDS = 60.0
CORNER = 0.01  # of a card
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
BFLOAT16 = (8, 0)  # the first that computes in it


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU, and the architectures that its node's PyTorch has kernels for."""

    name: str
    num_bytes: int
    capability: tuple[int, int]
    torch: str
    architectures: tuple[str, ...]

    @property
    def has_kernels(self) -> bool:
        """True where a kernel runs on it: of its architecture, or one before of its generation."""
        major, minor = self.capability
        built = [_numbers(one) for one in self.architectures]
        # PTX of any earlier one is compiled when it is needed.
        return any(
            (is_ptx and (own <= self.capability)) or (own[0] == major and own[1] <= minor)
            for is_ptx, own in built
        )


def cards_of(
    ray: Any, nodes: Sequence[Node], placement: Placement
) -> tuple[Mapping[str, Card], list[str]]:
    """The card of every node by its key, and what has to be noticed of them.

    Raises DoesNotFit where PyTorch has no kernels for one.
    """
    with_gpu = [node for node in nodes if node.gpus]
    if set(devices_of(placement)) == {"cpu"} or not with_gpu:
        return {}, []
    cards = dict(_asked(ray, with_gpu))
    names = {node.key: node.name for node in with_gpu}
    for key, card in cards.items():
        if not card.has_kernels:
            raise DoesNotFit(no_kernels(names[key], card))
    return cards, list(_notices({names[key]: card for key, card in cards.items()}))


def devices_of(placement: Placement) -> Iterator[str]:
    """Every device that the placement names."""
    yield from (placement.extraction.device, placement.training.device)
    yield placement.verbalizing.device
    yield from (host.device for host in placement.extraction.hosts if host.device)
    place = placement.reinforcing
    if isinstance(place, Single):
        yield place.device
    else:
        yield from (role.device for role in place.roles().values())


def no_kernels(node: str, card: Card) -> str:
    """What is wrong, and what to install."""
    major, minor = card.capability
    return (
        f"{node} has a {card.name} (sm_{major}{minor}), and its torch {card.torch} has kernels for "
        f"{', '.join(card.architectures) or 'no GPU'}: install there a PyTorch that is built for "
        "it; for a V100 those for CUDA 12.6 are (its index cu126)"
    )


def _notices(cards: Mapping[str, Card]) -> Iterator[str]:
    for node, card in cards.items():
        if card.capability < BFLOAT16:
            yield (
                f"{node}: a {card.name} emulates bfloat16, which is slow; set the dtypes of hosts, "
                "av.optim and ar.optim to float32, or to float16 where workers train under ZeRO"
            )


def _asked(ray: Any, nodes: Sequence[Node]) -> Iterator[tuple[str, Card]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node.key, soft=False)
        task = ray.remote(
            num_cpus=0, num_gpus=CORNER, max_calls=1, max_retries=0, scheduling_strategy=strategy
        )(read_card)
        asked[task.remote()] = node.key
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=ASK_SECONDS)
    for reference in late:  # its cards are others' now
        ray.cancel(reference)
    for reference in done:
        try:
            card = ray.get(reference)
        except ray.exceptions.RayError:
            continue  # its torch does not open
        if card is not None:
            yield asked[reference], card


def read_card() -> Card | None:
    """The card that this process was given; None where there is no driver of one."""
    if not any(Path(path).exists() for path in DRIVERS):
        return None
    import torch

    if not torch.cuda.is_available():
        # A card that torch cannot use at all is no reason to be silent, but unknown to it.
        return None
    found = torch.cuda.get_device_properties(0)
    return Card(
        name=found.name,
        num_bytes=found.total_memory,
        capability=(found.major, found.minor),
        torch=torch.__version__,
        architectures=tuple(torch.cuda.get_arch_list()),
    )


def _numbers(architecture: str) -> tuple[bool, tuple[int, int]]:
    """Whether it is PTX, and its numbers: sm_90a is (False, (9, 0))."""
    kind, _, digits = architecture.partition("_")
    digits = digits.rstrip("af")
    return kind == "compute", (int(digits[:-1]), int(digits[-1]))
