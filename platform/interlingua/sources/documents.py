"""Rows of files as records: their texts, their names, their documents, and a slice of these.

Knows no file, and whence rows come.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from interlingua.sources.files import Row
from interlingua.sources.seen import SeenIds
from interlingua.sources.source import Message, Record
from interlingua.specs.corpora import HubText, TextFiles


class NamedRow(NamedTuple):
    """A row, and what it is called where no field names it."""

    row: Row
    name: str


Rows = Callable[[], Iterable[NamedRow]]


def records_of(
    rows: Rows, spec: TextFiles | HubText, *, again: Rows, prefix: str | None = None
) -> Iterator[Record]:
    """The records of documents `first` to `first + count`; what comes later is not read.

    `again` gives the same rows once more, for an error that names two. With a prefix, a document
    that no field names is called `prefix:number`.
    """
    check = _Names(spec, again)
    end = None if spec.count is None else spec.first + spec.count
    current, number = None, -1
    for row, name in rows():
        document_id = check.document(row)
        if document_id is None or document_id != current:
            current, number = document_id, number + 1
            if number == end:
                return
        row_id = name if spec.id_field is None else check.row(row)
        if number < spec.first:
            continue
        text, messages = text_of(row, spec.text_field)
        if document_id is None and prefix is not None:
            document_id = f"{prefix}:{number}"
        yield Record(
            row_id=row_id, text=text, where=row.where, document_id=document_id, messages=messages
        )
        # Here and not at the next row, which may be in a file that is not fetched yet.
        if spec.document_field is None and number + 1 == end:
            return
    if number < 0:
        raise ValueError(f"{type(spec).__name__}: the files hold no row; name others")
    if number < spec.first:
        raise ValueError(
            f"{type(spec).__name__}.first is {spec.first}, and the files hold {number + 1} "
            "documents, counted from 0; lower it"
        )


def text_of(row: Row, field: str) -> tuple[str, tuple[Message, ...]]:
    """The text of a row, or, where the field is a list, no text and its messages."""
    value = row.values[field]
    where = f"{row.where}: field {field!r}"
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{where} is empty; leave it out")
        return _whole(value, where), ()
    if not isinstance(value, list):
        raise ValueError(
            f"{where} is {_kind(value)}; a text is a string or a list of messages: name another "
            "field with text_field, or leave the row out"
        )
    messages = tuple(_message(one, f"{where}[{index}]") for index, one in enumerate(value))
    if not any(message.content.strip() for message in messages):
        raise ValueError(f"{where} has no message with content; leave it out")
    return "", messages


class _Names:
    """Reads the names of rows and documents, and refuses what is not one name a row or document.

    Holds 64 bits of each, however long names are; a row that seems to repeat one is compared with
    the rows themselves.
    """

    def __init__(self, spec: TextFiles | HubText, again: Rows) -> None:
        self._spec, self._again = spec, again
        self._rows, self._documents = SeenIds(), SeenIds()
        self._current: str | None = None

    def row(self, row: Row) -> str:
        field = self._spec.id_field
        assert field is not None
        name = _name(row, field, "id_field")
        if not self._rows.is_new(_hash(name)) and (first := self._first(row, field, name)):
            raise ValueError(
                f"{row.where}: field {field!r} is {name!r}, as in {first}; each row needs a name "
                "of its own: change one, or number the rows with id_field=none"
            )
        return name

    def document(self, row: Row) -> str | None:
        field = self._spec.document_field
        if field is None:
            return None
        name = _name(row, field, "document_field")
        if name == self._current:
            return name
        if not self._documents.is_new(_hash(name)) and (first := self._first(row, field, name)):
            raise ValueError(
                f"{row.where}: document {name!r} began in {first}, and rows of others stand "
                f"between; sort the rows by {field!r}, so that those of a document stand together"
            )
        self._current = name
        return name

    def _first(self, row: Row, field: str, name: str) -> str | None:
        """Where an earlier row has this name; None where only the hashes are equal."""
        for earlier, _ in self._again():
            if earlier.where == row.where:
                return None
            if str(earlier.values[field]) == name:
                return earlier.where
        return None


def _name(row: Row, field: str, setting: str) -> str:
    value = row.values[field]
    if isinstance(value, str) and value:
        return _whole(value, f"{row.where}: field {field!r}")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(
        f"{row.where}: field {field!r} is {_kind(value)}; a name is a string or a whole number: "
        f"name another field with {setting}, or set it to none"
    )


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {_kind(value)}; a message is an object with role and content")
    for key in ("role", "content"):
        if not isinstance(value.get(key), str):
            found = _kind(value[key]) if key in value else "not there"
            raise ValueError(
                f"{where}: {key} is {found}; a message has role and content, both strings: leave "
                "the row out, or write what it says as text"
            )
    return Message(role=_whole(value["role"], where), content=_whole(value["content"], where))


def _whole(text: str, where: str) -> str:
    """The text, if it can be stored: JSON can spell half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} has half of a surrogate pair at character {error.start}, which no file can "
            "hold; repair it where the file was made"
        ) from error
    return text


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case "":
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return f"a number ({value})"
        case Mapping():
            return "an object"
        case list():
            return "a list"
    return f"a {type(value).__name__}"


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
