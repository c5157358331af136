"""Explanations that are there already, joined to passages by id, by text, and by position.

Holds the texts of the passages that it is prepared for, and no others. Knows no model.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from interlingua.sources.files import TABLES, Row, check_unchanged, files_of, rows_of
from interlingua.sources.source import Explained, Site
from interlingua.specs.extraction import Reading, Spans, TokenPositions
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExplanationFile
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.store.rows.splits import passage_id

FIELD = "ExplanationFile"
OPENING, CLOSING = "<explanation>", "</explanation>"
_TAGGED = re.compile(f"{OPENING}(.*?){CLOSING}", re.DOTALL)

Key = tuple[str, int]  # what a row is joined by, and its position


def opened(spec: ExplanationFile, **_: Any) -> "StoredExplanations":
    """The explanations of a file, or of several; nothing is read yet."""
    return StoredExplanations(spec)


class StoredExplanations:
    """The explanations of the passages that it was prepared for."""

    prepares_on: tuple[Split, ...] = ()

    def __init__(self, spec: ExplanationFile) -> None:
        self._spec = spec
        self._counts = Counter(num_explained=0, num_without_explanation=0)
        self._found: dict[Key, list[Explained]] = {}
        self._example = ""  # of a passage, for an error

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Read all rows, and hold those of these passages; raises where one is wrong."""
        ids = self._ids(passages)
        self._found, num_rows, other = {}, 0, ""
        for row, (joined_by, position), explained in self._rows():
            num_rows += 1
            if joined_by in ids:
                self._add((joined_by, position), explained)
            else:
                self._counts["num_of_other_rows"] += 1
                other = other or self._shown(joined_by, row)
        if not self._found:
            self._raise_not_joined(num_rows, other, ids)

    def joins_first(self, passages: Iterable[Passage], most_rows: int) -> bool:
        """Whether one of the first rows is of these passages; raises where one of them is wrong."""
        ids = {self._joined_by(passage) for passage in passages}
        keys = [joined_by for _, (joined_by, _), _ in islice(self._rows(), most_rows)]
        return any(key in ids for key in keys)

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """The first texts of every row, in the file's order; none where it has none."""
        return [self._texts(passage, site)[:num_samples] for passage, site in asked]

    def _texts(self, passage: Passage, site: Site) -> list[Explained]:
        position = site.position
        _check_position_field(self._spec, is_within=position != POOLED_POSITION)
        found = self._found.get((self._joined_by(passage), position), [])
        self._counts["num_explained" if found else "num_without_explanation"] += 1
        return found

    def counts(self) -> Mapping[str, int]:
        """Activations with and without a text, and rows of the files that are of other passages."""
        return self._counts

    def _rows(self) -> Iterator[tuple[Row, Key, Explained]]:
        """All rows of all files, each checked when its turn comes."""
        spec = self._spec
        files = files_of(spec.path, TABLES, field=f"{FIELD}.path")
        check_unchanged(files, spec.sha256, field=f"{FIELD}.path")
        assert spec.sha256 is not None
        for path in files:
            for row in rows_of(path, self._fields()):
                key, text = self._key(row), _text(row, spec.text_field)
                yield row, key, (self._teacher(row, spec.sha256), text)

    def _ids(self, passages: Iterable[Passage]) -> dict[str, str]:
        """What rows are joined by, each with the id of its passage."""
        ids: dict[str, str] = {}
        for passage in passages:
            if not ids:
                by_id = self._spec.id_field is not None
                self._example = f"id {passage.row_id!r}" if by_id else f"{passage.text[:40]!r}"
            before = ids.setdefault(self._joined_by(passage), passage.passage_id)
            if before != passage.passage_id:
                raise ValueError(
                    f"two texts have the id {passage.row_id!r} (passages {before} and "
                    f"{passage.passage_id}), so that a row of {self._spec.path} may be of either: "
                    f"set {FIELD}.id_field to none, which joins by text"
                )
        if not ids:
            raise ValueError(
                f"no passage is to be explained by {self._spec.path}: its split is empty; give it "
                "a share in passages.split"
            )
        return ids

    def _joined_by(self, passage: Passage) -> str:
        return passage.passage_id if self._spec.id_field is None else passage.row_id

    def _fields(self) -> dict[str, str]:
        spec = self._spec
        joined_by = "passage_field" if spec.id_field is None else "id_field"
        settings = (joined_by, "text_field", "position_field", "teacher_field")
        named = {getattr(spec, setting): setting for setting in settings}
        return {name: setting for name, setting in named.items() if name is not None}

    def _key(self, row: Row) -> Key:
        spec = self._spec
        if spec.id_field is None:
            joined_by = passage_id(text_of(row, spec.passage_field))
        else:
            joined_by = id_of(row, spec.id_field)
        if spec.position_field is None:
            return joined_by, POOLED_POSITION
        return joined_by, position_of(row, spec.position_field)

    def _teacher(self, row: Row, sha256: str) -> str:
        name = self._spec.teacher
        if self._spec.teacher_field is not None:
            name = text_of(row, self._spec.teacher_field)
        return f"{name}-{sha256[:12]}"

    def _add(self, key: Key, explained: Explained) -> None:
        texts = self._found.setdefault(key, [])
        if explained in texts:
            self._counts["num_repeated"] += 1
        else:
            texts.append(explained)

    def _shown(self, joined_by: str, row: Row) -> str:
        field = self._spec.id_field
        if field is not None:
            return f"{field} {joined_by!r}"
        return f"{self._spec.passage_field} {row.values[self._spec.passage_field][:40]!r}"

    def _raise_not_joined(self, num_rows: int, other: str, ids: Mapping[str, str]) -> None:
        spec = self._spec
        if not num_rows:
            raise ValueError(f"{spec.path} has no row; name a file of explanations")
        raise ValueError(
            f"0 of {num_rows} rows of {spec.path} are of the {len(ids)} passages that are to be "
            f"explained: a row has {other}, a passage {self._example}. Name in "
            f"{FIELD}.id_field what the corpus names in its id_field, or set it to none and join "
            f"by the text in {FIELD}.passage_field"
        )


