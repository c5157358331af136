"""Files that people bring: found, hashed, read row by row, and refused in one line."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlingua.sources import files as sources
from interlingua.sources.files import (
    BATCH_ROWS,
    TEXTS,
    check_unchanged,
    files_of,
    kind_of,
    num_rows_of,
    rows_of,
    sha256_of_files,
)
from interlingua.store.integrity import sha256_of

TEXT = {"text": "text_field"}

ROWS = [{"text": "a", "id": 1}, {"text": "b", "id": 2}]


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def json_lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def refusal(call, *arguments, **named) -> str:
    with pytest.raises(ValueError) as caught:
        result = call(*arguments, **named)
        list(result or [])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_a_folder_and_a_pattern(tmp_path, monkeypatch):
    a, b, c = (written(tmp_path / name, b"") for name in ("b/a.jsonl", "b/c/b.txt.gz", "c.parquet"))
    written(tmp_path / "b" / "notes.pdf", b"")
    assert files_of(str(a), TEXTS, field="f") == [a]
    assert files_of(str(tmp_path), TEXTS, field="f") == [a, b, c]
    assert files_of(f"{tmp_path}/**/*.[tj]*", TEXTS, field="f") == [a, b]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files_of("~/*.parquet", TEXTS, field="f") == [c]


def test_a_name_with_brackets_is_a_name(tmp_path):
    path = written(tmp_path / "run[1]" / "a.jsonl", b"")
    assert files_of(str(path), TEXTS, field="f") == [path]
    assert files_of(str(path.parent), TEXTS, field="f") == [path]


def test_a_path_that_names_no_file(tmp_path):
    ending = "give a file, a folder or a pattern with *"
    for path in (f"{tmp_path}/none.jsonl", f"{tmp_path}/*.jsonl", str(tmp_path)):
        assert refusal(files_of, path, TEXTS, field="TextFiles.path") == (
            f"TextFiles.path={path} names no file; {ending}"
        )


def test_a_path_that_is_not_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(files_of, "", TEXTS, field="f") == (
        "f= is not set; give a file, a folder or a pattern with *"
    )


def test_a_file_of_an_unknown_kind(tmp_path):
    path = written(tmp_path / "a.csv", b"")
    assert refusal(files_of, str(path), TEXTS, field="f") == (
        f"{path} ends with none of .jsonl, .ndjson, .parquet, .txt, .md (or .gz behind it)"
    )


def test_a_kind_is_the_suffix_before_gz():
    names = ("a.JSONL", "a.b.jsonl.gz", "a.gz", "a", "a.txt")
    assert [kind_of(Path(name)) for name in names] == [".jsonl", ".jsonl", "", "", ".txt"]


def test_a_hash_is_of_names_and_contents(tmp_path):
    files = [written(tmp_path / name, name.encode()) for name in ("a.txt", "b.txt")]
    before = sha256_of_files(files)
    assert sha256_of_files(files[:1]) != before
    files[1].rename(tmp_path / "c.txt")
    assert sha256_of_files([files[0], tmp_path / "c.txt"]) != before
    written(tmp_path / "b.txt", b"another")
    assert sha256_of_files(files) != before
    written(tmp_path / "b.txt", b"b.txt")
    assert sha256_of_files(files) == before


def test_files_that_changed_are_refused(tmp_path):
    files = [written(tmp_path / name, b"1") for name in ("a.txt", "b.txt")]
    sha256 = sha256_of_files(files)
    check_unchanged(files, sha256, field="f")
    written(files[1], b"2")
    assert refusal(check_unchanged, files, sha256, field="TextFiles.path") == (
        f"TextFiles.path: {files[0]} and others hash to {sha256_of_files(files)[:12]}, the recipe "
        f"names {sha256[:12]}: they have changed. Set its sha256 to none to take them as they are "
        "now"
    )
    assert refusal(check_unchanged, files, None, field="TextFiles.path") == (
        "TextFiles.path has no sha256: pin the recipe, which takes it of the files"
    )


def test_a_file_is_hashed_again_where_it_may_have_changed(tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(sources, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    path = written(tmp_path / "a.txt", b"one")
    before = sha256_of_files([path])
    written(path, b"two")  # as long, and as young as the clock of the disk can tell
    assert sha256_of_files([path]) != before and len(hashed) == 2
    monkeypatch.setattr(sources, "MOMENT_NS", 0)  # as if that was a while ago
    assert len({sha256_of_files([path]) for _ in range(3)}) == 1 and len(hashed) == 3
    written(path, b"three")
    assert sha256_of_files([path]) == sha256_of(path) and len(hashed) == 4


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_json_lines(tmp_path, name):
    path = written(tmp_path / name, b"\xef\xbb\xbf" + json_lines(ROWS).replace(b"\n", b"\r\n\n"))
    rows = list(rows_of(path, TEXT, ["id", "none"]))
    assert [dict(row.values) for row in rows] == ROWS
    assert [row.where for row in rows] == [f"{path}, line 1", f"{path}, line 3"]
    assert num_rows_of(path) == 2


def test_parquet_is_read_by_column(tmp_path):
    path, count = tmp_path / "a.parquet", 2 * BATCH_ROWS + 1
    numbers = list(range(count))
    pq.write_table(pa.table({"n": numbers, "text": list(map(str, numbers)), "x": numbers}), path)
    rows = list(rows_of(path, TEXT, ["n", "none"]))
    assert [row.values for row in rows] == [{"text": str(n), "n": n} for n in numbers]
    assert rows[-1].where == f"{path}, row {count - 1}"
    assert num_rows_of(path) == count


@pytest.mark.parametrize("name", ["a.txt", "a.md.gz"])
def test_a_plain_text_is_a_row(tmp_path, name):
    path = written(tmp_path / name, "two\nlines \u00e9".encode())
    (row,) = rows_of(path, TEXT)
    assert (row.where, row.values) == (str(path), {"text": "two\nlines \u00e9"})
    assert num_rows_of(path) == 1


def test_a_field_that_is_missing(tmp_path):
    lines = written(tmp_path / "a.jsonl", json_lines([*ROWS, {"body": "c", "n": 1}]))
    assert refusal(rows_of, lines, TEXT) == (
        f"{lines}, line 3 has no field 'text'; name in text_field one that it has: body, n"
    )
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["a"]}), table)
    assert refusal(rows_of, table, TEXT) == (
        f"{table} has no field 'text'; name in text_field one that it has: body"
    )
    nothing = written(tmp_path / "b.jsonl", b"{}")
    assert refusal(rows_of, nothing, TEXT).endswith("name in text_field one that it has: none")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a"', "line 3 is no JSON: Expecting ',' delimiter"),
        (b'{"text": "\xff"}', "line 3 is no JSON: 'utf-8' codec can't decode byte 0xff"),
        (b'["a"]', "line 3 is list; a row must be an object"),
        (b"null", "line 3 is NoneType; a row must be an object"),
    ],
)
def test_a_line_that_is_no_row(tmp_path, line, words):
    path = written(tmp_path / "a.jsonl", json_lines(ROWS) + line)
    assert refusal(rows_of, path, TEXT).startswith(f"{path}, {words}")


def test_a_damaged_file(tmp_path):
    whole = gzip.compress(json_lines(ROWS * 1000))
    for name, content in {
        "cut.jsonl.gz": whole[: len(whole) // 2],
        "plain.jsonl.gz": json_lines(ROWS),
        "a.parquet": b"PAR1 no table",
        "a.txt": b"caf\xe9",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert re.fullmatch(
            rf"{path} cannot be read: .+; it is damaged, or not what its name says",
            refusal(rows_of, path, TEXT),
        )
    missing = tmp_path / "gone.jsonl"
    assert refusal(rows_of, missing, TEXT).startswith(f"{missing} cannot be read: ")
    assert refusal(num_rows_of, tmp_path / "cut.jsonl.gz").startswith(f"{tmp_path}/cut.jsonl.gz")
