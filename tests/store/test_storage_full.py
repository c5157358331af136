import pytest


@pytest.mark.parametrize("what", ["passages", "shard", "ledger"])
def test_a_file_that_finds_no_room_is_named_and_leaves_nothing(tmp_path, start_program, what):
    process = start_program("fill_storage.py", tmp_path, what)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert said.split() == ["StorageFull"]
    assert list(tmp_path.iterdir()) == []
