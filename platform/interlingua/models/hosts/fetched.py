"""The files of a model of the hub in a folder of one's own, which needs neither hub nor cache.

What the cache has is linked, where a link is possible; the rest is downloaded beside, goes on at
its last byte when it was cut off, and is compared with the hash that the hub knows it by. Knows no
stage.
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

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import FileMetadataError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from interlingua.models.hosts.hub import (
    HubRepository,
    NoBar,
    NotFetched,
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
    small, weights = model_files(repository, sizes, partial(_index, repository, folder))
    missing = [name for name in (*small, *weights) if not _is_there(folder, name)]
    _check_space(repository, folder, {name: sizes[name] for name in missing})
    _fetch_all(repository, folder, {name: sizes[name] for name in (*small, *weights)}, report)
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
            return [*small, listing], sorted(set(index(listing)["weight_map"].values()))
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


def _index(repository: HubRepository, folder: Path, name: str) -> Mapping[str, Any]:
    _fetch(repository, folder, name, None, threading.Event())
    found: Mapping[str, Any] = json.loads((folder / name).read_bytes())
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
        if cached_path(repository, name) is None
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
            while waiting:
                done, waiting = wait(waiting, EVERY_SECONDS, return_when=FIRST_EXCEPTION)
                for one in done:
                    one.result()
                report(sum(_num_bytes(folder, name, size) for name, size in sizes.items()), total)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


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
    repository: HubRepository, folder: Path, name: str, size: int | None, stop: threading.Event
) -> None:
    """One file, linked or downloaded, and its content checked."""
    if stop.is_set() or _is_there(folder, name):
        return
    part = _part(folder, name)
    cached = cached_path(repository, name)
    with hub_errors(repository, name), naming_full_storage(part):
        if cached is None:
            digest = tried(partial(_download, repository, name, part, size, stop))
            remedy = "run the same command again: it is downloaded anew"
        else:
            digest = _link(cached, part)
            remedy = f"delete {cached.resolve()} and run the same command again"
        if digest and not _has_digest(part, digest):
            part.unlink()
            raise NotFetched(f"{name} of {repository} has not the content of its hash; {remedy}")
        part.rename(folder / name)


def _link(cached: Path, part: Path) -> str:
    """Link a file of the cache, or copy it; returns the hash that the cache names it by, if any."""
    part.unlink(missing_ok=True)
    content = cached.resolve()
    try:
        os.link(content, part)
    except OSError:  # another file system, or a file that is somebody else's
        _copy(content, part)
    # The name of the blob that the snapshot points to: one step, for it may be a link, too.
    return Path(os.readlink(cached)).name if cached.is_symlink() else ""


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
    repository: HubRepository, name: str, part: Path, size: int | None, stop: threading.Event
) -> str:
    """Download what is missing of a file; returns the hash that the hub knows it by."""
    url = hf_hub_url(repository.name, name, repo_type=repository.kind, revision=repository.revision)
    found = get_hf_file_metadata(url)
    if found.commit_hash is None or found.etag is None:
        raise FileMetadataError(f"{url} has no commit, or no hash")
    size = found.size if size is None else size
    if part.exists() and size is not None and part.stat().st_size > size:
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
