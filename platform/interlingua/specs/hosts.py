"""One host as published: its sizes, the block that is read, its quirks. Knows no weights."""

from dataclasses import dataclass, fields
from enum import StrEnum

from interlingua.specs.checks import (
    check_not_negative,
    check_one_of,
    check_positive,
    check_share,
    check_slug,
)

TOY = "toy-"  # before the tag of a stand-in: it has the family of the pool's host, not its size
DTYPES = ("float32", "bfloat16", "float16")


class HostRole(StrEnum):
    """The purpose of a host: a part of the universal pool, or a released single-host NLA."""

    ANCHOR = "anchor"
    TRAINED = "trained"
    HELD_OUT = "held_out"
    SINGLE = "single"


class Quirk(StrEnum):
    """A property of a host that surprises on opening it."""

    FP16_FORWARD_OVERFLOWS = "fp16_forward_overflows"
    FP16_POOLING_OVERFLOWS = "fp16_pooling_overflows"
    NO_PAD_TOKEN = "no_pad_token"
    NO_FAST_TOKENIZER = "no_fast_tokenizer"
    PICKLED_WEIGHTS = "pickled_weights"
    PER_LAYER_EMBEDDINGS = "per_layer_embeddings"
    MULTIMODAL_WRAPPER = "multimodal_wrapper"
    CONVOLUTION_BLOCKS = "convolution_blocks"
    TAG_OVERSTATES_SIZE = "tag_overstates_size"
    GATED_DOWNLOAD = "gated_download"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDepth:
    """The block at a fraction of the depth."""

    fraction: float

    def __post_init__(self) -> None:
        check_share(self, fraction=self.fraction)

    def block_index(self, num_blocks: int) -> int:
        """K of a host with this many blocks."""
        # Python's round is the published rule: a half goes to the even block, 30 blocks read 14
        return round(self.fraction * (num_blocks - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtBlock:
    """A given block."""

    index: int

    def __post_init__(self) -> None:
        check_not_negative(self, index=self.index)

    def block_index(self, num_blocks: int) -> int:
        """K of a host with this many blocks."""
        if self.index >= num_blocks:
            raise ValueError(f"AtBlock.index is {self.index}; the host has {num_blocks} blocks")
        return self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSize:
    """The dimensions from which a family's configuration is built."""

    width: int
    num_blocks: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_width: int
    vocab_size: int
    max_positions: int
    tied_embeddings: bool

    def __post_init__(self) -> None:
        # fields(HostSize), not of self: what a subclass adds is no dimension.
        counts = {f.name: getattr(self, f.name) for f in fields(HostSize)}
        counts.pop("tied_embeddings")
        check_positive(self, **counts)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"{type(self).__name__}.num_kv_heads is {self.num_kv_heads}; "
                f"it must divide num_heads = {self.num_heads}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHost(HostSize):
    """A published host.

    `model_type` is the text model's (a multimodal hub id wraps it), `dtype` what its forward runs
    in, `num_parameters` the text model's count with tied weights once, `family_fields` what else
    of its configuration changes its size. `unconfirmed` names the fields that no published
    configuration and no published parameter count confirmed.
    """

    tag: str
    hub_id: str
    model_type: str
    role: HostRole
    block: AtDepth | AtBlock
    dtype: str
    num_parameters: int | None
    family_fields: tuple[tuple[str, object], ...] = ()
    quirks: tuple[Quirk, ...] = ()
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        HostSize.__post_init__(self)
        check_slug(self, tag=self.tag)
        check_one_of(self, HostRole, role=self.role)
        check_one_of(self, DTYPES, dtype=self.dtype)
        check_one_of(self, range(self.num_blocks), block_index=self.block_index)
        if self.num_parameters is not None:
            check_positive(self, num_parameters=self.num_parameters)
        names = [f.name for f in fields(self)]
        for name in self.unconfirmed:
            check_one_of(self, names, unconfirmed=name)

    @property
    def block_index(self) -> int:
        """K: the zero-based block whose output is read."""
        return self.block.block_index(self.num_blocks)


def tiny_size(
    host: PoolHost,
    *,
    width: int,
    num_blocks: int,
    num_heads: int,
    vocab_size: int,
    max_positions: int,
) -> HostSize:
    """A small size with the host's tying and its head and MLP ratios."""
    if width % num_heads:
        raise ValueError(f"width is {width}; num_heads = {num_heads} must divide it")
    expansion = min(4.0, host.intermediate_width / host.width)
    return HostSize(
        width=width,
        num_blocks=num_blocks,
        num_heads=num_heads,
        num_kv_heads=max(1, num_heads * host.num_kv_heads // host.num_heads),
        head_dim=width // num_heads,
        intermediate_width=8 * round(expansion * width / 8),
        vocab_size=vocab_size,
        max_positions=max_positions,
        tied_embeddings=host.tied_embeddings,
    )
