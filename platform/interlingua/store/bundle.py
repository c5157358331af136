"""A whole NLA in one folder: a manifest that names every file with its hash, and the files.

Knows no model. A file that is missing or another is an error before anything is opened.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interlingua.specs.canonical import jsonable
from interlingua.specs.recorded import from_jsonable
from interlingua.specs.training import ArSpec, AvSpec
from interlingua.store.atomic import write_atomically

MANIFEST_NAME, FORMAT = "manifest.json", 1
AV_FOLDER, AR_FOLDER, MAPS_FOLDER, TOKENIZER_FOLDER = "av", "ar", "maps", "tokenizer"
WEIGHTS_NAME, VALUE_HEAD_NAME = "weights.safetensors", "value_head.safetensors"
AFFINE_NAME = "nla_affine.safetensors"


class BundleDamaged(ValueError):
    """A bundle is not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where a model is opened from; a local folder goes with the hash of its files."""

    source: str
    revision: str | None
    files_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledHost:
    """One host of a bundle and how its activations are read."""

    model: Opened
    block_index: int
    is_pooled: bool
    includes_first: bool
    max_tokens: int
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle holds. `artifacts` are the fingerprints of what it was made from."""

    anchor: str
    trunk: Opened
    av: AvSpec
    ar: ArSpec
    hosts: Mapping[str, BundledHost]
    artifacts: Mapping[str, str]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Store the manifest with the hashes of all files that are in the folder, last."""
    hosts = {tag: asdict(host) for tag, host in manifest.hosts.items()}
    files = {path: _sha256(folder / path) for path in _files(folder)}
    content = {
        "format": FORMAT,
        "anchor": manifest.anchor,
        "trunk": asdict(manifest.trunk),
        "av": jsonable(manifest.av),
        "ar": jsonable(manifest.ar),
        "hosts": hosts,
        "artifacts": dict(manifest.artifacts),
        "files": files,
    }
    with write_atomically(folder / MANIFEST_NAME) as file:
        file.write(json.dumps(content, indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle whose files are all there and as they were written."""
    try:
        content = json.loads((folder / MANIFEST_NAME).read_bytes())
    except FileNotFoundError:
        raise BundleDamaged(f"{folder} has no {MANIFEST_NAME}; it is no bundle") from None
    if content["format"] != FORMAT:
        raise BundleDamaged(f"{folder} has format {content['format']}; this version reads {FORMAT}")
    for path, expected in content["files"].items():
        if not (folder / path).is_file():
            raise BundleDamaged(f"{folder / path} is missing; fetch or build the bundle again")
        if _sha256(folder / path) != expected:
            raise BundleDamaged(
                f"{folder / path} is not the file that was bundled (symptom of going on: fluent "
                "texts about other vectors); fetch or build the bundle again"
            )
    return Manifest(
        anchor=content["anchor"],
        trunk=Opened(**content["trunk"]),
        av=from_jsonable(AvSpec, content["av"]),
        ar=from_jsonable(ArSpec, content["ar"]),
        hosts={tag: _host(entry) for tag, entry in content["hosts"].items()},
        artifacts=content["artifacts"],
    )


def relative_source(source: str, folder: Path) -> str:
    """A local folder as it is seen from a bundle's; a hub id as it is."""
    return os.path.relpath(source, folder) if Path(source).is_absolute() else source


def source_from(source: str, folder: Path) -> str:
    """The inverse: where the model is, seen from here."""
    path = (folder / source).resolve()
    return str(path) if source.startswith(".") or path.is_dir() else source


def _host(entry: dict[str, Any]) -> BundledHost:
    return BundledHost(**{**entry, "model": Opened(**entry["model"])})


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    inside = (path.relative_to(folder) for path in found)
    # What a stage keeps beside its output is no part of the bundle.
    return sorted(str(path) for path in inside if len(path.parts) > 1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
