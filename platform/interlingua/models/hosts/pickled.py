"""Pickled weights made into safetensors, one file after the other. Runs no code of a pickle."""

import json
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from interlingua.models.hosts.fetched import (
    INDEX,
    PART_SUFFIX,
    PICKLED_INDEX,
    WEIGHTS,
    converted_name,
)
from interlingua.models.hosts.hub import NotFetched
from interlingua.store.atomic import write_atomically


def convert_pickled(folder: Path, names: Sequence[str], model: str) -> None:
    """Replace these files of a folder, each read back before it goes; what was done stays.

    transformers opens such files as well, by torch.load without code. As safetensors they are read
    a tensor at a time, and no process unpickles anything that came from elsewhere.
    """
    for name in names:
        target = folder / converted_name(name)
        if not target.exists():
            part = target.with_name(target.name + PART_SUFFIX)
            weights = _weights(folder / name, model)
            save_file(weights, part, metadata={"format": "pt"})
            _check_equal(part, weights, name)
            part.rename(target)
        (folder / name).unlink(missing_ok=True)
    converted = [converted_name(name) for name in names]
    if converted != [WEIGHTS]:
        _write_index(folder, converted)
    (folder / PICKLED_INDEX).unlink(missing_ok=True)


def _weights(path: Path, model: str) -> dict[str, Tensor]:
    """The tensors of a file, no two of which share memory."""
    try:
        # Only zip files, which torch writes since 1.6, can be mapped.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        why = f"is no file of weights ({' '.join(str(error).split())[:120]})"
        if code is not None:
            why = f"holds code beside weights ({code[1]}), which is never run"
        raise NotFetched(
            f"{path.name} of {model} {why}; name a model with safetensors, or convert it yourself "
            "(transformers' save_pretrained writes them)"
        ) from error
    seen: set[int] = set()
    weights = {}
    for name, tensor in found.items():
        memory = tensor.untyped_storage().data_ptr()
        # safetensors refuses two names of one memory, as tied embeddings have.
        is_shared = memory in seen
        tensor = tensor.contiguous()
        weights[name] = tensor.clone() if is_shared else tensor
        seen.add(memory)
    return weights


def _check_equal(path: Path, weights: dict[str, Tensor], name: str) -> None:
    with safe_open(path, framework="pt") as file:
        for key, tensor in weights.items():
            found = file.get_tensor(key)
            # Bit for bit: a NaN equals none.
            if found.dtype != tensor.dtype or not torch.equal(
                found.flatten().view(torch.uint8), tensor.flatten().view(torch.uint8)
            ):
                raise ValueError(f"{key} of {name} did not survive its conversion in {path}")


def _write_index(folder: Path, names: Sequence[str]) -> None:
    weight_map: dict[str, str] = {}
    size = 0
    for name in names:
        size += (folder / name).stat().st_size
        with safe_open(folder / name, framework="pt") as file:
            weight_map |= dict.fromkeys(file.keys(), name)
    with write_atomically(folder / INDEX) as file:
        content = {"metadata": {"total_size": size}, "weight_map": weight_map}
        file.write(json.dumps(content, indent=2).encode())
