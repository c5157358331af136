import json
import logging
import os
import threading
import time

import pytest

from interlingua.store import lock as lock_module
from interlingua.store.lock import (
    STALE_SECONDS,
    ArtifactLocked,
    Lock,
    LockLost,
    Owner,
    exclusive,
)
from interlingua.store.process import this_process


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "root" / "kind").mkdir(parents=True)
    return tmp_path / "root" / "kind" / "label-0123456789ab"


@pytest.fixture
def lock_file(folder):
    return folder.with_name(folder.name + ".lock")


@pytest.fixture(autouse=True)
def fast_polling(monkeypatch):
    monkeypatch.setattr(lock_module, "POLL_SECONDS", 0.01)


@pytest.fixture
def waiting():
    """Set as soon as somebody in this process says that it waits for a lock."""
    event = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record):
            event.set()

    handler = Listener()
    logging.getLogger(lock_module.__name__).addHandler(handler)
    yield event
    logging.getLogger(lock_module.__name__).removeHandler(handler)


def forge(folder, lock_file, *, age=0.0, **process):
    """Leave a lock file whose owner is this process, but for the entries given."""
    with exclusive(folder):
        entries = json.loads(lock_file.read_text())
    entries["token"] = "forged"
    entries["process"] |= process
    lock_file.write_text(json.dumps(entries))
    set_age(lock_file, age)


def set_age(lock_file, age):
    now = os.stat(lock_file).st_mtime
    os.utime(lock_file, (now - age, now - age))


def test_the_lock_file_is_there_for_the_block_only(folder, lock_file):
    with exclusive(folder) as lock:
        assert json.loads(lock_file.read_text())["token"] == lock.token
        lock.verify()
    assert not lock_file.exists()
    with pytest.raises(ZeroDivisionError), exclusive(folder):
        1 / 0  # noqa: B018
    assert not lock_file.exists()


@pytest.mark.timeout(60)
def test_the_lock_of_a_gone_process_is_taken_over(folder, lock_file):
    forge(folder, lock_file, start_ticks=1)
    with exclusive(folder) as lock:
        assert lock.token != "forged" == lock.taken_from
        lock.verify()


@pytest.mark.timeout(60)
def test_elsewhere_only_an_old_heartbeat_makes_a_lock_stale(folder, lock_file, waiting):
    forge(folder, lock_file, boot_id="another machine", age=STALE_SECONDS - 30)
    waiting.clear()
    taken = threading.Event()

    def take():
        with exclusive(folder):
            taken.set()

    taker = threading.Thread(target=take)
    taker.start()
    assert waiting.wait(30)
    assert not taken.is_set()
    assert json.loads(lock_file.read_text())["token"] == "forged"
    set_age(lock_file, STALE_SECONDS + 1)
    taker.join(30)
    assert taken.is_set()


@pytest.mark.timeout(60)
def test_a_heartbeat_in_the_future_counts_by_whether_it_moves(folder, lock_file, monkeypatch):
    """Of a disk whose clock was set back: it would be waited for until the clock comes there."""
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 0.3)
    forge(folder, lock_file, boot_id="another machine", age=-1000)
    with exclusive(folder) as lock:
        assert lock.taken_from == "forged"
    # A heart that beats is waited for, wherever its clock is.
    forge(folder, lock_file, boot_id="another machine", age=-1000)
    stillness, me = lock_module._Stillness(), Owner(token="me", since="now", process=this_process())
    for beat in range(8):
        assert not isinstance(lock_module._take(folder, me, stillness), Lock)
        set_age(lock_file, -1000 - beat)
        time.sleep(0.1)


def test_who_waits_is_told_which_file_to_delete(folder, lock_file, caplog):
    forge(folder, lock_file, boot_id="another machine")
    taker = threading.Thread(target=lambda: exclusive(folder).__enter__(), daemon=True)
    taker.start()
    while not caplog.messages:
        time.sleep(0.01)
    assert "is building it" in caplog.messages[0]
    assert f"delete {lock_file}" in caplog.messages[0]
    lock_file.unlink()
    taker.join(30)


def test_what_a_killed_taker_left_is_swept(folder, lock_file):
    crumb = lock_file.with_name(f".{lock_file.name}.0123abcd.tmp")
    crumb.touch()
    with exclusive(folder):
        assert not crumb.exists()


def test_of_many_takers_of_a_stale_lock_one_wins(folder, lock_file):
    for _ in range(10):
        forge(folder, lock_file, start_ticks=1)
        assert takers_that_won(6, folder) == [json.loads(lock_file.read_text())["token"]]
        lock_file.unlink()


def takers_that_won(num_takers, folder):
    """The tokens of those who believe that the lock is theirs, when all take it at once."""
    start = threading.Barrier(num_takers)
    won = []

    def take(token):
        owner = Owner(token=token, since="now", process=this_process())
        start.wait()
        if isinstance(lock_module._take(folder, owner, lock_module._Stillness()), Lock):
            won.append(token)

    takers = [threading.Thread(target=take, args=(f"{index}",)) for index in range(num_takers)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    return won


def test_a_lost_lock_lets_nothing_be_published_and_is_left_alone(folder, lock_file):
    with exclusive(folder) as lock:
        lock_file.write_text(json.dumps(json.loads(lock_file.read_text()) | {"token": "other"}))
        with pytest.raises(LockLost):
            lock.verify()
        with pytest.raises(LockLost), lock.held():
            pytest.fail("published without the lock")
    assert json.loads(lock_file.read_text())["token"] == "other"


def test_a_removed_lock_is_lost(folder, lock_file):
    with exclusive(folder) as lock:
        lock_file.unlink()
        with pytest.raises(LockLost):
            lock.verify()


@pytest.mark.timeout(60)
def test_nobody_takes_over_while_the_lock_is_held_for_publishing(folder, lock_file):
    order = []

    def take():
        with exclusive(folder):
            order.append("taken")

    with exclusive(folder) as lock:
        with lock.held():
            set_age(lock_file, STALE_SECONDS + 100)
            taker = threading.Thread(target=take)
            taker.start()
            taker.join(0.3)  # ample for a taker that nothing stops
            order.append("published")
        taker.join()
    assert order == ["published", "taken"]


@pytest.mark.timeout(60)
def test_the_heart_keeps_a_lock_fresh(folder, lock_file, monkeypatch):
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.01)
    with exclusive(folder):
        before = os.stat(lock_file).st_mtime
        set_age(lock_file, STALE_SECONDS - 1)
        while os.stat(lock_file).st_mtime < before:
            pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"process": {}}', "not json"])
def test_an_unreadable_lock_file_is_an_error_with_a_name(folder, lock_file, content):
    lock_file.write_text(content)
    with pytest.raises(ArtifactLocked, match=str(lock_file)), exclusive(folder):
        pytest.fail("locked although somebody may be building")
