"""The corpus of texts in local files. Knows no hub."""

from collections.abc import Iterable, Iterator
from functools import partial
from glob import has_magic
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from interlingua.sources.documents import NamedRow, records_of
from interlingua.sources.files import (
    PLAIN,
    TEXTS,
    check_unchanged,
    files_of,
    kind_of,
    rows_of,
    sha256_of_files,
)
from interlingua.sources.source import Record, Truth
from interlingua.specs.corpora import HubText, TextFiles

FIELD = "TextFiles.path"


class LocalTexts:
    """The texts of `spec.path`, file by file in the order of names."""

    truth: Truth | None = None

    def __init__(self, spec: TextFiles) -> None:
        self._spec = spec
        self._files = files_of(spec.path, TEXTS, field=FIELD)
        check_kinds(spec, self._files)
        self._base = _base(spec.path)
        self._num_read: dict[Path, int] = {}

    def records(self) -> Iterator[Record]:
        """All texts; raises where a file is not as the recipe was pinned to."""
        check_unchanged(self._files, self._spec.sha256, field=FIELD)
        self._num_read.clear()
        yield from records_of(partial(self._rows, self._num_read), self._spec, again=self._rows)

    def shards(self) -> list[dict[str, Any]]:
        """The files that were read, each with its hash and how many rows were read of it."""
        return [shard(str(path), path, num_rows) for path, num_rows in self._num_read.items()]

    def _rows(self, num_read: dict[Path, int] | None = None) -> Iterator[NamedRow]:
        yield from numbered(
            self._files, self._spec, {} if num_read is None else num_read, self._base
        )


def opened(spec: TextFiles) -> LocalTexts:
    """The corpus of a spec; its files are there, and not read yet."""
    return LocalTexts(spec)


def numbered(
    files: Iterable[Path],
    spec: TextFiles | HubText,
    num_read: dict[Path, int],
    base: Path | None = None,
) -> Iterator[NamedRow]:
    """The rows of all files with their numbers; plain texts below `base` with their file's name.

    Counts in `num_read` as it goes.
    """
    named = {spec.id_field: "id_field", spec.document_field: "document_field"}
    fields = {spec.text_field: "text_field"}
    fields |= {name: setting for name, setting in named.items() if name is not None}
    numbers = count()
    for path in files:
        num_read[path] = 0
        name = None
        if base is not None and kind_of(path) in PLAIN:
            name = path.relative_to(base).as_posix()
        for row in rows_of(path, fields):
            num_read[path] += 1
            number = next(numbers)
            yield NamedRow(row, str(number) if name is None else name)


def check_kinds(spec: TextFiles | HubText, files: Iterable[Path]) -> None:
    """Raise where plain texts, which have no fields, stand beside rows or are asked for fields."""
    plain = [path for path in files if kind_of(path) in PLAIN]
    if not plain:
        return
    if rows := [path for path in files if kind_of(path) not in PLAIN]:
        raise ValueError(
            f"{rows[0]} has rows and {plain[0]} is a plain text; name one kind by a pattern, such "
            f"as *{rows[0].suffix}"
        )
    for setting, field in (("id_field", spec.id_field), ("document_field", spec.document_field)):
        if field is not None:
            raise ValueError(
                f"{type(spec).__name__}.{setting} is {field!r}, and {plain[0]} is a plain text "
                "without fields; set it to none"
            )


def shard(name: str, path: Path, num_rows: int) -> dict[str, Any]:
    """A file as a record has it."""
    return {"file": name, "sha256": sha256_of_files([path]), "rows": num_rows}


def _base(path: str) -> Path:
    """The folder from which files of a path are named: itself, or that before its first *."""
    given = Path(path).expanduser()
    if given.exists():
        return given if given.is_dir() else given.parent
    return Path(*takewhile(lambda part: not has_magic(part), given.parts))
