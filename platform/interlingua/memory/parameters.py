"""Parameters and bytes of the AV, its frozen start and the AR, from dimensions alone.

Knows no weights: tests build every family here on the meta device and compare the counts. Counts
what stays over a step, not activations, and knows no placement: ZeRO shares these bytes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interlingua.specs.hosts import HostSize, PoolHost
from interlingua.specs.injection import Affine, BiasOnly, Full, InjectionSpec, LowRank, Shared
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SIZE_COLUMNS = (
    "role", "parameters", "trainable", "weights", "master", "gradients", "moments", "total",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSize:
    """The parameters of one role; a frozen one takes its bytes in the forward's dtype, no more."""

    role: str
    num_parameters: int
    num_trained: int
    dtype: str

    def bytes_by_part(self) -> dict[str, int]:
        """Bytes of each part; gradients are summed in fp32, whatever the forward's dtype."""
        width = BYTES[self.dtype]
        return {
            "weights": self.num_parameters * width,
            # In fp32 the weights are their own master copy.
            "master": self.num_trained * 4 if self.dtype != "float32" else 0,
            "gradients": self.num_trained * 4,
            # The two moments of AdamW, in fp32.
            "moments": self.num_trained * 8,
        }

    @property
    def num_bytes(self) -> int:
        """The sum of all parts."""
        return sum(self.bytes_by_part().values())


def role_sizes(
    trunk: PoolHost, av: AvSpec, ar: ArSpec, encoded: Sequence[HostSize]
) -> tuple[RoleSize, ...]:
    """The sizes of AV, AV_init and AR.

    `encoded` are the hosts whose encoders the AV may train: none of a single-host NLA.
    """
    return (av_size(trunk, av, encoded), av_init_size(trunk, av), ar_size(trunk, ar))


def av_size(trunk: PoolHost, spec: AvSpec, encoded: Sequence[HostSize]) -> RoleSize:
    """The size of the verbalizer, with the affine and the encoders that it trains."""
    base, lora = num_parameters(trunk), _num_lora(trunk, spec.lora, trunk.num_blocks)
    added = _num_affine(spec.injection, trunk.width)
    if spec.encoder_learning_rate is not None:
        added += sum(trunk.width * host.width for host in encoded)
    return RoleSize(
        role="av",
        num_parameters=base + lora + added,
        num_trained=(base if spec.lora is None else lora) + added,
        dtype=spec.optim.dtype,
    )


def av_init_size(trunk: PoolHost, spec: AvSpec) -> RoleSize:
    """The size of the frozen start of the AV, without encoders: its vectors are encoded already."""
    lora = _num_lora(trunk, spec.lora, trunk.num_blocks)
    return RoleSize(
        role="av_init",
        num_parameters=num_parameters(trunk) + lora + _num_affine(spec.injection, trunk.width),
        num_trained=0,
        dtype=spec.optim.dtype,
    )


def ar_size(trunk: PoolHost, spec: ArSpec) -> RoleSize:
    """The size of the reconstructor: embedding, blocks 0..K, a value head; no norm, no lm_head."""
    if spec.last_block >= trunk.num_blocks:
        raise ValueError(
            f"ArSpec.block_index is {spec.last_block}; the blocks of {trunk.tag} are "
            f"0..{trunk.num_blocks - 1}"
        )
    # K counts from zero, and the output of block K is what the value head reads.
    num_blocks = spec.last_block + 1
    base = num_embedding_parameters(trunk) + num_blocks * num_block_parameters(trunk)
    lora, head = _num_lora(trunk, spec.lora, num_blocks), trunk.width**2
    return RoleSize(
        role="ar",
        num_parameters=base + lora + head,
        num_trained=(base if spec.lora is None else lora) + (head if spec.trains_value_head else 0),
        dtype=spec.optim.dtype,
    )


def size_rows(sizes: Sequence[RoleSize]) -> list[tuple[str, ...]]:
    """Cells under SIZE_COLUMNS, one row a role."""
    return [
        (
            size.role,
            f"{size.num_parameters:,}",
            f"{size.num_trained:,}",
            *map(readable_bytes, (*size.bytes_by_part().values(), size.num_bytes)),
        )
        for size in sizes
    ]


def num_parameters(host: PoolHost) -> int:
    """All parameters of the causal language model, tied weights once."""
    family = _family(host)
    # A tied head is the embedding once more and counts with it.
    head = 0 if host.tied_embeddings else host.width * host.vocab_size
    head += host.vocab_size if family.has_head_bias else 0
    blocks = host.num_blocks * num_block_parameters(host)
    return num_embedding_parameters(host) + blocks + family.norm_size(host) + head


def num_embedding_parameters(host: PoolHost) -> int:
    """Parameters before block 0: tokens, learnt positions, a norm behind them."""
    family = _family(host)
    positions = host.max_positions if family.has_positions else 0
    norm = family.norm_size(host) if family.has_embedding_norm else 0
    return (host.vocab_size + positions) * host.width + norm


