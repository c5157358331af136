"""The one place that starts a Ray head for tests: own folder, ports, token and processes."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

START_SECONDS = 180
POLL_SECONDS = 0.1
# Every process that a head starts inherits it, whatever group and parent it ends up with.
MARK = "INTERLINGUA_TEST_HEAD"


@dataclass(frozen=True, slots=True)
class Head:
    """A Ray head; `environment` is what its clients need, and all that they share with it."""

    port: int
    jobs_url: str
    folder: Path
    environment: dict[str, str]

    @property
    def address(self) -> str:
        """What RAY_ADDRESS says for this head."""
        return f"127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def ray_head(wait_until_gone) -> Iterator[Head]:
    """A Ray head with its dashboard, for the whole session of tests."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: socket paths end at 107 characters
    port, jobs_port, client_port, agent_port = free_ports(4)
    client = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    bin_folder = Path(sys.executable).parent
    environment = os.environ | client | {
        MARK: str(folder),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }  # fmt: skip
    command = [
        bin_folder / "ray", "start", "--head", "--block", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", f"--port={port}", f"--dashboard-port={jobs_port}",
        f"--ray-client-server-port={client_port}", f"--dashboard-agent-listen-port={agent_port}",
        "--min-worker-port=0", "--max-worker-port=0", "--num-cpus=4",
        f"--object-store-memory={100 * 2**20}", f"--temp-dir={folder}",
    ]  # fmt: skip
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{jobs_port}"
        wait_for_jobs(url, process, folder / "start.log")
        yield Head(port, url, folder, client)
    finally:
        # All at once, because Ray's own way takes half a minute; workers follow by themselves.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until_gone(MARK, str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; the system's own choice lies outside of Ray's 10002-19999."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for_jobs(url: str, process: subprocess.Popen, log: Path) -> None:
    """Return when the head answers questions about jobs."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/api/version", timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.UNAUTHORIZED:
                return  # it is there and wants the token
        except OSError:
            pass  # not there yet
        time.sleep(POLL_SECONDS)
    pytest.fail(f"the Ray head did not start:\n{log.read_text()[-2000:]}")
