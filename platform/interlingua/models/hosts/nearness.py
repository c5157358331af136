"""How near vectors that were read elsewhere are to what a host gives at a block and around it.

Knows no file. N rows, D the host's width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interlingua.models.hosts.activations import HostRows, Reader, Text
from interlingua.models.hosts.checkpoint import decoder_config
from interlingua.models.hosts.parts import text_config
from interlingua.specs.extraction import ExtractSpec, TokenPositions

LEAST_COSINE = 0.5
# A neighbour that halves the distance is no accident of rounding.
NEARER = 0.5


class NotOfHost(ValueError):
    """Vectors are not what a host gives at a block for these texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSize:
    """What a configuration says of a host."""

    width: int
    num_blocks: int


def size_of(source: str, revision: str | None) -> HostSize:
    """Width and depth of a host, by its configuration alone."""
    config = text_config(decoder_config(source, revision))
    return HostSize(width=config.hidden_size, num_blocks=config.num_hidden_layers)


def median_cosines(
    reader: Reader,
    spec: ExtractSpec,
    texts: Sequence[Text],
    positions: Sequence[int],
    h_ND: np.ndarray,
) -> Mapping[int, float]:
    """The median cosine of rows with those that the host gives, by block; empty if it gives none.

    Row i is of text i, at position i where rows are at tokens. The reader is of `around(spec)`.
    """
    given: dict[int, list[np.ndarray]] = {}
    chosen = []
    is_good_N = np.isfinite(h_ND).all(axis=1) & h_ND.any(axis=1)
    # One text at a time: at tokens all of them are read, of every block.
    for row, (text, position) in enumerate(zip(texts, positions, strict=True)):
        if not is_good_N[row]:
            continue
        found = reader.rows([text])
        place = _place(found, spec, position)
        if place is None:
            continue  # cut, or special: the host reads no such row
        chosen.append(row)
        for block, rows_ND in found.vectors_by_block.items():
            given.setdefault(block, []).append(rows_ND[place])
    return {block: _median(h_ND[chosen], np.stack(rows)) for block, rows in given.items()}


def around(spec: ExtractSpec, num_blocks: int) -> ExtractSpec:
    """The same reading of the block and its neighbours; where it is at tokens, of every token."""
    (block,) = spec.block_indices
    near = tuple(k for k in (block - 1, block, block + 1) if 0 <= k < num_blocks)
    read = spec.read
    if isinstance(read, TokenPositions):
        read = TokenPositions(per_passage=spec.max_tokens, min_position=0, seed=0)
    return replace(spec, block_indices=near, read=read)


def check_near(where: str, spec: ExtractSpec, cosines: Mapping[int, float]) -> None:
    """Raise where the vectors are those of another block, or of no block near it."""
    (block,) = spec.block_indices
    own, nearest = cosines[block], max(cosines, key=lambda k: cosines[k])
    if nearest != block and 1 - cosines[nearest] < NEARER * (1 - own):
        raise NotOfHost(
            f"{where} is of block {nearest} of {spec.host_tag} rather than of block {block} "
            f"(median cosine {cosines[nearest]:.3f} against {own:.3f}): hidden_states[K+1] is "
            f"block K, counted from 0. Set hosts.{spec.host_tag}.block, or read them again"
        )
    if own < LEAST_COSINE:
        raise NotOfHost(
            f"{where} is not what {spec.host_tag} gives at block {block} (median cosine "
            f"{own:.3f}): another block, another way of reading (a mean, the last token, another "
            "chat template), another model, or ids that are of other texts. Set these as they "
            "were, or read the vectors again"
        )


def _place(found: HostRows, spec: ExtractSpec, position: int) -> int | None:
    """The place of a row among those of its text."""
    if not isinstance(spec.read, TokenPositions):
        return 0 if found.positions else None
    return found.positions.index(position) if position in found.positions else None


def _median(h_ND: np.ndarray, given_ND: np.ndarray) -> float:
    h_ND, given_ND = h_ND.astype(np.float64), given_ND.astype(np.float64)
    norms_N = np.linalg.norm(h_ND, axis=1) * np.linalg.norm(given_ND, axis=1)
    return float(np.median((h_ND * given_ND).sum(axis=1) / norms_N))
