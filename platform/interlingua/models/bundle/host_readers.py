"""The hosts of a bundle, opened at their first text and read as they were in training.

h: raw activations [N, D] of a host.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from interlingua.core.spans import Span, sentences
from interlingua.models.bundle.display import Place
from interlingua.models.bundle.inputs import position_of, text_of, texts_of
from interlingua.models.bundle.shared_weights import SharedWeights
from interlingua.models.bundle.system import Activations
from interlingua.models.hosts.activations import Reader
from interlingua.specs.extraction import ExtractSpec, LastToken, Spans, TokenPositions
from interlingua.specs.splits import Split
from interlingua.store.bundle import BundledHost, checked_source

logger = logging.getLogger(__name__)

BATCH_TOKENS = 8192


class HostReaders:
    """Reads texts with the hosts of a bundle; vectors of a host need none of them."""

    def __init__(
        self,
        folder: Path,
        hosts: Mapping[str, BundledHost],
        device: str,
        shared: SharedWeights,
    ) -> None:
        self._folder, self._hosts, self._device = folder, hosts, device
        self._shared = shared
        self._readers: dict[str, Reader] = {}

    def activation(
        self, text: str, host: str, position: int | None, span: Span | None
    ) -> np.ndarray:
        """[D]: one activation of a text, at a token, over characters, or as in training."""
        bundled, text, reader = self._hosts[host], text_of(text), self.reader(host)
        if position is not None:
            return self._at(text, host, position_of(position))
        if span is None and isinstance(bundled.read, Spans):
            span = _last_sentence(text)
        if span is not None:
            (h_D,) = reader.over([text], [span])
            return h_D
        return self.read([text], host, None).h_ND[0]

    def place(self, text: str, host: str, position: int | None, span: Span | None) -> Place:
        """Where `activation` reads."""
        if position is not None:
            offsets = self.reader(host).tokens(text).offsets
            return Place(text, None if offsets is None else offsets[position])
        if span is None and isinstance(self._hosts[host].read, Spans):
            span = _last_sentence(text)
        return Place(text, span or (0, len(text)))

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None
    ) -> Activations:
        """Activations of texts at tokens of theirs, or one of each as in training."""
        texts, bundled = texts_of(texts), self._hosts[host]
        if positions is not None:
            return self._at_positions(texts, host, positions)
        if isinstance(bundled.read, TokenPositions):
            raise ValueError(f"this NLA explains single tokens of {host}; give positions")
        if isinstance(bundled.read, Spans):
            spans = [_last_sentence(text) for text in texts]
            h_ND = self.reader(host).over(texts, spans)
        else:
            spans = [(0, len(text)) for text in texts]
            h_ND = self._whole(texts, host)
        return Activations(
            host=host,
            h_ND=h_ND,
            texts=range(len(texts)),
            positions=[None] * len(texts),
            places=list(map(Place, texts, spans)),
        )

    def max_tokens(self, host: str) -> int:
        """The number of tokens of a text that a host reads."""
        return self._hosts[host].max_tokens

    def reader(self, host: str) -> Reader:
        """The opened host."""
        bundled = self._hosts[host]
        if host not in self._readers:
            reader = Reader(
                # Once more: it may have come, or changed, since the bundle was opened.
                checked_source(f"the host {host}", bundled.model, self._folder),
                ExtractSpec(
                    host_tag=host,
                    block_indices=(bundled.block_index,),
                    read=bundled.read,
                    max_tokens=bundled.max_tokens,
                    dtype=bundled.dtype,
                    splits=(Split.TEST,),  # a spec must name one; a text by itself is of none
                    adds_special_tokens=bundled.adds_special_tokens,
                ),
                revision=bundled.model.revision,
                device=self._device,
                batch_tokens=BATCH_TOKENS,
            )
            self._shared.share(reader.parameters())
            self._readers[host] = reader
        return self._readers[host]

    def _at(self, text: str, host: str, position: int) -> np.ndarray:
        self._check_not_cut(text, host, position)
        return self.reader(host).at(text, position)

    def _at_positions(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]]
    ) -> Activations:
        if len(positions) != len(texts):
            raise ValueError(f"positions are of {len(positions)} texts; there are {len(texts)}")
        reader, most = self.reader(host), self._hosts[host].max_tokens
        tokens = [reader.tokens(text) for text in texts]
        every = reader.every([one.ids[:most] for one in tokens])
        rows, owners, numbers, places = [], [], [], []
        for number, (h_TD, asked) in enumerate(zip(every, positions, strict=True)):
            for position in map(position_of, asked):
                self._check_not_cut(texts[number], host, position)
                if not -len(h_TD) <= position < len(h_TD):
                    raise ValueError(
                        f"position is {position}; {host} reads this text as {len(h_TD)} tokens"
                    )
                rows.append(h_TD[position])
                owners.append(number)
                numbers.append(position % len(h_TD))
                offsets = tokens[number].offsets
                span = None if offsets is None else offsets[position % len(h_TD)]
                places.append(Place(texts[number], span))
        h_ND = np.stack(rows) if rows else np.zeros((0, self.reader(host).width), np.float32)
        return Activations(host=host, h_ND=h_ND, texts=owners, positions=numbers, places=places)

    def _check_not_cut(self, text: str, host: str, position: int) -> None:
        most, num_tokens = self._hosts[host].max_tokens, self.reader(host).num_tokens(text)
        # From the end of a cut text a negative position would count from where it was cut.
        if num_tokens > most and not 0 <= position < most:
            raise ValueError(f"position is {position}; {_cut(host, most, num_tokens)}")

    def _whole(self, texts: Sequence[str], host: str) -> np.ndarray:
        bundled, reader = self._hosts[host], self.reader(host)
        for text in texts:
            if (num_tokens := reader.num_tokens(text)) <= bundled.max_tokens:
                continue
            cut = _cut(host, bundled.max_tokens, num_tokens)
            if isinstance(bundled.read, LastToken):
                raise ValueError(f"{cut}, and this NLA explains the last: give a shorter text")
            logger.warning("%s: what is behind them is not explained", cut)
        # Numbers for ids: neither a mean nor a last token draws positions.
        rows = reader.rows([(str(number), text) for number, text in enumerate(texts)])
        if len(rows.positions) < len(texts):
            missing = min(set(range(len(texts))) - {int(one) for one in rows.passage_ids})
            why = "its first token is dropped before pooling"
            if isinstance(bundled.read, LastToken):
                why = "it has no token"
            raise ValueError(f"{texts[missing]!r} is too short for {host}: {why}")
        h_ND: np.ndarray = rows.vectors_by_block[bundled.block_index]
        return h_ND


def _last_sentence(text: str) -> Span:
    *_, span = sentences(text) or [(0, 0)]
    return span


def _cut(host: str, most: int, num_tokens: int) -> str:
    return f"{host} reads the first {most} of this text's {num_tokens} tokens"
