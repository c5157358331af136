"""Reads files, and reports a damaged one by its name and what to do. Knows no content.

Every library has an error of its own for half a file, and few of them name the file.
"""

import errno
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError

from interlingua.store.integrity import CorruptFile

REMEDY = "delete it (if it is published: its artifact's folder) and run its stage again"
# Of JSON, parquet, safetensors, and of torch's archives (a RuntimeError).
UNREADABLE = (
    OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, pickle.UnpicklingError,
    pa.ArrowException, SafetensorError,
)  # fmt: skip


@contextmanager
def naming(path: Path, kind: type[Exception] = CorruptFile) -> Iterator[None]:
    """Raise the kind of error with the file's name where the block cannot read it."""
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, OSError) and not _is_of_content(error):
            raise  # the operating system's: a missing file, a failing disk
        words = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{path} cannot be read ({words}); {REMEDY}") from error


def _is_of_content(error: OSError) -> bool:
    """True where a library means the content it read, or an offset that it took from there."""
    # Arrow raises an OSError without a number for a bad file; a seek to a wrong place is EINVAL.
    return error.errno in (None, errno.EINVAL) and not isinstance(error, FileNotFoundError)


def read_parquet(path: Path, **options: Any) -> pa.Table:
    """The table in a parquet file."""
    with naming(path):
        # The plain reader where it gives the same: the other one imports pandas.
        if options.keys() <= {"schema", "columns"}:
            with pq.ParquetFile(path) as file:
                if file.schema_arrow.equals(options.get("schema", file.schema_arrow)):
                    return file.read(columns=options.get("columns"))
        return pq.read_table(path, **options)
