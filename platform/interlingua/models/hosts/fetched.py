"""The files of a model of the hub in a folder of one's own, which needs neither hub nor cache.

What the cache has is linked, where a link is possible. Weights that it lacks are downloaded beside,
go on at their last byte when they were cut off, are compared with the hash that the hub knows them
by, and are linked into the cache: of nothing there are two copies unless it lies on another file
system. Knows no stage.
"""

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import FileMetadataError
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers

from interlingua.models.hosts.hub import (
    HubRepository,
    NoBar,
    NotFetched,
    fetched_file,
    hub_errors,
    listed_sizes,
    some_of,
    tried,
)
from interlingua.store.atomic import StorageFull, naming_full_storage
from interlingua.store.integrity import sha256_of
from interlingua.store.model_files import CONFIG_NAME

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
INDICES = (INDEX, PICKLED_INDEX)
# Configuration and tokenizer, of whatever age.
BESIDE_WEIGHTS = (".json", ".model", ".spm", ".txt", ".jinja", ".tiktoken", ".codes")
STREAMS = 4  # files that come at the same time
EVERY_SECONDS = 1.0  # between two reports
PART_SUFFIX = ".part"
SHA256, GIT_SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")

Report = Callable[[int, int], None]  # bytes that are there, and all


def fetch_model(repository: HubRepository, folder: Path, report: Report) -> list[str]:
    """Fill the folder with all that transformers reads of a model, and name its files of weights.

    What is there already stays.
    """
    sizes = listed_sizes(repository)
    small, weights = model_files(repository, sizes, partial(_index, repository))
    for name in small:  # the library's own way: they are in the cache, too
        _place(folder, name, fetched_file(repository, name))
    _check_space(repository, folder, {name: sizes[name] for name in weights})
    _fetch_all(repository, folder, {name: sizes[name] for name in weights}, report)
    return weights


