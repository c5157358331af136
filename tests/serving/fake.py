"""A backend without models: what it answers can be written down by hand."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import (
    Card,
    HostCard,
    Limits,
    NotAvailable,
    Piece,
    Prompt,
    Reading,
    Refused,
    Token,
)

HOST, OTHER, WIDTH = "toy-a", "toy-b", 4
MEAN_D = np.array([0.5, 0.5, 0.0, 0.0])
OTHERS_KD = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 2.0]])


def host_card(tag: str, *, is_here: bool = True) -> HostCard:
    return HostCard(
        tag=tag,
        width=WIDTH,
        block_index=1,
        num_blocks=4,
        max_tokens=16,
        reads="pooled",
        reads_from=0,
        dtype="float32",
        is_here=is_here,
        mean_D=MEAN_D,
        others_KD=OTHERS_KD,
    )


def card(name: str = "toy", limits: Limits | None = None, digest: str | None = None) -> Card:
    return Card(
        name=name,
        trunk="toy-trunk",
        stage="sft",
        anchor=HOST,
        width=WIDTH,
        num_slots=1,
        rule="replace",
        has_affine=False,
        hosts={HOST: host_card(HOST), OTHER: host_card(OTHER, is_here=False)},
        limits=limits or Limits(),
        created_at=1_700_000_000,
        digest=digest,
    )


@dataclass
class FakeBackend:
    """Words are tokens; activation t of a text is (t, 1, 1, 1); a text names its largest place.

    `raises` is raised by every call; `asked` holds what `verbalize` was called with.
    """

    card: Card = field(default_factory=card)
    raises: Exception | None = None
    asked: list[tuple[str, np.ndarray, Sampling]] = field(default_factory=list)
    cancelled: int = 0

    async def tokenize(self, host: str, prompt: Prompt) -> Reading:
        self._check(host)
        text = prompt.text
        if prompt.messages is not None:
            text = " ".join(f"{one.role} {one.content}" for one in prompt.messages)
        assert text is not None
        tokens = [
            Token(
                text=found[0],
                id=len(found[0]),
                position=place,
                start=found.start(),
                end=found.end(),
                role="user" if prompt.messages else None,
            )
            for place, found in enumerate(re.finditer(r"\S+", text))
        ]
        return Reading(
            text=text, tokens=tuple(tokens), positions=(), h_ND=np.zeros((0, WIDTH), np.float32)
        )

    async def read(
        self, host: str, prompt: Prompt, positions: Sequence[int] | None, *, whole: bool = False
    ) -> Reading:
        reading = await self.tokenize(host, prompt)
        count = len(reading.tokens)
        if whole:
            return replace(reading, positions=(None,), h_ND=_activations([count]))
        for position in positions or ():
            if not -count <= position < count:
                raise Refused("positions", f"position {position} of {count} tokens")
        places = [p % count for p in positions] if positions is not None else [*range(count)]
        return replace(reading, positions=tuple(places), h_ND=_activations(places))

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        self._check(host)
        self.asked.append((host, h_ND, sampling))
        try:
            for row, h_D in enumerate(h_ND):
                for sample in range(sampling.n):
                    inside = f"place {int(np.argmax(h_D))} sample {sample}"
                    text = f"<explanation>\n{inside}\n</explanation>"
                    await asyncio.sleep(0)
                    if wants_partial:
                        yield Piece(row=row, sample=sample, text=text[:20])
                    done = Verbalization(inside, text, -1.5, 0.25, 7)
                    yield Piece(row=row, sample=sample, text=text, done=done)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        zeros_ND = np.zeros((count, WIDTH), np.float32)
        async for piece in self.verbalize(host, zeros_ND, sampling, wants_partial=wants_partial):
            yield piece

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        if host is not None:
            self._check(host)
        places = [[place for place in range(WIDTH) if str(place) in text] for text in texts]
        return np.stack([2.0 * np.eye(WIDTH)[found[0] if found else 0] for found in places])

    async def complete(self, host: str, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Piece]:
        self._check(host)
        raise NotAvailable(f"{host} is cut behind its block 1; it has no output")
        yield

    async def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Piece]:
        self._check(HOST)
        shapes = [part if isinstance(part, str) else f"[{len(part)}]" for part in parts]
        text = "".join(shapes) + (" chat" if as_chat else "")
        yield Piece(row=0, sample=0, text=text, done=Verbalization(None, text, -1.0, None))

    def _check(self, host: str) -> None:
        if self.raises is not None:
            raise self.raises
        if host not in self.card.hosts:
            raise Refused("host", f"host is {host!r}; this NLA knows: {', '.join(self.card.hosts)}")


def _activations(places: Sequence[int]) -> np.ndarray:
    return np.array([[place, 1, 1, 1] for place in places], np.float32).reshape(-1, WIDTH)
