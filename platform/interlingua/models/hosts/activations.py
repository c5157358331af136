"""Rows of activations from texts: batches, positions, pooling, and a forward that overflows.

Knows neither shards nor splits nor where it runs. N rows, B texts of a batch, T tokens, D width.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.spans import Span, tokens_of
from interlingua.models.hosts.host import (
    Host,
    hash_of_vocabulary,
    load_host,
    load_tokenizer,
    read_blocks,
)
from interlingua.models.hosts.parts import text_config
from interlingua.models.hosts.sites import Encoded, Site, drawn_by, sites_of
from interlingua.specs.extraction import ExtractSpec, Spans

Text = tuple[str, str]  # a passage's id and its text

# Where a forward overflows, its non-finite rows are read again in each of these in turn.
WIDER = {"float16": ("bfloat16", "float32"), "bfloat16": ("float32",), "float32": ()}
LENGTH_LIMITS = ("max_position_embeddings", "n_positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRows:
    """Rows in the order of the texts, one for each position that is read, for every block asked."""

    passage_ids: list[str]
    positions: list[int]
    num_tokens: list[int]
    vectors_by_block: Mapping[int, np.ndarray]  # block index -> [N, D] fp32
    counts: Mapping[str, int]


class Reader:
    """An opened host that turns texts into rows."""

    def __init__(
        self,
        source: str,
        spec: ExtractSpec,
        *,
        revision: str | None,
        device: str,
        batch_tokens: int,
    ) -> None:
        self._source, self._spec, self._revision = source, spec, revision
        self._device, self._batch_tokens = device, batch_tokens
        self.tokenizer = load_tokenizer(source, revision=revision)
        self._special_ids = frozenset(self.tokenizer.all_special_ids)
        self._host = self._opened(spec.dtype)
        self.width = self._host.width
        self._check_length()

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights of the opened host, which nobody trains."""
        return self._host.model.parameters()

    @cached_property
    def tokenizer_hash(self) -> str:
        """A hash of the vocabulary: rows of another tokenizer are other rows."""
        return hash_of_vocabulary(self.tokenizer)

    def num_tokens(self, text: str) -> int:
        """The number of tokens of a text, those that are cut off among them."""
        return len(self.tokens(text).ids)

    def at(self, text: str, position: int) -> np.ndarray:
        """[D]: the output of the highest block at one token; negative positions from the end."""
        (encoded,) = self._tokenized([("", text)], has_offsets=False)
        ids = encoded.ids
        if not -len(ids) <= position < len(ids):
            raise ValueError(
                f"position is {position}; {self._spec.host_tag} reads this text as "
                f"{len(ids)} tokens"
            )
        (h_D,) = self._highest([ids], [[Site(position, [position % len(ids)])]])
        return h_D

    def over(self, texts: Sequence[str], spans: Sequence[Span]) -> np.ndarray:
        """[N, D]: of every text the mean of the highest block over a span of its characters."""
        encoded = self._tokenized([("", text) for text in texts], has_offsets=True)
        sites = []
        for text, span, one in zip(texts, spans, encoded, strict=True):
            assert one.offsets is not None
            tokens = tokens_of(span, one.offsets)
            if not tokens:
                raise ValueError(
                    f"span is {span}; {self._spec.host_tag} reads no token there: the text has "
                    f"{len(text)} characters, of which {self._spec.max_tokens} tokens are read"
                )
            sites.append([Site(tokens[0], tokens)])
        return self._highest([one.ids for one in encoded], sites)

    def tokens(self, text: str, *, adds_special: bool | None = None) -> Encoded:
        """A whole text as this host tokenizes it, with the characters of every token.

        `adds_special` None: as in training.
        """
        if adds_special is None:
            adds_special = self._spec.adds_special_tokens
        has_offsets = self.tokenizer.is_fast
        encoded = self.tokenizer(
            text,
            add_special_tokens=adds_special,
            return_offsets_mapping=has_offsets,
            verbose=False,
        )
        return Encoded(encoded["input_ids"], encoded["offset_mapping"] if has_offsets else None)

    def every(self, ids: Sequence[list[int]]) -> list[np.ndarray]:
        """[T, D] of every text, given as ids: the output of the highest block at each token."""
        if not ids:
            return []
        sites = [[Site(place, [place]) for place in range(len(one))] for one in ids]
        return np.split(self._highest(ids, sites), np.cumsum([*map(len, ids)])[:-1])

    def _highest(self, ids: Sequence[list[int]], sites: Sequence[list[Site]]) -> np.ndarray:
        """[N, D]: the rows of texts, given as ids, of the highest block alone."""
        starts, block = np.cumsum([0, *map(len, sites)]), self._spec.block_indices[-1]
        vectors = {block: np.full((starts[-1], self.width), np.nan, np.float32)}
        self._fill(vectors, starts, ids, sites)
        return vectors[block]

    def rows(self, texts: Sequence[Text], documents: Sequence[str] | None = None) -> HostRows:
        """The rows of these texts; a text with no token to read has none, and is counted.

        `documents` names that of every text, where positions are drawn by it.
        """
        encoded = self._tokenized(texts, has_offsets=isinstance(self._spec.read, Spans))
        ids = [one.ids for one in encoded]
        draws_by = drawn_by(self._spec.read, [key for key, _ in texts], documents)
        sites = [
            sites_of(self._spec.read, name, text, one, self._special_ids)
            for name, (_, text), one in zip(draws_by, texts, encoded, strict=True)
        ]
        starts = np.cumsum([0, *map(len, sites)])
        # NaN: a row that no forward wrote is counted; zeros would pass for an activation.
        vectors = {
            block: np.full((starts[-1], self.width), np.nan, np.float32)
            for block in self._spec.block_indices
        }
        counts = {
            "num_passages": len(texts),
            "num_tokens": sum(map(len, ids)),
            "num_truncated": sum(one.is_cut for one in encoded),
            "num_without_rows": sum(not of_text for of_text in sites),
            **self._fill(vectors, starts, ids, sites),
        }
        owners = [index for index, of_text in enumerate(sites) for _ in of_text]
        return HostRows(
            passage_ids=[texts[index][0] for index in owners],
            positions=[site.position for of_text in sites for site in of_text],
            num_tokens=[len(ids[index]) for index in owners],
            vectors_by_block=vectors,
            counts=counts,
        )

    def _fill(
        self,
        vectors: Mapping[int, np.ndarray],
        starts: np.ndarray,
        ids: Sequence[list[int]],
        sites: Sequence[list[Site]],
    ) -> Mapping[str, int]:
        """Write every text's rows into the vectors; counts what overflowed."""
        # fp16 ends at 65504: only the texts whose rows pass it are read again, once for each dtype.
        num_read_wider = 0
        pending = [index for index, of_text in enumerate(sites) if of_text]
        for dtype in (self._spec.dtype, *WIDER[self._spec.dtype]):
            if dtype != self._spec.dtype:
                num_read_wider += len(pending)
            for batch, read in self._batches_read(dtype, pending, ids, sites):
                rows = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in batch])
                for block in vectors:
                    vectors[block][rows] = read[block]
            pending = [i for i in pending if not _is_finite(vectors, starts[i], starts[i + 1])]
        return {"num_read_wider": num_read_wider, "num_not_finite": len(pending)}

    def _opened(self, dtype: str) -> Host:
        return load_host(
            self._source,
            dtype=dtype,
            device=self._device,
            up_to_block=self._spec.block_indices[-1],
            revision=self._revision,
        )

    def _check_length(self) -> None:
        limits = text_config(self._host.model.config).to_dict()
        for name in LENGTH_LIMITS:
            limit = limits.get(name)
            if limit is not None and self._spec.max_tokens > limit:
                raise ValueError(
                    f"ExtractSpec.max_tokens is {self._spec.max_tokens}; "
                    f"{self._source} reads at most {limit} tokens ({name})"
                )

    def _tokenized(self, texts: Sequence[Text], *, has_offsets: bool) -> list[Encoded]:
        if not texts:
            return []
        if has_offsets and not self.tokenizer.is_fast:
            raise ValueError(
                f"{self._source} has no fast tokenizer, which alone knows the characters of its "
                "tokens; read it with Pooled, LastToken or TokenPositions"
            )
        encoded = self.tokenizer(
            [text for _, text in texts],
            add_special_tokens=self._spec.adds_special_tokens,
            truncation=True,
            max_length=self._spec.max_tokens,
            return_offsets_mapping=has_offsets,
        )
        most = self._spec.max_tokens  # where a text has so many, it has perhaps no more
        offsets = encoded["offset_mapping"] if has_offsets else [None] * len(texts)
        return [
            Encoded(ids, of_ids, is_cut=len(ids) == most and self.num_tokens(text) > most)
            for (_, text), ids, of_ids in zip(texts, encoded["input_ids"], offsets, strict=True)
        ]

    def _batches(self, pending: Sequence[int], ids: Sequence[list[int]]) -> Iterator[list[int]]:
        """Texts of like length together, each batch within the token budget when padded."""
        batch: list[int] = []
        # What a batch costs is its longest text times its rows; padding counts as tokens do.
        for index in sorted(pending, key=lambda i: len(ids[i]), reverse=True):
            # The first of a batch is its longest.
            if batch and len(ids[batch[0]]) * (len(batch) + 1) > self._batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _batches_read(
        self,
        dtype: str,
        pending: Sequence[int],
        ids: Sequence[list[int]],
        sites: Sequence[list[Site]],
    ) -> Iterator[tuple[list[int], dict[int, np.ndarray]]]:
        """The pending texts batch by batch, each with its rows."""
        if not pending:
            return
        # A wider copy goes with this call: to keep it would hold the host twice for one overflow.
        host = self._host if dtype == self._spec.dtype else self._opened(dtype)
        for batch in self._batches(pending, ids):
            yield batch, self._read(host, [ids[i] for i in batch], [sites[i] for i in batch])

    @torch.no_grad()
    def _read(
        self, host: Host, ids: Sequence[list[int]], sites: Sequence[list[Site]]
    ) -> dict[int, np.ndarray]:
        """The rows of one batch; only they leave the device."""
        ids_BT, mask_BT = _padded(ids, host.parts.embedding.weight.device)
        read = read_blocks(host, ids_BT, mask_BT, self._spec.block_indices)
        text_N = torch.tensor([text for text, of_text in enumerate(sites) for _ in of_text])
        tokens = [site.tokens for of_text in sites for site in of_text]
        if all(len(of_row) == 1 for of_row in tokens):  # no mean of a batch's every token is made
            position_N = torch.tensor([position for (position,) in tokens])
            return {k: h_BTD[text_N, position_N].float().cpu().numpy() for k, h_BTD in read.items()}
        weights_NT = torch.zeros(len(tokens), ids_BT.shape[1])
        for row, of_row in enumerate(tokens):
            weights_NT[row, of_row] = 1.0
        # A row has at least one token: texts without one are not among the pending.
        weights_NT /= weights_NT.sum(1, keepdim=True)
        is_whole = len(text_N) == len(ids)  # a row for each text: no text is copied for its rows
        # fp32: averaging thousands of tokens in fp16 overflows on sink channels
        return {
            k: torch.einsum(
                "nt,ntd->nd",
                weights_NT.to(h_BTD.device),
                (h_BTD if is_whole else h_BTD[text_N]).float(),
            )
            .cpu()
            .numpy()
            for k, h_BTD in read.items()
        }


def _padded(ids: Sequence[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids padded on the right with zeros, which the mask hides, and the mask."""
    lengths = torch.tensor([len(tokens) for tokens in ids])
    ids_BT = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
    for row, tokens in enumerate(ids):
        ids_BT[row, : len(tokens)] = torch.tensor(tokens)
    mask_BT = (torch.arange(ids_BT.shape[1]) < lengths[:, None]).long()
    return ids_BT.to(device), mask_BT.to(device)


def _is_finite(vectors: Mapping[int, np.ndarray], start: int, stop: int) -> bool:
    return all(bool(np.isfinite(v_ND[start:stop]).all()) for v_ND in vectors.values())
