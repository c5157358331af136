import errno

import pytest

from interlingua.store.atomic import StorageFull, naming_full_storage, settle, write_atomically


def test_a_file_appears_only_when_its_block_ends(tmp_path):
    path = tmp_path / "a.bin"
    with write_atomically(path) as file:
        file.write(b"content")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), write_atomically(path) as file:
        file.write(b"half")
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_path_do_not_mix(tmp_path):
    path = tmp_path / "a.bin"
    with write_atomically(path) as first:
        first.write(b"first, ")
        with write_atomically(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b"whole")
    assert path.read_bytes() == b"first, whole"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_a_name(tmp_path, code):
    missing = tmp_path / "not" / "there"
    with pytest.raises(StorageFull, match=str(missing)), naming_full_storage(missing):
        raise OSError(code, "no room")


def test_a_really_full_device_is_named(tmp_path):
    with (
        pytest.raises(StorageFull),
        naming_full_storage(tmp_path),
        open("/dev/full", "wb", buffering=0) as device,
    ):
        device.write(b"x")


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(PermissionError), naming_full_storage(tmp_path):
        raise PermissionError(errno.EACCES, "not yours")


def test_settle_sweeps_what_killed_writers_left(tmp_path):
    deep = tmp_path / "deep"
    deep.mkdir()
    kept = [deep / "rows.parquet", tmp_path / "notes.tmp", tmp_path / ".hidden"]
    for path in [*kept, deep / ".rows.parquet.0123abcd.tmp"]:
        path.write_bytes(b"x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    settle(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(kept)
    assert (tmp_path / "dangling").is_symlink()
