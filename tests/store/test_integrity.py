"""A file that changed since it was published is found, wherever something is built on it."""

import os
import shutil
from dataclasses import dataclass

import pytest

from interlingua.store import integrity
from interlingua.store.artifact import Stage, build, find, verify
from interlingua.store.integrity import OUTSIDE_NAME, CorruptFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    seed: int


def write_files(spec, inputs, out, context):
    (out / "a.txt").write_text("first")
    (out / "inner").mkdir()
    (out / "inner" / "b.txt").write_text("second")
    if context is not None:
        (out / OUTSIDE_NAME).write_text(str(context))
    return {}


def copy_file(spec, inputs, out, context):
    shutil.copy(inputs["upstream"].path / "a.txt", out / "c.txt")
    return {}


UPSTREAM = Stage(kind="up", label="u", spec=Spec(seed=1), run=write_files, inputs={}, revision=1)
DOWN = Stage(
    kind="down", label="d", spec=Spec(seed=1), run=copy_file,
    inputs={"upstream": UPSTREAM}, revision=1,
)  # fmt: skip
LAST = Stage(
    kind="last", label="l", spec=Spec(seed=1), run=write_files,
    inputs={"down": DOWN}, revision=1, seals=True,
)  # fmt: skip


def flip(path, place=0):
    """Change one byte, and set the time of modification back."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def upstream(tmp_path):
    return build(UPSTREAM, tmp_path, None)


@pytest.mark.parametrize("name", ["a.txt", "inner/b.txt"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, "not as it was published"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "not as it was published"),
        (lambda path: shutil.copy(path, path.with_suffix(".new")), "none of the files"),
    ],
    ids=["byte", "deleted", "cut", "added"],
)
def test_nothing_is_built_on_a_damaged_input(tmp_path, upstream, name, damage, said):
    path = upstream.path / name
    damage(path)
    expected = f"{path.with_suffix('')}.*{said}.*delete the folder {upstream.path} and run again"
    with pytest.raises(CorruptFile, match=expected):
        build(DOWN, tmp_path, None)
    assert find(DOWN, tmp_path) is None


def test_what_was_deleted_is_made_anew_and_fits(tmp_path, upstream):
    build(DOWN, tmp_path, None)
    shutil.rmtree(upstream.path)
    verify(build(UPSTREAM, tmp_path, None))
    verify(find(DOWN, tmp_path))


def test_what_nobody_touched_is_not_read_again(tmp_path, upstream, monkeypatch):
    read = []
    monkeypatch.setattr(integrity, "sha256_of", lambda path: read.append(path.name))
    verify(upstream)
    assert read == []
    with pytest.raises(CorruptFile):
        verify(upstream, is_thorough=True)
    assert read == ["a.txt"]


def test_a_moved_root_is_read_once(tmp_path, upstream, monkeypatch):
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "up", moved / "up")
    copy, real, read = find(UPSTREAM, moved), integrity.sha256_of, []
    monkeypatch.setattr(integrity, "sha256_of", lambda path: read.append(path) or real(path))
    verify(copy)
    verify(copy)
    assert len(read) == 2


def test_a_byte_far_upstream_lets_nothing_be_sealed(tmp_path, upstream, monkeypatch):
    """Also where the disk changed it, so that no time of the file tells."""
    build(DOWN, tmp_path, None)
    flip(upstream.path / "a.txt")
    monkeypatch.setattr(integrity, "_stamp", lambda path: [0])
    integrity.note_stamps(upstream.path, upstream.record)
    verify(upstream)
    with pytest.raises(CorruptFile, match=f"{upstream.path / 'a.txt'}"):
        build(LAST, tmp_path, None)


def test_a_file_that_lies_elsewhere_belongs_to_its_artifact(tmp_path):
    outside = tmp_path / "elsewhere.bin"
    outside.write_bytes(b"weights")
    artifact = build(UPSTREAM, tmp_path / "root", outside)
    verify(artifact)
    flip(outside)
    with pytest.raises(CorruptFile, match=str(outside)):
        build(DOWN, tmp_path / "root", None)
