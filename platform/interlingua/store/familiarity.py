"""The spread of a host's activations on disk: fp32 there, fp64 in memory. Knows no fit."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from interlingua.core.familiarity import Familiarity
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import naming

FAMILIARITY_NAME = "familiarity.safetensors"


def write_familiarity(out: Path, familiarity: Familiarity) -> None:
    """Store how far rows of the fit are from their mean in an artifact's folder, in fp32."""
    arrays = {
        "mean": familiarity.mean_D,
        "factor": familiarity.factor_DD,
        "distances": familiarity.distances_Q,
    }
    wide = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    with write_atomically(out / FAMILIARITY_NAME) as file:
        file.write(save(wide))


def read_familiarity(folder: Path) -> Familiarity | None:
    """What an artifact knows of distances, in fp64; None where its rows were too few."""
    path = folder / FAMILIARITY_NAME
    if not path.exists():
        return None
    with naming(path):
        arrays = load(path.read_bytes())
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    return Familiarity(mean_D=wide["mean"], factor_DD=wide["factor"], distances_Q=wide["distances"])
