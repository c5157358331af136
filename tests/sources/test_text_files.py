"""Texts of local files: rows, documents, slices, and every mistake in words that help."""

import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlingua.sources.files import TEXTS, files_of, sha256_of_files
from interlingua.sources.source import Corpus, Message, Record, corpus_of
from interlingua.sources.text_files import opened
from interlingua.specs.corpora import TextFiles

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?", "name": "x"}]


def pinned(path: Path | str, **fields) -> TextFiles:
    sha256 = sha256_of_files(files_of(str(path), TEXTS, field="path"))
    return TextFiles(path=str(path), sha256=sha256, **fields)


def rows_at(path: Path, *rows: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts_at(path: Path, *texts: object) -> Path:
    return rows_at(path, *({"text": text} for text in texts))


def records(spec: TextFiles) -> list[Record]:
    return list(corpus_of(spec).records())


def refusal(spec: TextFiles) -> str:
    with pytest.raises(ValueError) as caught:
        records(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def stories(tmp_path) -> Path:
    """Six rows in four documents, over two files: the second goes on with a document."""
    rows = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"), ("e", 3), ("f", "z")]
    dicts = [{"text": text, "doc": doc, "id": f"row-{text}"} for text, doc in rows]
    rows_at(tmp_path / "in" / "0.jsonl", *dicts[:3])
    rows_at(tmp_path / "in" / "1.jsonl", *dicts[3:])
    return tmp_path / "in"


def test_rows_are_numbered_over_all_files(stories):
    corpus: Corpus = opened(pinned(stories))
    found = list(corpus.records())
    assert [record.text for record in found] == list("abcdef")
    assert [record.row_id for record in found] == list("012345")
    assert found[3] == Record(row_id="3", text="d", where=f"{stories}/1.jsonl, line 1")
    assert corpus.truth is None
    assert list(corpus.records()) == found


def test_fields_name_rows_and_documents(stories):
    found = records(pinned(stories, id_field="id", document_field="doc"))
    assert [record.row_id for record in found] == [f"row-{text}" for text in "abcdef"]
    assert [record.document_id for record in found] == ["x", "x", "y", "y", "3", "z"]


@pytest.mark.parametrize(
    ("field", "first", "count", "expected"),
    [
        (None, 0, 2, "ab"),
        (None, 2, 3, "cde"),
        (None, 4, 9, "ef"),
        ("doc", 0, 1, "ab"),
        ("doc", 1, 1, "cd"),
        ("doc", 1, 2, "cde"),
        ("doc", 2, None, "ef"),
    ],
)
def test_a_slice_is_of_documents(stories, field, first, count, expected):
    found = records(pinned(stories, document_field=field, first=first, count=count))
    assert "".join(record.text for record in found) == expected
    # Names do not go by the slice.
    assert [record.row_id for record in found] == [str("abcdef".index(c)) for c in expected]


def test_files_that_were_read_are_recorded(stories):
    corpus = corpus_of(pinned(stories, count=2))
    assert corpus.shards() == []
    list(corpus.records())
    first = stories / "0.jsonl"
    assert corpus.shards() == [{"file": str(first), "sha256": sha256_of_files([first]), "rows": 2}]
    whole = corpus_of(pinned(stories))
    list(whole.records())
    assert [shard["rows"] for shard in whole.shards()] == [3, 3]


def test_reading_ends_where_no_more_is_asked_for(tmp_path):
    path = texts_at(tmp_path / "a.jsonl", "a", "b", 3)
    assert len(records(pinned(path, count=2))) == 2
    assert len(records(pinned(texts_at(path, 1, "b"), first=1))) == 1


def test_a_plain_text_is_called_by_its_file(tmp_path):
    for name in ("b.txt", "sub/a.md", "c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"Text of {name}\n")
    assert [record.row_id for record in records(pinned(tmp_path))] == ["b.txt", "c.md", "sub/a.md"]
    assert [record.row_id for record in records(pinned(tmp_path / "b.txt"))] == ["b.txt"]
    found = records(pinned(f"{tmp_path}/**/*.md"))
    assert [record.row_id for record in found] == ["c.md", "sub/a.md"]
    assert (found[0].text, found[0].document_id) == ("Text of c.md\n", None)


def test_chats_are_left_for_others_to_render(tmp_path):
    lines = rows_at(tmp_path / "a.jsonl", {"chat": CHAT})
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"chat": [CHAT]}), table)
    for path in (lines, table):
        (record,) = records(pinned(path, text_field="chat"))
        assert record.text == ""
        assert record.messages == (
            Message(role="user", content="Hi"),
            Message(role="assistant", content="Yes?"),
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" \n", "is empty; leave it out"),
        (None, "is null; a text is a string or a list of messages: name another field with "),
        (4, "is a number (4); a text is a string or a list of messages: name another field"),
        (True, "is true or false; a text is a string"),
        ({"a": 1}, "is an object; a text is a string"),
        ("\ud800", "has half of a surrogate pair at character 0, which no file can hold"),
        ([], "has no message with content; leave it out"),
        ([{"role": "user", "content": " "}], "has no message with content"),
    ],
)
def test_a_text_that_is_none(tmp_path, text, words):
    path = texts_at(tmp_path / "a.jsonl", "fine", text)
    assert refusal(pinned(path)).startswith(f"{path}, line 2: field 'text' {words}")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Hi", "is a str; a message is an object with role and content"),
        ({"content": "Hi"}, ": role is not there; a message has role and content, both strings: "),
        ({"role": "user", "content": None}, ": content is null; a message has role and content"),
        ({"role": "user", "content": [{"type": "image"}]}, ": content is a list; a message has"),
        ({"role": "user", "content": "\udc00"}, "has half of a surrogate pair at character 0"),
    ],
)
def test_a_message_that_is_none(tmp_path, message, words):
    path = texts_at(tmp_path / "a.jsonl", [CHAT[0], message])
    separator = "" if words.startswith(":") else " "
    expected = f"{path}, line 1: field 'text'[1]{separator}{words}"
    assert refusal(pinned(path)).startswith(expected)


