"""Two bundles without models on two hosts that cut texts at other places."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.explorer.talking import Talking, talking_card
from tests.serving.fake import HOST, OTHER

from interlingua.serving.backend import Backend, Card, Prompt, Reading, Token


@dataclass
class Halving(Talking):
    """The other host cuts every word in two, and knows a token of no characters before a text."""

    async def tokenize(self, host: str, prompt: Prompt) -> Reading:
        reading = await super().tokenize(host, prompt)
        if host != OTHER:
            return reading
        ends = [
            (start, end)
            for token in reading.tokens
            for middle in [(token.start + token.end + 1) // 2]
            for start, end in ((token.start, middle), (middle, token.end))
            if start < end
        ]
        tokens = [
            Token(text=reading.text[start:end] or "<s>", id=1, position=place, start=start, end=end)
            for place, (start, end) in enumerate([(0, 0), *ends])
        ]
        return replace(reading, tokens=tuple(tokens))


def halving_card(reads: str, digest: str, *, is_other_here: bool = True) -> Card:
    """Of the host that cuts words and the one that halves them."""
    card = talking_card(reads)
    hosts = dict(card.hosts)
    hosts[OTHER] = replace(hosts[HOST], tag=OTHER, block_index=2, is_here=is_other_here)
    return replace(card, hosts=hosts, digest=digest * 64)


def two_bundles(
    reads: str = "sentence",
    says: Callable[[int, int], str | None] = lambda place, sample: f"two of {place // 3}",
) -> dict[str, Backend]:
    """The first names half of a place, the second what it is given to say."""
    first = Halving(
        card=halving_card(reads, "a"), says=lambda place, sample: f"one of {place // 2}"
    )
    return {"one": first, "two": Halving(card=halving_card(reads, "b"), says=says)}
