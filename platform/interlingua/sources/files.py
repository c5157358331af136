"""Files of rows that people bring: which they are, what they hash to, and their rows, streamed.

JSON lines, parquet and plain text (a file is a row), the first and the last also as .gz. What is
wrong is said in one line that names file, row and field. Knows no meaning of a field.
"""

import gzip
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from glob import glob, has_magic
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from interlingua.store.integrity import sha256_of

JSON_LINES, PARQUET, PLAIN = (".jsonl", ".ndjson"), (".parquet",), (".txt", ".md")
TABLES = (*JSON_LINES, *PARQUET)
TEXTS = (*TABLES, *PLAIN)
BATCH_ROWS = 1024
MOMENT_NS = 2 * 10**9  # coarser than the clock of any file system in use

State = tuple[tuple[Path, int, int, int], ...]


class Row(NamedTuple):
    """The fields of a row that were asked for, and where it stands."""

    where: str
    values: Mapping[str, Any]


def files_of(path: str, suffixes: Sequence[str], *, field: str) -> list[Path]:
    """The files of a path (a file, a folder, a pattern), by name; `field` is for the error."""
    files = _found(path, suffixes)
    if not files:
        what = "names no file" if path else "is not set"
        raise ValueError(f"{field}={path} {what}; give a file, a folder or a pattern with *")
    for one in files:
        if kind_of(one) not in suffixes:
            raise ValueError(f"{one} ends with none of {', '.join(suffixes)} (or .gz behind it)")
    return files


def are_gone(path: str, suffixes: Sequence[str]) -> bool:
    """Whether a path names no file (any more)."""
    return not _found(path, suffixes)


def kind_of(path: Path) -> str:
    """The suffix that says how a file is read: that before .gz, if it has one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def sha256_of_files(files: Sequence[Path]) -> str:
    """One hash of names and contents; of one file alone, of its content."""
    if len(files) == 1:
        return _sha256_of(files[0])
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(_sha256_of(path)))
    return digest.hexdigest()


def state_of(files: Iterable[Path]) -> State | None:
    """What files look like from outside, as long as that says whether they changed since.

    None of files that changed a moment ago: after another change they might look the same.
    """
    found = [(path, path.stat()) for path in files]
    newest = max((max(one.st_mtime_ns, one.st_ctime_ns) for _, one in found), default=0)
    if time.time_ns() - newest < MOMENT_NS:
        return None
    return tuple((path, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in found)


def _sha256_of(path: Path) -> str:
    state = state_of([path.absolute()])
    return sha256_of(path) if state is None else _sha256_as_of(state)


@lru_cache(maxsize=4096)
def _sha256_as_of(state: State) -> str:
    # Once a process: files are hashed where they are pinned, and opened soon after.
    ((path, *_),) = state
    return sha256_of(path)


def check_unchanged(files: Sequence[Path], sha256: str | None, *, field: str) -> None:
    """Raise where the files are not those that a recipe names."""
    if sha256 is None:
        raise ValueError(f"{field} has no sha256: pin the recipe, which takes it of the files")
    if (found := sha256_of_files(files)) != sha256:
        raise ValueError(
            f"{field}: {files[0]}{' and others' if len(files) > 1 else ''} hash to {found[:12]}, "
            f"the recipe names {sha256[:12]}: they have changed. Set its sha256 to none to take "
            "them as they are now"
        )


def rows_of(path: Path, fields: Mapping[str, str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of one file, each with these fields; raises where a row lacks one.

    A field stands with the setting that names it.
    """
    match kind_of(path):
        case kind if kind in JSON_LINES:
            yield from _json_rows(path, fields, optional)
        case kind if kind in PARQUET:
            yield from _parquet_rows(path, fields, optional)
        case _:
            with _readable(path), _opened(path) as file:
                yield Row(str(path), {name: file.read().decode() for name in fields})


def num_rows_of(path: Path) -> int:
    """The number of rows of a file."""
    if kind_of(path) in PARQUET:
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    if kind_of(path) in JSON_LINES:
        with _readable(path), _opened(path) as file:
            return sum(bool(line.strip()) for line in file)
    return 1


def _found(path: str, suffixes: Sequence[str]) -> list[Path]:
    given = Path(path).expanduser()
    if has_magic(path) and not given.exists():
        found = [Path(name) for name in glob(str(given), recursive=True)]
    elif given.is_dir():
        found = [one for one in given.rglob("*") if kind_of(one) in suffixes]
    else:
        found = [given]
    return sorted(one for one in found if one.is_file())


def _json_rows(path: Path, fields: Mapping[str, str], optional: Sequence[str]) -> Iterator[Row]:
    with _readable(path), _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{where} is no JSON: {error}") from error
            if not isinstance(value, dict):
                raise ValueError(f"{where} is {type(value).__name__}; a row must be an object")
            yield Row(where, _chosen(where, value, fields, optional))


def _parquet_rows(path: Path, fields: Mapping[str, str], optional: Sequence[str]) -> Iterator[Row]:
    import pyarrow.parquet as pq  # a dry run needs none of it

    with _readable(path):
        file = pq.ParquetFile(path)
    with file:
        names = file.schema_arrow.names
        _chosen(str(path), dict.fromkeys(names), fields, optional)
        columns = [name for name in (*fields, *optional) if name in names]
        number = 0
        with _readable(path):
            for batch in file.iter_batches(BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                for value in batch.to_pylist():
                    yield Row(f"{path}, row {number}", value)
                    number += 1


def _chosen(
    where: str, value: Mapping[str, Any], fields: Mapping[str, str], optional: Sequence[str]
) -> dict[str, Any]:
    missing = [name for name in fields if name not in value]
    if missing:
        raise ValueError(
            f"{where} has no field {missing[0]!r}; name in {fields[missing[0]]} one that it has: "
            f"{', '.join(map(str, value)) or 'none'}"
        )
    return {name: value[name] for name in (*fields, *optional) if name in value}


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


class _readable:
    """Turns what a damaged file raises into one line with its name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | EOFError | UnicodeDecodeError) or (
            type(error).__module__.startswith("pyarrow") and isinstance(error, Exception)
        ):
            reason = " ".join(str(error).split())  # pyarrow's has several lines
            raise ValueError(
                f"{self._path} cannot be read: {reason}; it is damaged, or not what its name says"
            ) from error
