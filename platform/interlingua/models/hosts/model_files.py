"""What of a model's files is here, and what is still to come, before anything is opened.

Small files (configuration, tokenizer) are fetched where the hub answers; weights never.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants

from interlingua.memory.parameters import (
    BYTES,
    is_known_family,
    num_parameters,
    readable_bytes,
)
from interlingua.models.hosts.fetched import cached_path, is_pickled, model_files
from interlingua.models.hosts.hub import (
    HubRepository,
    NotFetched,
    fetched_file,
    hub_errors,
    listed_sizes,
)
from interlingua.models.hosts.reach import has_token
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL
from interlingua.specs.finding import Finding, State
from interlingua.specs.hosts import PoolHost, Quirk
from interlingua.store.model_files import CONFIG_NAME

BRANCH = "main"  # a revision of none is its commit when the recipe is first pinned
ASK_SECONDS = 10.0
SENTENCEPIECE = "sentencepiece"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The folder with the small files of a model, its weights by name and bytes, what is to come.

    `commit` None: of no hub.
    """

    folder: Path
    commit: str | None
    weights: Mapping[str, int]
    missing: Mapping[str, int]

    @property
    def num_bytes(self) -> int:
        """The bytes of all weights."""
        return sum(self.weights.values())

    @property
    def num_missing(self) -> int:
        """The bytes that a run would fetch."""
        return sum(self.missing.values())


def local_files(folder: Path, commit: str | None = None) -> ModelFiles:
    """The files of a folder; raises where it lacks a configuration or weights."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    here = HubRepository(name=str(folder), revision="this place", kind="model")
    try:
        _, weights = model_files(here, sizes, lambda name: _read(folder / name))
    except NotFetched as error:
        raise ValueError(str(error)) from None
    if gone := [name for name in weights if name not in sizes]:
        raise ValueError(f"{folder} has no {gone[0]}; fetch or save the model again")
    kept = {name: sizes[name] for name in weights}
    return ModelFiles(folder=folder, commit=commit, weights=kept, missing={})


def hub_files(source: str, revision: str | None, *, is_reached: bool) -> ModelFiles:
    """The files of a hub id; raises NotFetched where they cannot be known."""
    commit = revision or _commit(source, is_reached=is_reached)
    repository = HubRepository(name=source, revision=commit, kind="model")

    def small(name: str) -> Path:
        if (found := cached_path(repository, name)) is not None:
            return found
        if not is_reached:
            raise NotFetched(f"{name} of {repository} is not in the cache")
        return fetched_file(repository, name)

    folder = small(CONFIG_NAME).parent  # first: a gated model shows its names to everybody
    sizes = listed_sizes(repository, asks_hub=is_reached)
    beside, weights = model_files(repository, sizes, lambda name: _read(small(name)))
    for name in beside:
        small(name)
    missing = [name for name in weights if cached_path(repository, name) is None]
    return ModelFiles(
        folder=folder,
        commit=commit,
        weights={name: sizes[name] for name in weights},
        missing={name: sizes[name] for name in missing},
    )


def published_bytes(published: PoolHost | None) -> int | None:
    """The bytes of the weights of a published host; None where nobody published its size."""
    if published is None:
        return None
    count = published.num_parameters
    if count is None and is_known_family(published.model_type):
        count = num_parameters(published)
    return None if count is None else count * BYTES[published.dtype]


def not_here(subject: str, source: str) -> Iterator[Finding]:
    """What a run would need of a hub id of which nothing can be known from here."""
    published = published_host(source)
    num_bytes = published_bytes(published)
    what = f"{source} is not here"
    if published is not None:
        size = "weights of unknown size" if num_bytes is None else readable_bytes(num_bytes)
        if Quirk.PICKLED_WEIGHTS in published.quirks:
            size += " pickled"
        what += f"; as published {size} in {published.dtype}, {published.num_blocks} blocks"
    yield Finding(subject, what, State.MISSING, f"hf download {source}")
    if published is not None and Quirk.GATED_DOWNLOAD in published.quirks:
        yield licence(subject, source)
    if published is not None and Quirk.NO_FAST_TOKENIZER in published.quirks:
        has_package = find_spec(SENTENCEPIECE) is not None
        state = State.OK if has_package else State.MISSING
        what = f"its tokenizer is read by {SENTENCEPIECE}"
        yield Finding(subject, what, state, "" if has_package else f"pip install {SENTENCEPIECE}")


def licence(subject: str, source: str, *, is_refused: bool = False) -> Finding:
    """The line of a model that is gated; `is_refused`: the hub was asked, and does not give it."""
    page = f"{constants.ENDPOINT}/{source}"
    if has_token() and not is_refused:
        what = "gated; a token is set, and the hub knows whether its account accepted the licence"
        return Finding(subject, what, State.UNKNOWN, f"accept it at {page}")
    what = f"{source} is gated: its licence must be accepted by the account of a token"
    return Finding(subject, what, State.MISSING, f"accept it at {page}, set HF_TOKEN")


def weights_line(subject: str, files: ModelFiles, *, is_reached: bool) -> Finding:
    """The line of the weights: of what kind, how large, and how much of it is still to come."""
    is_old = any(is_pickled(name) for name in files.weights)
    kind = "pickled, converted to safetensors once" if is_old else "safetensors"
    what = f"weights: {readable_bytes(files.num_bytes)}, {kind}, "
    if not files.missing:
        return Finding(subject, what + "here", State.OK)
    what += f"{readable_bytes(files.num_missing)} to come"
    if is_reached:
        return Finding(subject, what, State.OK)
    return Finding(subject, what, State.MISSING, "connect: a run fetches what is missing")


def published_host(source: str) -> PoolHost | None:
    """The published host of a hub id."""
    return next((one for one in (*UNIVERSAL_POOL, *SINGLE_HOSTS) if one.hub_id == source), None)


def _commit(source: str, *, is_reached: bool) -> str:
    """The commit of the default branch, of the hub, or as the cache has it."""
    repository = HubRepository(name=source, revision=BRANCH, kind="model")
    if is_reached:
        with hub_errors(repository):
            found = HfApi().model_info(source, revision=BRANCH, timeout=ASK_SECONDS).sha
        assert found is not None
        return found
    cached = cached_path(repository, CONFIG_NAME)
    if cached is None:
        raise NotFetched(f"{repository} is not in the cache")
    return cached.parent.name


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
