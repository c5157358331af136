"""A backend without models that a page can show: its texts come word by word, and are known."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from tests.serving.fake import HOST, WIDTH, FakeBackend, card

from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Card, Limits, Piece, Prompt, Reading, Token

# A word with the blank before it, as most tokenizers cut; what is left is a token a character.
WORDS = re.compile(r" ?[^\W_]+|\s|[^\w\s]|_")
MOST_TOKENS = 2000


def text_of(place: int, sample: int) -> str:
    """The text of a place: the AR reads its number."""
    return f"speaks of token {place}, in sample {'abcdefgh'[sample % 8]}"


def talking_card(reads: str = "token", limits: Limits | None = None) -> Card:
    """Of one host that reads texts of some length, at single tokens."""
    made = card(limits=limits)
    host = replace(made.hosts[HOST], reads=reads, max_tokens=MOST_TOKENS)
    return replace(made, hosts={**made.hosts, HOST: host})


@dataclass
class Talking(FakeBackend):
    """Activation t of a text is (t, 1, 1, 1); `says` gives the text of a place and a sample.

    None: the AV does not close its tag.
    """

    card: Card = field(default_factory=talking_card)
    says: Callable[[int, int], str | None] = text_of

    async def tokenize(self, host: str, prompt: Prompt) -> Reading:
        text = prompt.text
        if prompt.messages is not None:
            text = "\n".join(one.content for one in prompt.messages)
        assert text is not None
        tokens = tuple(
            Token(
                text=found[0],
                id=len(found[0]),
                position=place,
                start=found.start(),
                end=found.end(),
                role="user" if prompt.messages else None,
                section="content" if prompt.messages else None,
            )
            for place, found in enumerate(WORDS.finditer(text))
        )
        h_ND = np.zeros((0, WIDTH), np.float32)
        return Reading(text=text, tokens=tokens, positions=(), h_ND=h_ND)

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        self._check(host)
        self.asked.append((host, h_ND, sampling))
        for row, h_D in enumerate(h_ND):
            place = round(float(h_D[0] / h_D[1])) if h_D[1] else 0
            for sample in range(sampling.n):
                async for piece in self._pieces(
                    row, sample, self.says(place, sample), wants_partial
                ):
                    yield piece

    async def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        for row in range(count):
            for sample in range(sampling.n):
                async for piece in self._pieces(row, sample, "speaks of nothing", wants_partial):
                    yield piece

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """The activation of the place that a text names."""
        found = [re.search(r"\d+", text) for text in texts]
        return np.array([[int(one[0]) if one else 0, 1, 1, 1] for one in found], np.float32)

    async def _pieces(
        self, row: int, sample: int, text: str | None, wants_partial: bool
    ) -> AsyncIterator[Piece]:
        raw = f"<explanation>\n{text}\n</explanation>" if text is not None else "<explanation>\nend"
        for end in re.finditer(r"\s+", raw) if wants_partial else ():
            await asyncio.sleep(0)
            yield Piece(row=row, sample=sample, text=raw[: end.start()])
        done = Verbalization(text, raw, -1.5, 0.25, len(raw.split()))
        yield Piece(row=row, sample=sample, text=raw, done=done)
