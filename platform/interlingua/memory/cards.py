"""The fit of a run's roles on cards of one kind: three copies, one process, three cards.

Tables as lines of text, with the arithmetic that makes them. Knows no recipe and no cluster.
"""

from collections.abc import Iterator
from dataclasses import replace

from interlingua.memory.roles import (
    CONTEXT_BYTES,
    MEMORY_COLUMNS,
    RoleMemory,
    Shapes,
    copies_memory,
    gib,
    groups_memory,
    single_memory,
)
from interlingua.memory.table import table_lines
from interlingua.memory.tokens import saved_numbers
from interlingua.specs.hosts import PoolHost
from interlingua.specs.placement import (
    FrozenPlacement,
    LearnerPlacement,
    Single,
    ThreeGroups,
    Workers,
)
from interlingua.specs.rl import RlSpec
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec

# Of the AV's prompt and of the AR's template, by the tokenizers of published trunks.
PROMPT_TOKENS, TEMPLATE_TOKENS = 128, 16
CARD_BYTES = 32 * 2**30
RANKS = (16, 256, None)  # of LoRA; None trains all weights
ONE_CARD = Workers(count=1, cpus=4, gpus=1)
LEARNER = LearnerPlacement(
    workers=ONE_CARD,
    device="cuda",
    batch_rows=64,
    micro_batch_rows=8,
    zero_stage=2,
)
THREE_CARDS = ThreeGroups(
    av=replace(LEARNER, workers=replace(ONE_CARD, node_label="av")),
    av_init=FrozenPlacement(
        workers=replace(ONE_CARD, node_label="av_init"), device="cuda", batch_rows=64
    ),
    ar=replace(LEARNER, workers=replace(ONE_CARD, node_label="ar")),
    patience_seconds=600,
    failures_survived=3,
)
ONE_PROCESS = Single(device="cuda", micro_batch_rows=8, batch_rows=64)


def card_shapes(run: RlSpec, ar: ArSpec) -> Shapes:
    """Counts of a step: rows and tokens; the AR reads no more of a sample than was drawn."""
    return Shapes(
        prompt_tokens=PROMPT_TOKENS,
        new_tokens=run.max_new_tokens,
        ar_tokens=min(run.max_new_tokens + TEMPLATE_TOKENS, ar.max_tokens),
        num_samples=run.num_samples,
    )


def card_rows(
    trunk: PoolHost, av: AvSpec, ar: ArSpec, *, shapes: Shapes, device_bytes: int = CARD_BYTES
) -> tuple[RoleMemory, ...]:
    """Rows for three copies on one card, one process on one card, and a card for every role."""
    groups = groups_memory(
        trunk, av, ar, shapes=shapes, place=THREE_CARDS, device_bytes=device_bytes
    )
    single = single_memory(
        trunk, av, ar, shapes=shapes, place=ONE_PROCESS, device_bytes=device_bytes
    )
    return (copies_memory(groups), single, *groups)


def card_lines(trunk: PoolHost, av: AvSpec, ar: ArSpec, shapes: Shapes) -> Iterator[str]:
    """The arithmetic, then a table for every rank of LoRA; without LoRA that of all weights."""
    yield from _arithmetic(trunk, av, shapes)
    for rank in RANKS if av.lora is not None and ar.lora is not None else (None,):
        title = "full fine-tuning" if rank is None else f"LoRA of rank {rank}"
        yield from ("", f"{title}, in GiB:")
        own_av = replace(av, lora=_of_rank(av.lora, rank))
        own_ar = replace(ar, lora=_of_rank(ar.lora, rank))
        rows = card_rows(trunk, own_av, own_ar, shapes=shapes)
        yield from table_lines(MEMORY_COLUMNS, [row.cells() for row in rows])


def _of_rank(lora: LoraSpec | None, rank: int | None) -> LoraSpec | None:
    """The adapters at another rank, with alpha twice the rank; None trains all weights."""
    if lora is None or rank is None:
        return None
    return replace(lora, rank=rank, alpha=2.0 * rank)


def _arithmetic(trunk: PoolHost, av: AvSpec, shapes: Shapes) -> Iterator[str]:
    learner, tokens = THREE_CARDS.av, shapes.prompt_tokens + shapes.new_tokens
    rows = min(learner.batch_rows, shapes.num_samples)
    blocks = f"{trunk.num_blocks} blocks x {saved_numbers(trunk):,} numbers"
    if av.gradient_checkpointing:
        blocks = f"({trunk.num_blocks} x {trunk.width:,} + {saved_numbers(trunk):,}) numbers"
    yield (
        f"a step: {shapes.num_samples} samples of {shapes.new_tokens} tokens behind a prompt of "
        f"{shapes.prompt_tokens}; the AR reads {shapes.ar_tokens}"
    )
    yield (
        "weights: 2 B a parameter; of what is trained: masters 4 B, moments 8 B, gradients 4 B, "
        "and in the update 8 B more (single: 4 B)"
    )
    yield (
        f"learning of the AV: {learner.micro_batch_rows} rows x {tokens} tokens x {blocks} x 2 B "
        "and logits; the AR: all that its own tokens and blocks keep"
    )
    yield (
        f"sampling: KV cache of {rows} rows x {tokens} tokens x {trunk.num_blocks} blocks x "
        f"2 x {trunk.num_kv_heads} x {trunk.head_dim} numbers x 2 B"
    )
    yield f"logits: {trunk.vocab_size:,} x 10 B a position; a process: {gib(CONTEXT_BYTES)} GiB"
    yield (
        "the peak is the largest of sampling, judging, learning, update; three copies are three "
        "processes that keep what they took; single takes turns, and holds the AV's start beside "
        "it: 6 B a parameter that the AV trains"
    )
