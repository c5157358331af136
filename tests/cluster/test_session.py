"""Where a session connects to, and what it leaves behind."""

import fcntl
import os
import shutil
import signal
import socket
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import ray

from interlingua.cluster.session import (
    DRIVER_MARK,
    RayLost,
    _own_folder,
    check_processes,
    ray_session,
)
from interlingua.store.atomic import StorageFull

MARK = "INTERLINGUA_TEST_SESSION"


@pytest.fixture
def asked_for_head(ray_head, monkeypatch):
    for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
        monkeypatch.setenv(name, value)
    return ray_head


def port(connected):
    """Where the head listens: Ray may call the same host by another address."""
    return int(connected.get_runtime_context().gcs_address.rpartition(":")[2])


def variable(name):
    """What a worker finds in its environment."""
    return ray.get(ray.remote(num_cpus=0)(os.getenv).remote(name))


@pytest.mark.ray
@pytest.mark.slow
def test_sessions_of_one_process_follow_the_environment_and_leave_nothing(
    asked_for_head, monkeypatch, tmp_path, wait_until_gone
):
    """On the head, private, on the head again: each with a token that the other does not take."""
    monkeypatch.setenv(MARK, str(tmp_path))
    with ray_session() as connected:
        assert port(connected) == asked_for_head.port

    head_variables = asked_for_head.environment.keys() | {"RAY_ADDRESS"}
    with pytest.MonkeyPatch.context() as patch:
        for name in head_variables:
            patch.delenv(name)
        before = dict(os.environ)
        with ray_session() as connected:
            assert port(connected) != asked_for_head.port
            folder = Path(connected._private.worker._global_node.get_temp_dir_path())
            assert folder.is_dir()
            assert variable("OMP_NUM_THREADS") == "1"
            assert variable("RAY_AUTH_TOKEN") == os.environ["RAY_AUTH_TOKEN"]
        assert not folder.exists()
        assert dict(os.environ) == before
    wait_until_gone(MARK, str(tmp_path))

    with ray_session() as connected:
        assert port(connected) == asked_for_head.port


@pytest.mark.ray
@pytest.mark.slow
def test_a_session_ends_with_an_error_too(asked_for_head):
    with pytest.raises(ZeroDivisionError), ray_session():
        raise ZeroDivisionError
    assert not ray.is_initialized()


def test_folders_of_killed_drivers_are_swept_those_of_living_ones_are_not(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("ray-killed", "ray-living", "ray-other", "elsewhere"):
        (tmp_path / name).mkdir()
        if name != "ray-other":
            (tmp_path / name / DRIVER_MARK).touch()
    with (tmp_path / "ray-living" / DRIVER_MARK).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with _own_folder() as first, _own_folder() as second:
            left = {path.name for path in tmp_path.iterdir()}
            assert left == {"ray-living", "ray-other", "elsewhere"} | {
                Path(first).name,
                Path(second).name,
            }
    assert {path.name for path in tmp_path.iterdir()} == {"ray-living", "ray-other", "elsewhere"}


@pytest.mark.parametrize("address", ["auto", "head", "head:", ":6379"])
def test_an_address_that_is_none_is_refused(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ValueError, match="it must be host:port"), ray_session():
        pass


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port}"), ray_session():
        pass


def test_a_folder_too_long_for_rays_sockets_is_said_before_ray_is_started(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said = f"TMPDIR is {long};.*set TMPDIR to a shorter folder"
    with pytest.raises(ValueError, match=said), ray_session():
        pass
    assert list(long.iterdir()) == []


def test_a_full_folder_is_said_before_ray_is_started(monkeypatch):
    full = shutil.disk_usage("/")._replace(free=3 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(StorageFull, match="3 MiB free.*make room, or set TMPDIR"), ray_session():
        pass


@pytest.mark.ray
@pytest.mark.slow
def test_a_raylet_that_dies_is_said_in_words_and_ends_the_wait(
    monkeypatch, tmp_path, wait_until_gone
):
    """Ray itself waits for it, and names a log in a folder that goes away."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(MARK, str(tmp_path))
    said = r"died \(raylet\).*Run the same command again"
    with pytest.raises(RayLost, match=said), ray_session() as connected:
        check_processes()
        [raylet] = connected._private.worker._global_node.all_processes["raylet"]
        os.kill(raylet.process.pid, signal.SIGKILL)
        raylet.process.wait()
        check_processes()
    wait_until_gone(MARK, str(tmp_path))
