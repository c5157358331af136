"""Hosts behind a queue: prompts to tokens and activations. One thread owns all hosts of a bundle.

h: raw activations [N, D] of a host; T tokens of a prompt.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from interlingua.models.bundle.host_readers import HostReaders
from interlingua.serving.backend import Limits, NotAvailable, Prompt, Reading, Refused
from interlingua.serving.engines.batcher import Batcher
from interlingua.serving.engines.chat import rendered
from interlingua.serving.engines.tokens import tokens_of

CHARS_PER_TOKEN = 4  # about; a cost is known before a text is tokenized


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A prompt, and what is wanted of it: tokens alone, activations at some or all, or the mean."""

    host: str
    prompt: Prompt
    positions: Sequence[int] | None = None
    whole: bool = False
    reads_rows: bool = True


class HostEngine:
    """Reads prompts in batches, those that wait for one host together."""

    def __init__(self, readers: HostReaders, limits: Limits) -> None:
        self._readers, self._limits = readers, limits
        self._batcher: Batcher[Ask, Reading] = Batcher(
            "host-engine",
            self._run,
            field="text",
            budget=limits.max_batch_tokens,
            max_waiting=limits.max_queued_rows * CHARS_PER_TOKEN * 64,
        )

    def submit(self, ask: Ask) -> "Future[Reading]":
        """Queue a prompt."""
        prompt = ask.prompt
        size = len(prompt.text or "") + sum(len(one.content) for one in prompt.messages or ())
        cost = 1 + size // CHARS_PER_TOKEN
        return self._batcher.submit(ask, cost=cost, timeout_s=self._limits.timeout_s)

    def close(self) -> None:
        """Answer what was taken in, then end."""
        self._batcher.close()

    def _run(self, asks: Sequence[Ask]) -> list[Reading]:
        readings: list[Reading | None] = [None] * len(asks)
        for host in dict.fromkeys(ask.host for ask in asks):
            places = [place for place, ask in enumerate(asks) if ask.host == host]
            for place, reading in zip(
                places, self._read(host, [asks[place] for place in places]), strict=True
            ):
                readings[place] = reading
        return [reading for reading in readings if reading is not None]

    def _read(self, host: str, asks: Sequence[Ask]) -> list[Reading]:
        try:
            reader = self._readers.reader(host)
        except (OSError, ValueError) as error:
            raise NotAvailable(f"{host} cannot be opened here: {error}") from error
        texts = [rendered(host, reader.tokenizer, ask.prompt) for ask in asks]
        # A template has put special tokens where they belong; what is text is read as in training.
        encoded = [
            reader.tokens(text.text, adds_special=False if text.is_chat else None) for text in texts
        ]
        most = self._readers.max_tokens(host)
        for ask, one in zip(asks, encoded, strict=True):
            _check_length(ask, len(one.ids), most)
        at_tokens = [place for place, ask in enumerate(asks) if ask.reads_rows and not ask.whole]
        # Hosts are causal: what stands behind those tokens changes none of their activations.
        ids = [encoded[place].ids[:most] for place in at_tokens]
        every = dict(zip(at_tokens, reader.every(ids), strict=True))
        whole = [place for place, ask in enumerate(asks) if ask.whole]
        wholes = dict(
            zip(whole, self._wholes(host, [asks[place].prompt for place in whole]), strict=True)
        )
        made = []
        for place, (ask, text, one) in enumerate(zip(asks, texts, encoded, strict=True)):
            positions: Sequence[int | None] = ()
            h_ND = np.zeros((0, reader.width), np.float32)
            if ask.whole:
                positions, h_ND = (None,), wholes[place]
            elif ask.reads_rows:
                positions = places = _places(host, ask.positions, len(one.ids), most)
                h_ND = every[place][places]
            made.append(
                Reading(
                    text=text.text,
                    tokens=tokens_of(text, one, reader.tokenizer),
                    positions=tuple(positions),
                    h_ND=h_ND,
                )
            )
        return made

    def _wholes(self, host: str, prompts: Sequence[Prompt]) -> list[np.ndarray]:
        """[1, D] of every prompt, read as in training."""
        texts = [prompt.text for prompt in prompts if prompt.text is not None]
        if len(texts) < len(prompts):
            raise Refused("messages", "a whole chat is no text of the training; give positions")
        if not texts:
            return []
        try:
            h_ND = self._readers.read(texts, host, None).h_ND
        except ValueError as error:  # of one of them; the batcher asks for each by itself
            raise Refused("text", str(error)) from error
        return list(h_ND[:, None])


def _check_length(ask: Ask, num_tokens: int, most: int) -> None:
    name = "text" if ask.prompt.messages is None else "messages"
    if not num_tokens:
        raise Refused(name, f"{ask.host} reads no token in it")
    # A mean is over the beginning of a longer text, as in training, and so are positions.
    reads_all = ask.reads_rows and not ask.whole and ask.positions is None
    if num_tokens > most and reads_all:
        raise Refused(
            name,
            f"it is {num_tokens} tokens long; {ask.host} reads the first {most} of a text: name "
            "positions among them",
        )


def _places(host: str, positions: Sequence[int] | None, num_tokens: int, most: int) -> list[int]:
    """Positions counted from 0; all of them where none is asked for."""
    if positions is None:
        return list(range(num_tokens))
    for position in positions:
        if not -num_tokens <= position < num_tokens:
            raise Refused(
                "positions",
                f"position is {position}; {host} reads this text as {num_tokens} tokens",
            )
        if position % num_tokens >= most:
            raise Refused(
                "positions",
                f"position is {position} of {num_tokens} tokens; {host} reads the first {most} of "
                f"a text, up to position {most - 1}",
            )
    return [position % num_tokens for position in positions]
