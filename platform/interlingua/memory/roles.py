"""Bytes of each role of reinforcement learning on its device, at its peak. Pure numbers.

A peak is what always lies there and what its largest phase adds. Published dimensions and a
placement are all it takes: no weights, no Ray. Left out: fragmentation, buckets of collectives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from interlingua.memory.parameters import BYTES, RoleSize, ar_size, av_init_size, av_size
from interlingua.memory.tokens import (
    forward_bytes,
    kv_cache_bytes,
    learning_bytes,
    logits_bytes,
)
from interlingua.specs.hosts import PoolHost
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement, Single, ThreeGroups
from interlingua.specs.training import ArSpec, AvSpec

CONTEXT_BYTES = 2**30  # of every process on a device: its context, kernels, workspaces
MEMORY_COLUMNS = (
    "role", "devices", "nodes", "parameters", "trained", "weights", "masters", "moments",
    "gradients", "activations", "KV cache", "process", "total", "peak in", "of", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Sizes of a step: tokens of a prompt, of a sample and of a prompt of the AR, and samples."""

    prompt_tokens: int
    new_tokens: int
    ar_tokens: int
    num_samples: int  # of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of one device in a role: its rows at once, and the number of ranks."""

    micro_batch_rows: int
    batch_rows: int
    num_ranks: int
    zero_stage: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The bytes that one phase of a step adds to what always lies on a device."""

    name: str
    activations: int
    kv_cache: int = 0

    @property
    def num_bytes(self) -> int:
        """Activations and cache together."""
        return self.activations + self.kv_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMemory:
    """One row of the table: the bytes of a role on each of its devices, at its peak."""

    role: str
    devices: str
    nodes: str
    num_parameters: int
    num_trained: int
    weights: int
    masters: int
    moments: int
    gradients: int
    peak: Phase
    process: int
    device_bytes: int | None  # None where nobody can tell

    @property
    def total(self) -> int:
        """The sum of the row."""
        held = self.weights + self.masters + self.moments + self.gradients
        return held + self.peak.num_bytes + self.process

    @property
    def fits(self) -> bool:
        """True where the sum is no more than the device has, or where that is not known."""
        return self.device_bytes is None or self.total <= self.device_bytes

    def cells(self) -> tuple[str, ...]:
        """The cells of the row, in the order of MEMORY_COLUMNS."""
        parts = (
            self.weights, self.masters, self.moments, self.gradients, self.peak.activations,
            self.peak.kv_cache, self.process, self.total,
        )  # fmt: skip
        there, verdict = "-", "not known"
        if self.device_bytes is not None:
            there = gib(self.device_bytes)
            verdict = "fits" if self.fits else f"short of {gib(self.total - self.device_bytes)}"
        return (
            self.role,
            self.devices,
            self.nodes,
            f"{self.num_parameters:,}",
            f"{self.num_trained:,}",
            *map(gib, parts),
            self.peak.name,
            there,
            verdict,
        )


def groups_memory(
    trunk: PoolHost,
    av: AvSpec,
    ar: ArSpec,
    *,
    shapes: Shapes,
    place: ThreeGroups,
    device_bytes: int | None,
) -> tuple[RoleMemory, ...]:
    """A row for each role, in placement groups of their own."""
    own = {
        "av": _av_memory(trunk, av, shapes, _share(place.av)),
        "av_init": _av_init_memory(trunk, av, shapes, _share(place.av_init)),
        "ar": _ar_memory(trunk, ar, shapes, _share(place.ar)),
    }
    return tuple(
        replace(
            own[name],
            devices=f"{role.workers.count} x {role.device}",
            nodes=role.workers.node_label or "any",
            device_bytes=device_bytes,
        )
        for name, role in place.roles().items()
    )


def copies_memory(rows: Sequence[RoleMemory]) -> RoleMemory:
    """Three processes on one device: none gives its memory back, so that their peaks add up."""
    return _summed(
        "three copies",
        rows,
        peak=Phase(
            name="all",
            activations=sum(row.peak.activations for row in rows),
            kv_cache=sum(row.peak.kv_cache for row in rows),
        ),
        process=sum(row.process for row in rows),
    )


def single_memory(
    trunk: PoolHost,
    av: AvSpec,
    ar: ArSpec,
    *,
    shapes: Shapes,
    place: Single,
    device_bytes: int | None,
) -> RoleMemory:
    """The one row of a process in which roles take turns: the largest peak counts, not their sum.

    AV_init is the AV with its start switched in: only what the AV trains is there twice.
    """
    share = Share(
        micro_batch_rows=place.micro_batch_rows,
        batch_rows=place.batch_rows,
        num_ranks=1,
        zero_stage=None,
    )
    rows = (_av_memory(trunk, av, shapes, share), _ar_memory(trunk, ar, shapes, share))
    size = av_size(trunk, av, [])
    # In fp32, and once more in the dtype of the forward while it is switched in.
    start = size.num_trained * 4
    if size.dtype != "float32":
        start += size.num_trained * BYTES[size.dtype]
    summed = _summed(
        "single",
        rows,
        peak=max((row.peak for row in rows), key=lambda peak: peak.num_bytes),
        process=CONTEXT_BYTES,
    )
    return replace(
        summed,
        devices=f"1 x {place.device}",
        weights=summed.weights + start,
        device_bytes=device_bytes,
    )


def gib(num_bytes: int) -> str:
    """The bytes as GiB with two decimals; a dash for none."""
    return f"{num_bytes / 2**30:.2f}" if num_bytes else "-"


def _av_memory(trunk: PoolHost, spec: AvSpec, shapes: Shapes, share: Share) -> RoleMemory:
    size = av_size(trunk, spec, [])
    num_tokens = shapes.prompt_tokens + shapes.new_tokens
    rows = min(share.batch_rows, -(-shapes.num_samples // share.num_ranks))
    width = BYTES[size.dtype]
    sampling = Phase(
        name="sampling",
        # The prompt is the largest forward: then one token a row, with logits of one position.
        activations=forward_bytes(trunk, rows * shapes.prompt_tokens, width)
        + logits_bytes(trunk, rows, width),
        kv_cache=kv_cache_bytes(trunk, rows * num_tokens, width),
    )
    learning = Phase(
        name="learning",
        activations=learning_bytes(
            trunk,
            trunk.num_blocks,
            share.micro_batch_rows * num_tokens,
            width=width,
            is_checkpointed=spec.gradient_checkpointing,
        )
        + logits_bytes(trunk, share.micro_batch_rows * shapes.new_tokens, width),
    )
    return _row(size, share, [sampling, learning])


def _av_init_memory(trunk: PoolHost, spec: AvSpec, shapes: Shapes, share: Share) -> RoleMemory:
    size = av_init_size(trunk, spec)
    rows = min(share.batch_rows, -(-shapes.num_samples // share.num_ranks))
    width = BYTES[size.dtype]
    judging = Phase(
        name="judging",
        activations=forward_bytes(trunk, rows * (shapes.prompt_tokens + shapes.new_tokens), width)
        + logits_bytes(trunk, rows * shapes.new_tokens, width),
    )
    # No phase of learning, and so no update: AV_init only scores what was sampled.
    return _row(size, share, [judging])


def _ar_memory(trunk: PoolHost, spec: ArSpec, shapes: Shapes, share: Share) -> RoleMemory:
    size = ar_size(trunk, spec)
    rows = min(share.batch_rows, -(-shapes.num_samples // share.num_ranks))
    width = BYTES[size.dtype]
    judging = Phase(
        name="judging", activations=forward_bytes(trunk, rows * shapes.ar_tokens, width)
    )
    learning = Phase(
        name="learning",
        activations=learning_bytes(
            trunk,
            spec.last_block + 1,
            share.micro_batch_rows * shapes.ar_tokens,
            width=width,
            is_checkpointed=spec.gradient_checkpointing,
        ),
    )
    return _row(size, share, [judging, learning])


def _share(place: FrozenPlacement | LearnerPlacement) -> Share:
    learner = place if isinstance(place, LearnerPlacement) else None
    return Share(
        micro_batch_rows=learner.micro_batch_rows if learner else 1,
        batch_rows=place.batch_rows,
        num_ranks=place.workers.count,
        zero_stage=learner.zero_stage if learner else None,
    )


def _row(size: RoleSize, share: Share, phases: Sequence[Phase]) -> RoleMemory:
    """The row at its largest phase; ZeRO shares out state from stage 1 on, gradients from 2 on."""
    parts, stage = size.bytes_by_part(), share.zero_stage or 0
    state_ranks = share.num_ranks if stage >= 1 else 1
    # From stage 2 on a rank drops the gradients of parts whose state it does not hold.
    gradients = parts["gradients"] // (share.num_ranks if stage >= 2 else 1)
    if size.num_trained:  # the update: AdamW's square root
        own = Phase(name="update", activations=size.num_trained * 4 // state_ranks)
        phases = [*phases, own]
    return RoleMemory(
        role=size.role,
        devices="1",
        nodes="any",
        num_parameters=size.num_parameters,
        num_trained=size.num_trained,
        # Whole on every rank: stage 3, which shares them out, is not allowed here.
        weights=parts["weights"],
        masters=parts["master"] // state_ranks,
        moments=parts["moments"] // state_ranks,
        gradients=gradients,
        peak=max(phases, key=lambda phase: phase.num_bytes),
        process=CONTEXT_BYTES,
        device_bytes=None,
    )


def _summed(role: str, rows: Sequence[RoleMemory], *, peak: Phase, process: int) -> RoleMemory:
    first = rows[0]
    parts = ("num_parameters", "num_trained", "weights", "masters", "moments", "gradients")
    sums = {name: sum(getattr(row, name) for row in rows) for name in parts}
    return replace(first, role=role, nodes="any", peak=peak, process=process, **sums)