def test_a_field_that_is_missing(stories):
    assert refusal(pinned(stories, text_field="body")) == (
        f"{stories}/0.jsonl, line 1 has no field 'body'; name in text_field one that it has: text, "
        "doc, id"
    )
    assert "has no field 'key'" in refusal(pinned(stories, id_field="key"))
    assert "has no field 'book'" in refusal(pinned(stories, document_field="book"))


def test_a_name_that_comes_twice(tmp_path):
    rows_at(tmp_path / "in" / "a.jsonl", {"text": "a", "id": "1"}, {"text": "b", "id": "2"})
    rows_at(tmp_path / "in" / "b.jsonl", {"text": "c", "id": 1})
    folder = tmp_path / "in"
    assert refusal(pinned(folder, id_field="id")) == (
        f"{folder}/b.jsonl, line 1: field 'id' is '1', as in {folder}/a.jsonl, line 1; each row "
        "needs a name of its own: change one, or number the rows with id_field=none"
    )
    # Also where the first is before the slice: whoever brings rows by name cannot know which.
    assert "as in" in refusal(pinned(folder, id_field="id", first=1))


@pytest.mark.parametrize("value", [None, 1.5, True, "", ["a"]])
@pytest.mark.parametrize("setting", ["id_field", "document_field"])
def test_a_name_that_is_none(tmp_path, setting, value):
    path = rows_at(tmp_path / "a.jsonl", {"text": "a", "name": value})
    assert re.fullmatch(
        rf"{path}, line 1: field 'name' is .+; a name is a string or a whole number: name another "
        rf"field with {setting}, or set it to none",
        refusal(pinned(path, **{setting: "name"})),
    )


def test_a_document_in_two_places(tmp_path):
    rows = [{"text": text, "doc": doc} for text, doc in ("ax", "bx", "cy", "dx")]
    path = rows_at(tmp_path / "a.jsonl", *rows)
    assert refusal(pinned(path, document_field="doc")) == (
        f"{path}, line 4: document 'x' began in {path}, line 1, and rows of others stand between; "
        "sort the rows by 'doc', so that those of a document stand together"
    )


def test_names_whose_hashes_are_equal_are_two(stories, monkeypatch):
    monkeypatch.setattr("interlingua.sources.documents._hash", lambda name: 0)
    assert len(records(pinned(stories, id_field="id", document_field="doc"))) == 6
    rows_at(stories / "2.jsonl", {"text": "g", "doc": "z", "id": "row-a"})
    assert "0.jsonl, line 1; each row needs a name" in refusal(pinned(stories, id_field="id"))


def test_a_slice_behind_the_end(stories):
    assert refusal(pinned(stories, document_field="doc", first=4)) == (
        "TextFiles.first is 4, and the files hold 4 documents, counted from 0; lower it"
    )


def test_files_without_a_row(tmp_path):
    path = rows_at(tmp_path / "a.jsonl")
    assert refusal(pinned(path)) == "TextFiles: the files hold no row; name others"


def test_rows_and_plain_texts_together(stories):
    (stories / "README.md").write_text("About")
    assert refusal(pinned(stories)) == (
        f"{stories}/0.jsonl has rows and {stories}/README.md is a plain text; name one kind by a "
        "pattern, such as *.jsonl"
    )


@pytest.mark.parametrize("setting", ["id_field", "document_field"])
def test_fields_of_a_plain_text(tmp_path, setting):
    path = tmp_path / "a.txt"
    path.write_text("Text")
    assert refusal(pinned(path, **{setting: "id"})) == (
        f"TextFiles.{setting} is 'id', and {path} is a plain text without fields; set it to none"
    )


def test_files_that_changed_are_refused_before_the_first_text(stories):
    spec = pinned(stories)
    (stories / "1.jsonl").write_text('{"text": "other"}\n')
    corpus = corpus_of(spec)
    with pytest.raises(ValueError, match="they have changed. Set its sha256 to none to take"):
        next(corpus.records())
    with pytest.raises(ValueError, match=r"TextFiles.path has no sha256: pin the recipe"):
        next(corpus_of(replace(spec, sha256=None)).records())


def test_a_path_without_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"TextFiles.path=.+ names no file; give a file, a folder"):
        corpus_of(TextFiles(path=str(tmp_path / "none")))


def test_memory_does_not_grow_with_the_texts(tmp_path):
    path, text = tmp_path / "a.jsonl", "word " * 2000
    with path.open("w") as file:
        for number in range(1000):
            file.write(json.dumps({"text": text, "id": number}) + "\n")
    corpus = corpus_of(pinned(path, id_field="id"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in corpus.records()) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000 < path.stat().st_size / 6
    finally:
        tracemalloc.stop()