def model_files(
    repository: HubRepository, names: Iterable[str], index: Callable[[str], Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """The small files of a model among these names, and those with its weights.

    `index` gives the content of a file that lists the weights.
    """
    own = sorted(name for name in names if "/" not in name)
    if CONFIG_NAME not in own:
        raise NotFetched(f"{repository} has no {CONFIG_NAME}; there are: {some_of(own)}")
    small = [one for one in own if one.endswith(BESIDE_WEIGHTS) and one not in INDICES]
    for whole, listing in ((WEIGHTS, INDEX), (PICKLED, PICKLED_INDEX)):
        if listing in own:
            weights = sorted(set(index(listing)["weight_map"].values()))
            if foreign := set(weights).difference(own):  # also a path out of the folder
                raise NotFetched(
                    f"{listing} of {repository} names {some_of(sorted(foreign))}, which is not "
                    "there; name another commit, or another model"
                )
            return [*small, listing], weights
        if whole in own:
            return small, [whole]
    raise NotFetched(
        f"{repository} has neither {WEIGHTS} nor {PICKLED} at {repository.revision[:12]}, but "
        f"{some_of(own)}; name a model with such weights, or convert it (transformers' "
        "save_pretrained writes them)"
    )


def cached_path(repository: HubRepository, name: str) -> Path | None:
    """A file in the cache; None where it is not there."""
    found = try_to_load_from_cache(
        repository.name, name, repo_type=repository.kind, revision=repository.revision
    )
    return Path(found) if isinstance(found, str) else None


def is_pickled(name: str) -> bool:
    """Whether weights are of the kind that torch.load reads."""
    return name.endswith(".bin")


def converted_name(name: str) -> str:
    """The name of the safetensors file that pickled weights become."""
    return name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors"


def _index(repository: HubRepository, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(fetched_file(repository, name).read_bytes())
    return found


def _is_there(folder: Path, name: str) -> bool:
    """Whether a file has come, or what became of it."""
    is_converted = is_pickled(name) and (folder / converted_name(name)).exists()
    return is_converted or (folder / name).exists()


def _check_space(repository: HubRepository, folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise where what is still to come is more than the disk has room for."""
    needed = sum(
        size - _num_bytes(folder, name)
        for name, size in sizes.items()
        if not _is_there(folder, name) and cached_path(repository, name) is None
    )
    if needed > (free := shutil.disk_usage(folder).free):
        raise StorageFull(
            f"{repository} takes {needed / 2**30:.1f} GiB more, and {folder} has "
            f"{free / 2**30:.1f} GiB free: make room, or take another --root"
        )


def _fetch_all(
    repository: HubRepository, folder: Path, sizes: Mapping[str, int], report: Report
) -> None:
    stop, total = threading.Event(), sum(sizes.values())
    with ThreadPoolExecutor(STREAMS) as pool:
        waiting = {
            pool.submit(_fetch, repository, folder, name, size, stop)
            for name, size in sizes.items()
        }
        try:
            report(_all_bytes(folder, sizes), total)
            while waiting:
                done, waiting = wait(waiting, EVERY_SECONDS, return_when=FIRST_EXCEPTION)
                for one in done:
                    one.result()
                report(_all_bytes(folder, sizes), total)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _all_bytes(folder: Path, sizes: Mapping[str, int]) -> int:
    return sum(_num_bytes(folder, name, size) for name, size in sizes.items())


def _num_bytes(folder: Path, name: str, size: int = 0) -> int:
    """The bytes of a file that are there; of one that is there, all."""
    if _is_there(folder, name):
        return size
    with suppress(FileNotFoundError):
        return _part(folder, name).stat().st_size
    return 0


def _part(folder: Path, name: str) -> Path:
    return folder / (name + PART_SUFFIX)


def _fetch(
    repository: HubRepository, folder: Path, name: str, size: int, stop: threading.Event
) -> None:
    """One file of weights, linked or downloaded, and its content checked."""
    if stop.is_set() or _is_there(folder, name):
        return
    if (cached := cached_path(repository, name)) is not None:
        _place(folder, name, cached)
        return
    part = _part(folder, name)
    with hub_errors(repository, name), naming_full_storage(part):
        digest = tried(partial(_download, repository, name, part, size, stop))
        if not _has_digest(part, digest):
            part.unlink()
            raise NotFetched(
                f"{name} of {repository} came with another content than that of its hash; run the "
                "same command again: it is downloaded anew"
            )
        if not is_pickled(name):  # those are converted and go
            _share(repository, name, part, digest)
        part.rename(folder / name)


def _place(folder: Path, name: str, cached: Path) -> None:
    """A file of the cache in the folder: linked, or copied where that is not possible."""
    if (folder / name).exists():
        return
    part, content = _part(folder, name), cached.resolve()
    part.unlink(missing_ok=True)
    with naming_full_storage(part):
        try:
            os.link(content, part)
        except OSError:  # another file system, or a file that is somebody else's
            _copy(content, part)
    # A snapshot points to a blob that is called by its hash: one step, for it may be a link, too.
    if cached.is_symlink() and not _has_digest(part, Path(os.readlink(cached)).name):
        part.unlink()
        raise NotFetched(
            f"{content} ({name}) has not the content of its hash; delete it and run the same "
            "command again"
        )
    part.rename(folder / name)


def _share(repository: HubRepository, name: str, content: Path, digest: str) -> None:
    """Link a file into the cache, for other roots and programs, unless that took a copy."""
    model = Path(constants.HF_HUB_CACHE) / repo_folder_name(
        repo_id=repository.name, repo_type=repository.kind
    )
    blob, snapshot = model / "blobs" / digest, model / "snapshots" / repository.revision / name
    with suppress(OSError):  # another file system, or a cache that is somebody else's
        blob.parent.mkdir(parents=True, exist_ok=True)
        if not blob.exists():
            os.link(content, blob)
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        snapshot.symlink_to(Path("..", "..", "blobs", digest))


def _copy(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, its blocks are shared."""
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left and (num := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= num
        except OSError:  # no such call between these two
            writer.truncate(0)
            reader.seek(0)
            writer.seek(0)
            shutil.copyfileobj(reader, writer)


def _download(
    repository: HubRepository, name: str, part: Path, size: int, stop: threading.Event
) -> str:
    """Download what is missing of a file; returns the hash that the hub knows it by."""
    url = hf_hub_url(repository.name, name, repo_type=repository.kind, revision=repository.revision)
    found = get_hf_file_metadata(url)
    if found.commit_hash is None or found.etag is None:
        raise FileMetadataError(f"{url} has no commit, or no hash")
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    with _Part(FileIO(str(part), "ab"), stop) as file:
        # The address of the hub and not of the store behind it: that one runs out after an hour,
        # and on the way there the client drops the token.
        http_get(
            url,
            file,
            resume_size=file.tell(),
            headers=build_hf_headers(),
            expected_size=size,
            displayed_filename=name,
            tqdm_class=NoBar,
        )
    return found.etag


class _Part(BufferedWriter):
    """A file that is written until somebody says stop."""

    def __init__(self, raw: FileIO, stop: threading.Event) -> None:
        super().__init__(raw)
        self._stop = stop

    def write(self, chunk: Any, /) -> int:
        """Write a chunk; raises where another file could not be had."""
        if self._stop.is_set():
            raise InterruptedError("another file could not be had")
        return super().write(chunk)


def _has_digest(path: Path, digest: str) -> bool:
    """Whether a file has this content: of large files the SHA-256, of small ones git's hash."""
    if SHA256.fullmatch(digest):
        return sha256_of(path) == digest
    if GIT_SHA1.fullmatch(digest):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest() == digest
    return True  # a hub of one's own may know it by another name
