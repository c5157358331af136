"""Encoders on disk. Knows no host and no fit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from interlingua.store.atomic import write_atomically

ENCODER_NAME = "encoder.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """e = weight (n(h) - mean): a host's direction, centred, in the shared space."""

    weight_ED: np.ndarray
    mean_D: np.ndarray

    def __call__(self, rescaled_ND: np.ndarray) -> np.ndarray:
        """e of every row of n(h)."""
        return np.asarray((rescaled_ND - self.mean_D) @ self.weight_ED.T)


def write_encoder(out: Path, encoder: Encoder) -> None:
    """Store an encoder in an artifact's folder, in fp32."""
    content = save(
        {
            "weight": np.ascontiguousarray(encoder.weight_ED, dtype=np.float32),
            "mean": np.ascontiguousarray(encoder.mean_D, dtype=np.float32),
        }
    )
    with write_atomically(out / ENCODER_NAME) as file:
        file.write(content)


def read_encoder(folder: Path) -> Encoder:
    """The encoder of an artifact, in fp64."""
    arrays = load((folder / ENCODER_NAME).read_bytes())
    weight_ED, mean_D = (arrays[name].astype(np.float64) for name in ("weight", "mean"))
    return Encoder(weight_ED=weight_ED, mean_D=mean_D)
