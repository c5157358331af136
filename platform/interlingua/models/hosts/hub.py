"""Files of the hub in its cache, and its errors in one line with a remedy. Knows no content."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from huggingface_hub import constants, get_cached_repo_tree, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    DisabledRepoError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from interlingua.store.atomic import StorageFull, naming_full_storage

# After what was cut off the library itself goes on where it was; these are whole new attempts.
WAITS_S = (1.0, 4.0)
# What a broken connection raises; the last are those of the faster protocol, which has no type.
BROKEN = (HTTPError, ConnectionError, TimeoutError, RuntimeError)
LISTLESS = "without the list of all"  # as an earlier version of the library left them
SOME_NAMES = 5  # of the files that are there, in an error
Fetched = TypeVar("Fetched")


class NotFetched(ValueError):
    """A file of the hub is not to be had; the line says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRepository:
    """A model or dataset of the hub at a revision."""

    name: str
    revision: str
    kind: Literal["model", "dataset"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def url(self) -> str:
        """Its page, where people accept a licence."""
        return f"{constants.ENDPOINT}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"


def listed_files(repository: HubRepository) -> list[str]:
    """The names of all files, sorted; without a connection as they were listed before."""
    return sorted(listed_sizes(repository))


def listed_sizes(repository: HubRepository, *, asks_hub: bool = True) -> dict[str, int]:
    """The bytes of every file by its name; without a connection as they were listed before."""
    name, kind, revision = repository.name, repository.kind, repository.revision
    # Only a snapshot, be it of one small file, leaves the list of all in the cache.
    snapshot = partial(
        snapshot_download,
        name,
        repo_type=kind,
        revision=revision,
        allow_patterns=[".gitattributes"],
        tqdm_class=NoBar,
    )
    with hub_errors(repository):
        if asks_hub:
            tried(snapshot)
        files = get_cached_repo_tree(name, repo_type=kind, revision=revision)
        return {file.path: file.size for file in files}


def fetched_file(repository: HubRepository, name: str) -> Path:
    """One file, in the cache; a download that was cut off is tried again."""
    download = partial(
        hf_hub_download,
        repository.name,
        name,
        repo_type=repository.kind,
        revision=repository.revision,
    )
    with hub_errors(repository, name):
        return Path(tried(download))


def some_of(names: Sequence[str]) -> str:
    """The first few names, and how many more there are; for an error."""
    some = ", ".join(names[:SOME_NAMES]) or "none"
    more = len(names) - SOME_NAMES
    return f"{some} and {more} more" if more > 0 else some


@contextmanager
def hub_errors(repository: HubRepository, file: str | None = None) -> Iterator[None]:
    """Turns what the hub's library raises into one line with a remedy."""
    what = str(repository) if file is None else f"{file} of {repository}"
    try:
        with naming_full_storage(Path(constants.HF_HUB_CACHE)):
            yield
    except StorageFull:
        raise
    except LocalEntryNotFoundError as error:
        # Not in the cache either: its cause says why the hub was of no help.
        line = _line(repository, what, error.__cause__ or error) or _no_answer(what, error)
        raise NotFetched(line) from error
    except (*BROKEN, OSError, HFValidationError, CachedRepoTreeNotFoundError) as error:
        line = _line(repository, what, error) or _broken(what, error)
        raise NotFetched(line) from error


def _line(repository: HubRepository, what: str, error: BaseException) -> str | None:
    """Why the hub or its cache has nothing to give; None where no hub answered."""
    if isinstance(error, OfflineModeIsEnabled):
        return (
            f"HF_HUB_OFFLINE is set and {what} at {repository.revision[:12]} is not in the cache "
            f"({constants.HF_HUB_CACHE}); unset it, or fetch it where there is a connection"
        )
    if isinstance(error, CachedRepoTreeNotFoundError):
        return (
            f"some files of {what} at {repository.revision[:12]} are in the cache "
            f"({constants.HF_HUB_CACHE}) {LISTLESS}, which the hub cannot be asked "
            "for now; run once where there is a connection, HF_HUB_OFFLINE unset"
        )
    return _answer(repository, what, error)


def _answer(repository: HubRepository, what: str, error: BaseException) -> str | None:
    """What the hub has against a request."""
    match error:
        case GatedRepoError():
            return (
                f"{what} is gated: accept its licence at {repository.url} and set HF_TOKEN to a "
                "token of the account that did"
            )
        case RepositoryNotFoundError():
            return (
                f"{constants.ENDPOINT} has no {repository}, or it is private: mind the spelling, "
                "and set HF_TOKEN where it is yours"
            )
        case RevisionNotFoundError():
            return (
                f"{repository} has no revision {repository.revision}; take a commit of "
                f"{repository.url}/commits/main"
            )
        case RemoteEntryNotFoundError():
            return f"there is no {what} at {repository.revision}; see {repository.url}/tree/main"
        case DisabledRepoError():
            return f"{what} is disabled by the hub; name another"
        case HFValidationError():
            return f"{repository} is no name on the hub: write owner/name ({_short(error)})"
        case HfHubHTTPError():
            return _status_line(what, error)
        case FileMetadataError():
            return f"{constants.ENDPOINT} does not answer as a hub does; mind HF_ENDPOINT"
    return None


def _status_line(what: str, error: HfHubHTTPError) -> str:
    match error.response.status_code:
        case 401:
            remedy = "the hub refuses HF_TOKEN; make another, or unset it"
        case 403:
            remedy = "HF_TOKEN gives no right to it; take a token that may read it"
        case 429:
            remedy = "too many requests; wait, or set HF_TOKEN, which raises the limit"
        case _:
            remedy = "run the same command again later: what has come stays"
    return f"{constants.ENDPOINT} answers {error.response.status_code} for {what}: {remedy}"


def tried(fetch: Callable[[], Fetched]) -> Fetched:
    """What it returns, at the last of several attempts if connections break."""
    for wait_s in WAITS_S:
        try:
            return fetch()
        except (*BROKEN, OSError) as error:
            if not _is_cut_off(error):
                raise
            time.sleep(wait_s)
    return fetch()


def _no_answer(what: str, error: BaseException) -> str:
    return (
        f"{what} is not in the cache, and {constants.ENDPOINT} cannot be reached "
        f"({_short(error.__cause__ or error)}); mind the connection (proxy, HF_ENDPOINT) and run "
        "the same command again"
    )


def _broken(what: str, error: BaseException) -> str:
    if _is_cut_off(error):
        return (
            f"the download of {what} was cut off, and again at every new attempt "
            f"({_short(error)}); run the same command again: what has come stays"
        )
    return f"{what} cannot be stored (the cache is {constants.HF_HUB_CACHE}): {_short(error)}"


def _is_cut_off(error: BaseException) -> bool:
    """True for a connection that broke, or a file that came out too short."""
    if isinstance(error, HfHubHTTPError | LocalEntryNotFoundError | OfflineModeIsEnabled):
        return False
    return isinstance(error, BROKEN) or "Consistency check failed" in str(error)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class NoBar(tqdm):
    """Progress that the hub's library would show: none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "disable": True})
