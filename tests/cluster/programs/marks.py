"""The items that break the models of `breaking_serve.py`."""

import numpy as np

MARKED_HOST = "toy-gpt2-medium"
MARKED_TEXT = "the storm broke the model"
BROKEN = "no kernel for this"


def marked_vector(width: int) -> np.ndarray:
    """[1, D]: an activation that no model survives."""
    return np.cos(np.arange(width, dtype=np.float32))[None]
