"""Bytes of main memory that one process of a stage takes, from dimensions. Pure numbers.

What grows with a model, a width or rows is counted; what every process takes is added to that where
it is much. Knows no stage, no weights and no Ray.
"""

from collections.abc import Sequence

from interlingua.memory.parameters import BYTES, num_parameters
from interlingua.specs.hosts import PoolHost

# A process with all that models need, before it opens one.
PROCESS_BYTES = 2**30
# Less than that is asked for by nobody: small stages share what is left.
LEAST_BYTES = 2**30
FULL, DOUBLE = 4, 8  # bytes of a number in fp32, in fp64


def asked_bytes(num_bytes: int) -> int:
    """What a process that takes this many asks for: nothing where it is little."""
    return num_bytes + PROCESS_BYTES if num_bytes >= LEAST_BYTES else 0


def model_bytes(host: PoolHost, dtype: str) -> int:
    """A whole model, opened in this dtype."""
    return BYTES[dtype] * num_parameters(host)


def weights_bytes(num_trained: int) -> int:
    """Trained weights on their way into a file or out of it: as tensors, and as its bytes."""
    return 2 * FULL * num_trained


def ridge_bytes(num_inputs: int, num_outputs: int, num_folds: int) -> int:
    """Second moments of every fold, of all and of all but one, and one eigendecomposition."""
    moments = num_inputs * (num_inputs + num_outputs)
    return DOUBLE * ((num_folds + 2) * moments + 3 * num_inputs**2)


def rows_bytes(num_rows: int, widths: Sequence[int]) -> int:
    """Rows of these widths at once: as they were read, and twice in fp64."""
    return (FULL + 2 * DOUBLE) * num_rows * sum(widths)
