"""The files of a saved model that its answers depend on, and their hashes. Opens no model.

What transformers reads of a folder decides: configurations, weights and their index, the tokenizer
in whatever form, templates. Left out: readmes and licences, which may change, and code, which is
never run from a model's folder.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from interlingua.store.integrity import sha256_of
from interlingua.store.record import RECORD_NAME

CONFIG_NAME, ADAPTER_NAME = "config.json", "adapter_config.json"
READ = (
    "*.json",  # also generation_config.json: the tokens that end a text stand in it
    "*.safetensors", "*.bin",
    # Tokenizers of every age; one without tokenizer.json is made of these alone.
    "*.model", "*.spm", "*.tiktoken", "*.codes", "vocab*", "merges*", "dict*.txt",
    "*.jinja", "additional_chat_templates/*.jinja",
)  # fmt: skip
# Beside a host that was made here: it holds times, and no two builds have the same.
NOT_READ = (RECORD_NAME,)


def model_hashes(folder: Path) -> dict[str, str]:
    """The hash of every such file by its name; raises where they are not the whole model."""
    if not (folder / CONFIG_NAME).is_file():
        raise ValueError(f"{folder} has no {CONFIG_NAME}; it is not a saved Hugging Face model")
    if (folder / ADAPTER_NAME).is_file():
        raise ValueError(
            f"{folder / ADAPTER_NAME} stands on weights that lie elsewhere and have no hash here; "
            "merge it into its model first (peft: merge_and_unload) and save that"
        )
    return {name: sha256_of(folder / name) for name in _names(folder)}


def files_sha256(folder: Path) -> str:
    """One hash of all of them: the same for every copy and every build of a model."""
    digest = hashlib.sha256()
    for name, file_hash in model_hashes(folder).items():
        digest.update(name.encode())
        digest.update(bytes.fromhex(file_hash))
    return digest.hexdigest()


def first_difference(folder: Path, hashes: Mapping[str, str]) -> str | None:
    """The first file that is not as it was hashed, and how; None where all are."""
    for name in sorted(hashes.keys() | set(_names(folder))):
        path = folder / name
        if name not in hashes:
            return f"{path} is new"
        if not path.is_file():
            return f"{path} is missing"
        if sha256_of(path) != hashes[name]:
            return f"{path} has other content"
    return None


def _names(folder: Path) -> list[str]:
    found = {path for pattern in READ for path in folder.glob(pattern) if path.is_file()}
    names = {path.relative_to(folder).as_posix() for path in found}
    return sorted(names.difference(NOT_READ))
