"""The corpus of texts in a dataset of the hub, fetched file by file. Knows no local path."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from interlingua.models.hosts.hub import HubRepository, fetched_file, listed_files, some_of
from interlingua.sources.documents import NamedRow, records_of
from interlingua.sources.files import TEXTS, kind_of
from interlingua.sources.source import Record, Truth
from interlingua.sources.text_files import check_kinds, numbered, shard
from interlingua.specs.corpora import HubText


class FetchedTexts:
    """The texts of the files that match `spec.files`; a file is fetched when its turn comes."""

    truth: Truth | None = None

    def __init__(self, spec: HubText) -> None:
        if spec.revision is None:
            raise ValueError(f"HubText.revision of {spec.dataset} is none; pin the recipe first")
        self._spec = spec
        self._repository = HubRepository(name=spec.dataset, revision=spec.revision, kind="dataset")
        self._names: dict[Path, str] = {}  # of files that were fetched
        self._num_read: dict[Path, int] = {}

    def records(self) -> Iterator[Record]:
        """All texts, no file further than asked for."""
        self._num_read.clear()
        files = self._matching()
        yield from records_of(
            partial(self._rows, files, self._num_read),
            self._spec,
            again=partial(self._rows, files, {}),
            prefix=self._spec.name or self._spec.dataset,
        )

    def shards(self) -> list[dict[str, Any]]:
        """The files that were read, each with its hash and how many rows were read of it."""
        return [
            shard(self._names[path], path, num_rows) for path, num_rows in self._num_read.items()
        ]

    def _rows(self, names: list[str], num_read: dict[Path, int]) -> Iterator[NamedRow]:
        yield from numbered(self._fetched(names), self._spec, num_read)

    def _fetched(self, names: list[str]) -> Iterator[Path]:
        for name in names:
            path = fetched_file(self._repository, name)
            self._names[path] = name
            yield path

    def _matching(self) -> list[str]:
        pattern, names = self._spec.files, listed_files(self._repository)
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            texts = [name for name in names if kind_of(Path(name)) in TEXTS]
            raise ValueError(
                f"HubText.files is {pattern!r}, and no file of {self._repository} is called so; "
                f"there are: {some_of(texts or names)}"
            )
        for name in found:
            if kind_of(Path(name)) not in TEXTS:
                raise ValueError(
                    f"HubText.files is {pattern!r}, which names {name} of {self._repository}; name "
                    f"files that end with {', '.join(TEXTS)} (or .gz behind it)"
                )
        check_kinds(self._spec, [Path(name) for name in found])
        return found


def opened(spec: HubText) -> FetchedTexts:
    """The corpus of a spec; the hub is asked when it is read."""
    return FetchedTexts(spec)
