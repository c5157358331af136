"""How many bytes a trunk holds of the tokens that pass through it. Knows no role and no placement.

Of gated blocks with two RMS norms, under attention that never stores its own matrix. `width` is
that of one number in the dtype of the forward.
"""

from interlingua.specs.hosts import PoolHost


def kv_cache_bytes(trunk: PoolHost, num_tokens: int, width: int) -> int:
    """Keys and values of all blocks."""
    return 2 * trunk.num_blocks * trunk.num_kv_heads * trunk.head_dim * num_tokens * width


def learning_bytes(
    trunk: PoolHost, num_blocks: int, num_tokens: int, *, width: int, is_checkpointed: bool
) -> int:
    """What a backward needs of a forward: of every block, or of its inputs and one block."""
    block = saved_numbers(trunk) * num_tokens * width
    if not is_checkpointed:
        return num_blocks * block
    return num_blocks * trunk.width * num_tokens * width + block


def saved_numbers(trunk: PoolHost) -> int:
    """Numbers that autograd keeps for one token of one block, in the dtype of the forward.

    Of a gated block with two RMS norms: twelve of the width (residuals, norms and their fp32
    copies), four of queries and of keys, four of the MLP. Attention's own matrix is never stored.
    """
    heads = (trunk.num_heads + trunk.num_kv_heads) * trunk.head_dim
    return 12 * trunk.width + 4 * heads + 4 * trunk.intermediate_width


def forward_bytes(trunk: PoolHost, num_tokens: int, width: int) -> int:
    """The working set of one block where nothing is kept: what its MLP holds at once."""
    return (4 * trunk.width + 3 * trunk.intermediate_width) * num_tokens * width


def logits_bytes(trunk: PoolHost, num_positions: int, width: int) -> int:
    """Logits, their fp32 copy, and what is made of that."""
    return num_positions * trunk.vocab_size * (width + 8)
