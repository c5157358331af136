"""A whole NLA in one folder: a manifest that names every file with its hash, and the files.

Knows no model. The manifest has a hash of itself, and one for every file of the models that the
pair stands on and reads: what is missing or another is an error before anything is opened.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from interlingua.specs.extraction import Reading
from interlingua.specs.text.canonical import TYPE_KEY, jsonable
from interlingua.specs.text.recorded import from_jsonable
from interlingua.specs.training import ArSpec, AvSpec
from interlingua.store.atomic import write_atomically
from interlingua.store.integrity import sha256_of
from interlingua.store.model_files import first_difference

MANIFEST_NAME, FORMAT = "manifest.json", 3
DIGEST_KEY = "sha256"  # of everything else in the manifest
AV_FOLDER, AR_FOLDER, MAPS_FOLDER, TOKENIZER_FOLDER = "av", "ar", "maps", "tokenizer"
FOLDERS = (AV_FOLDER, AR_FOLDER, MAPS_FOLDER, TOKENIZER_FOLDER)
WEIGHTS_NAME, VALUE_HEAD_NAME = "weights.safetensors", "value_head.safetensors"
AFFINE_NAME = "nla_affine.safetensors"
AGAIN = "fetch or build the bundle again"
SYMPTOM = "symptom of going on: fluent texts about other vectors"


class BundleDamaged(ValueError):
    """A bundle is not what was written."""


class NotABundle(ValueError):
    """A folder holds no bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The source of a model: a folder with its files' hashes, or a hub id at a commit.

    `folder` is where the files of a hub id lay beside the bundle: what is opened as long as they
    are there, and no hub is asked. Wherever they are not, it is the hub id.
    """

    source: str
    revision: str | None
    files: Mapping[str, str] | None
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledHost:
    """One host of a bundle and how its activations are read."""

    model: Opened
    block_index: int
    read: Reading
    max_tokens: int
    dtype: str
    adds_special_tokens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of a bundle. `artifacts` are the fingerprints of what it was made from.

    `stage` is the training that the pair comes from, in the words of `nla_meta.yaml`: sft or rl.
    """

    stage: str
    anchor: str
    trunk: Opened
    av: AvSpec
    ar: ArSpec
    hosts: Mapping[str, BundledHost]
    artifacts: Mapping[str, str]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Store the manifest with the hashes of all files that are in the folder, last."""
    hosts = {
        tag: {**asdict(host), "read": jsonable(host.read)} for tag, host in manifest.hosts.items()
    }
    files = {path: sha256_of(folder / path) for path in _files(folder)}
    content = {
        "format": FORMAT,
        "stage": manifest.stage,
        "anchor": manifest.anchor,
        "trunk": asdict(manifest.trunk),
        "av": jsonable(manifest.av),
        "ar": jsonable(manifest.ar),
        "hosts": hosts,
        "artifacts": dict(manifest.artifacts),
        "files": files,
    }
    sealed = {**content, DIGEST_KEY: manifest_sha256(content)}
    with write_atomically(folder / MANIFEST_NAME) as file:
        file.write(json.dumps(sealed, indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle whose files are all there and as they were written."""
    # The manifest's own hash first: the hashes that files are checked by come from it.
    content = _read_content(folder / MANIFEST_NAME)
    _check_files(folder, content["files"])
    return Manifest(
        stage=content["stage"],
        anchor=content["anchor"],
        trunk=Opened(**content["trunk"]),
        av=from_jsonable(AvSpec, content["av"]),
        ar=from_jsonable(ArSpec, content["ar"]),
        hosts={tag: _host(entry) for tag, entry in content["hosts"].items()},
        artifacts=content["artifacts"],
    )


def bundle_digest(folder: Path) -> str:
    """The hash of a manifest, which has that of every file: bundles of one hash are equal."""
    digest: str = _read_content(folder / MANIFEST_NAME)[DIGEST_KEY]
    return digest


def bundled_artifacts(folder: Path) -> dict[str, str]:
    """The fingerprints of what a bundle was made from; reads its manifest alone."""
    return dict(_read_content(folder / MANIFEST_NAME)["artifacts"])


def manifest_sha256(content: Mapping[str, Any]) -> str:
    """The hash of what a manifest says, however it is laid out."""
    said = {name: value for name, value in content.items() if name != DIGEST_KEY}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_models(folder: Path, manifest: Manifest) -> None:
    """Raise unless the trunk, and every host whose folder is there, are as they were bundled."""
    checked_source("the trunk", manifest.trunk, folder)
    for tag, host in manifest.hosts.items():
        # Those of the hub may be many and large: each is checked when it is opened.
        is_there = host.model.revision is None and Path(source_of(host.model, folder)).is_dir()
        # The anchor is the trunk itself: big files are not read twice.
        if is_there and host.model != manifest.trunk:
            checked_source(f"the host {tag}", host.model, folder)


def checked_source(name: str, model: Opened, folder: Path) -> str:
    """The source of a model of a bundle; raises BundleDamaged unless it is that model."""
    source = source_of(model, folder)
    is_on_hub = model.revision is not None and source == model.source
    if model.files is None or is_on_hub:
        return source  # a commit of the hub does not change
    if not Path(source).is_dir():
        raise BundleDamaged(
            f"{name} of {folder} is not at {source}; put the folder of that model there, or build "
            "the bundle where it is"
        )
    if difference := first_difference(Path(source), model.files):
        raise BundleDamaged(
            f"{name} is not the model that was bundled: {difference} ({SYMPTOM}); fetch or build "
            "that model again"
        )
    return source


def source_of(model: Opened, folder: Path) -> str:
    """The source of a model as seen from here: folders are relative to the bundle's."""
    if model.revision is not None:
        here = model.folder and (folder / model.folder).resolve()
        return str(here) if here and here.is_dir() else model.source
    return model.source if model.files is None else str((folder / model.source).resolve())


def _read_content(path: Path) -> dict[str, Any]:
    """The content of a manifest, if it is what was written."""
    try:
        content = json.loads(path.read_bytes())
        form, stated = content["format"], content.get(DIGEST_KEY)
    except (FileNotFoundError, NotADirectoryError):
        raise NotABundle(f"{path.parent} is not a bundle (no {path.name})") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BundleDamaged(f"{path} cannot be read ({error!r}); {AGAIN}") from error
    if form != FORMAT:
        raise BundleDamaged(
            f"{path} has format {form}; this version reads {FORMAT}: build the bundle again"
        )
    if stated != manifest_sha256(content):
        raise BundleDamaged(f"{path} is not as it was written ({SYMPTOM}); {AGAIN}")
    return dict(content)


def _check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    for path in sorted(hashes.keys() | set(_files(folder))):
        if path not in hashes:
            raise BundleDamaged(f"{folder / path} is a file that was not bundled; remove it")
        if not (folder / path).is_file():
            raise BundleDamaged(f"{folder / path} is missing; {AGAIN}")
        if sha256_of(folder / path) != hashes[path]:
            raise BundleDamaged(
                f"{folder / path} is not the file that was bundled ({SYMPTOM}); {AGAIN}"
            )


def _host(entry: dict[str, Any]) -> BundledHost:
    read = entry["read"]
    (kind,) = (one for one in get_args(Reading) if one.__name__ == read[TYPE_KEY])
    made = {"model": Opened(**entry["model"]), "read": from_jsonable(kind, read)}
    return BundledHost(**{**entry, **made})


def _files(folder: Path) -> list[str]:
    # What a stage keeps beside these folders is no part of the bundle, and what starts with a dot
    # is the file system's own.
    found = (path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found if path.name[0] != ".")