def check_reading(spec: ExplanationFile, read: Reading) -> None:
    """Raise where it cannot be known what an explanation is of."""
    _check_position_field(spec, is_within=isinstance(read, Spans | TokenPositions))


def _check_position_field(spec: ExplanationFile, *, is_within: bool) -> None:
    if spec.position_field is None and is_within:
        raise ValueError(
            f"{FIELD}.position_field is none, but activations are read within passages: name the "
            f"field that says where a row of {spec.path} stands, or read whole passages"
        )


def id_of(row: Row, field: str) -> str:
    """The id in a field: a text or a whole number."""
    value = row.values[field]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(
            f"{row.where}: {field} is {_kind(value)}; an id is a text or a whole number: name "
            "another field with id_field, or leave the row out"
        )
    return str(value)


def position_of(row: Row, field: str) -> int:
    """The position in a field: a token from 0, or -1 for a whole passage."""
    value = row.values[field]
    if isinstance(value, bool) or not isinstance(value, int) or value < POOLED_POSITION:
        shown = value if isinstance(value, int) else _kind(value)
        raise ValueError(
            f"{row.where}: {field} is {shown}; a position is a whole number from 0, or -1 for the "
            "whole passage"
        )
    return value


def text_of(row: Row, field: str) -> str:
    """The text in a field, which is not empty."""
    value = row.values[field]
    if not isinstance(value, str):
        raise ValueError(f"{row.where}: {field} is {_kind(value)}; it must be a text")
    if not value.strip():
        raise ValueError(f"{row.where}: {field} is empty; fill it in, or leave the row out")
    return value


def _text(row: Row, field: str) -> str:
    """The explanation of a row: what stands between its tags, where it has them."""
    text = text_of(row, field)
    if OPENING not in text:
        return text.strip()
    tagged = _TAGGED.search(text)
    if tagged is None:
        raise ValueError(
            f"{row.where}: {field} has {OPENING} and no {CLOSING}: it was cut off; leave the row "
            "out"
        )
    if not (inside := tagged.group(1).strip()):
        raise ValueError(
            f"{row.where}: {field} is empty between its tags; fill it in, or leave the row out"
        )
    return inside


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
