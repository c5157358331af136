"""The spread of a host's activations, and some of them, on disk: fp32. Knows no fit."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from interlingua.core.familiarity import Familiarity
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import naming

FAMILIARITY_NAME, OTHERS_NAME = "familiarity.safetensors", "others.safetensors"


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


def write_others(out: Path, n_KD: np.ndarray) -> None:
    """Store activations at the norm sqrt(D), by which those of other texts are compared."""
    with write_atomically(out / OTHERS_NAME) as file:
        file.write(save({"rows": np.ascontiguousarray(n_KD, np.float32)}))


def read_others(folder: Path) -> np.ndarray | None:
    """Activations of `fit` at the norm sqrt(D); None where a bundle has none."""
    path = folder / OTHERS_NAME
    if not path.exists():
        return None
    with naming(path):
        rows_KD: np.ndarray = load(path.read_bytes())["rows"]
    return rows_KD