def num_block_parameters(host: PoolHost) -> int:
    """Parameters of one block: norms, linear layers and their biases."""
    family = _family(host)
    count = family.num_norms * family.norm_size(host)
    # One norm for all query heads and one for all key heads.
    count += 2 * host.head_dim if family.has_query_key_norms else 0
    for linear in linears_of(host):
        count += linear.num_inputs * linear.num_outputs
        count += linear.num_outputs if linear.name in family.biased else 0
    return count


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a block, by the last part of its name."""

    name: str
    num_inputs: int
    num_outputs: int


def linears_of(host: PoolHost) -> tuple[Linear, ...]:
    """The linear layers of one block; a name may stand twice (the c_proj of gpt2)."""
    d, ff = host.width, host.intermediate_width
    heads, kv_heads = host.num_heads * host.head_dim, host.num_kv_heads * host.head_dim
    shapes = {
        "queries": (d, heads),
        "keys": (d, kv_heads),
        # Queries, keys and values out of one matrix.
        "fused": (d, heads + 2 * kv_heads),
        "mixed": (heads, d),
        "up": (d, ff),
        "down": (ff, d),
    }
    return tuple(Linear(name, *shapes[shape]) for name, shape in _family(host).linears)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The make of a family's blocks, beyond the dimensions."""

    linears: tuple[tuple[str, str], ...]  # name and shape
    biased: tuple[str, ...] = ()
    num_norms: int = 2
    has_norm_bias: bool = False
    has_query_key_norms: bool = False
    has_positions: bool = False
    has_embedding_norm: bool = False
    has_head_bias: bool = False

    def norm_size(self, size: HostSize) -> int:
        return size.width * (2 if self.has_norm_bias else 1)


# In grouped-query attention keys and values have fewer heads: their shape is that of `keys`.
_QKV = (("q_proj", "queries"), ("k_proj", "keys"), ("v_proj", "keys"))
_PLAIN = (*_QKV, ("o_proj", "mixed"), ("up_proj", "up"), ("down_proj", "down"))
_GATED = (*_PLAIN, ("gate_proj", "up"))
_FUSED = (
    ("query_key_value", "fused"), ("dense", "mixed"),
    ("dense_h_to_4h", "up"), ("dense_4h_to_h", "down"),
)  # fmt: skip
_ALL_FUSED = tuple(name for name, _ in _FUSED)
_LLAMA = _Family(linears=_GATED)

_FAMILIES = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "smollm3": _LLAMA,
    "qwen2": _Family(linears=_GATED, biased=("q_proj", "k_proj", "v_proj")),
    "qwen3": _Family(linears=_GATED, has_query_key_norms=True),
    # A norm before and one behind both attention and MLP.
    "gemma3_text": _Family(linears=_GATED, num_norms=4, has_query_key_norms=True),
    "nemotron": _Family(linears=_PLAIN, has_norm_bias=True),
    "gpt2": _Family(
        linears=(("c_attn", "fused"), ("c_proj", "mixed"), ("c_fc", "up"), ("c_proj", "down")),
        biased=("c_attn", "c_proj", "c_fc"),
        has_norm_bias=True,
        has_positions=True,
    ),
    "gpt_neo": _Family(
        linears=(*_QKV, ("out_proj", "mixed"), ("c_fc", "up"), ("c_proj", "down")),
        biased=("out_proj", "c_fc", "c_proj"),
        has_norm_bias=True,
        has_positions=True,
    ),
    "gpt_neox": _Family(linears=_FUSED, biased=_ALL_FUSED, has_norm_bias=True),
    "bloom": _Family(
        linears=_FUSED, biased=_ALL_FUSED, has_norm_bias=True, has_embedding_norm=True
    ),
    # Attention and MLP side by side behind one norm.
    "phi": _Family(
        linears=(*_QKV, ("dense", "mixed"), ("fc1", "up"), ("fc2", "down")),
        biased=("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"),
        num_norms=1,
        has_norm_bias=True,
        has_head_bias=True,
    ),
}


def is_known_family(model_type: str) -> bool:
    """True where the sizes of a family's models are known here."""
    return model_type in _FAMILIES


def _family(host: PoolHost) -> _Family:
    # Never a guess: a wrong size would pass for a fit until a card runs out of memory.
    if host.model_type not in _FAMILIES:
        raise ValueError(
            f"PoolHost.model_type of {host.tag} is {host.model_type}, whose blocks are not all "
            f"alike or not known here; sizes are known for: {', '.join(_FAMILIES)}"
        )
    return _FAMILIES[host.model_type]


def _num_lora(trunk: PoolHost, spec: LoraSpec | None, num_blocks: int) -> int:
    if spec is None:
        return 0
    linears = linears_of(trunk)
    names = sorted({linear.name for linear in linears})
    if unknown := sorted(set(spec.targets) - set(names)):
        raise ValueError(
            f"LoraSpec.targets names {', '.join(unknown)}, which {trunk.tag} does not have; "
            f"the linear layers of its blocks are: {', '.join(names)}"
        )
    # By name, as peft does: a name that stands twice in a block is adapted twice.
    adapted = [linear for linear in linears if linear.name in spec.targets]
    # A pair of thin matrices, [rank, inputs] and [outputs, rank].
    widths = sum(linear.num_inputs + linear.num_outputs for linear in adapted)
    return num_blocks * spec.rank * widths


def _num_affine(spec: InjectionSpec, width: int) -> int:
    affine: Affine | None = spec.affine
    match affine:
        case None:
            return 0
        case Full():
            return spec.num_slots * (width**2 + width)
        case LowRank(rank=rank):
            return spec.num_slots * (2 * rank * width + width)
        case Shared():
            return width**2 + width
        case BiasOnly():
            return spec.num_slots * width


def readable_bytes(num_bytes: int) -> str:
    """The bytes in the largest unit of which there is one; a dash for none."""
    if not num_bytes:
        return "-"
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if num_bytes >= size:
            return f"{num_bytes / size:,.2f} {unit}"
    return f"{num_bytes / 2**10:,.1f} KiB"
