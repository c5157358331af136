"""Encoders and decoders on disk: fp32 there, fp64 in memory. Knows no host and no fit."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from interlingua.core.maps import Decoder, Encoder
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import naming

ENCODER_NAME = "encoder.safetensors"
DECODER_NAME = "decoder.safetensors"
ENCODERS = "encoders"  # the folder of an AV artifact that holds those it trained, by host


def write_encoder(out: Path, encoder: Encoder) -> None:
    """Store an encoder in an artifact's folder, in fp32."""
    # Contiguous: safetensors stores memory as it lies, and a transposed view would be another map.
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
    path = folder / ENCODER_NAME
    with naming(path):
        arrays = load(path.read_bytes())
    weight_ED, mean_D = (arrays[name].astype(np.float64) for name in ("weight", "mean"))
    return Encoder(weight_ED=weight_ED, mean_D=mean_D)


def write_decoder(out: Path, decoder: Decoder) -> None:
    """Store a decoder in an artifact's folder, in fp32."""
    arrays = {
        "weight": decoder.weight_DE, "centre": decoder.centre_E, "mean": decoder.mean_D,
    }  # fmt: skip
    wide = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    with write_atomically(out / DECODER_NAME) as file:
        file.write(save(wide))


def read_decoder(folder: Path) -> Decoder:
    """The decoder of an artifact, in fp64."""
    path = folder / DECODER_NAME
    with naming(path):
        arrays = load(path.read_bytes())
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    return Decoder(weight_DE=wide["weight"], centre_E=wide["centre"], mean_D=wide["mean"])
