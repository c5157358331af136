"""Bytes that a trunk holds of the tokens that pass through it. Knows no role and no placement.

Of gated blocks with two RMS norms, under attention that never stores its own matrix. `width` is
the bytes of one number in the dtype of the forward.
"""

from interlingua.specs.hosts import PoolHost


def kv_cache_bytes(trunk: PoolHost, num_tokens: int, width: int) -> int:
    """Bytes of the keys and values of all blocks, for this many tokens of all rows together."""
    return 2 * trunk.num_blocks * trunk.num_kv_heads * trunk.head_dim * num_tokens * width


def learning_bytes(
    trunk: PoolHost, num_blocks: int, num_tokens: int, *, width: int, is_checkpointed: bool
) -> int:
    """Bytes that a backward needs of a forward: of all blocks, or of their inputs and one block."""
    block = saved_numbers(trunk) * num_tokens * width
    if not is_checkpointed:
        return num_blocks * block
    # Only one block at a time is run again and held whole.
    return num_blocks * trunk.width * num_tokens * width + block


def saved_numbers(trunk: PoolHost) -> int:
    """Numbers that autograd keeps for one token of one block, in the dtype of the forward.

    Of a gated block with two RMS norms: twelve of the width (residuals, norms and their fp32
    copies), four of queries and of keys, four of the MLP. Attention's own matrix is never stored.
    """
    # Keys of grouped-query attention are fewer than queries, and saved as few.
    heads = (trunk.num_heads + trunk.num_kv_heads) * trunk.head_dim
    return 12 * trunk.width + 4 * heads + 4 * trunk.intermediate_width


def forward_bytes(trunk: PoolHost, num_tokens: int, width: int) -> int:
    """The bytes that one block holds at once without a backward: those of its MLP."""
    return (4 * trunk.width + 3 * trunk.intermediate_width) * num_tokens * width


def logits_bytes(trunk: PoolHost, num_positions: int, width: int) -> int:
    """Bytes of logits, their fp32 copy, and one more array in fp32 that is made of it."""
    # A vocabulary is far wider than a trunk: one position here weighs as much as many in a block.
    return num_positions * trunk.vocab_size * (width + 8)
