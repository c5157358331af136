"""A Ray head of this machine in processes of its own: `ray start --head`, with its own token.

It takes free ports and a folder of its own, and is ended by its process group: other clusters of
the machine, and of the user, go on.
"""

import json
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from interlingua.cluster.session import (
    FOLDER_PREFIX,
    OBJECT_STORE_BYTES,
    RayNotStarted,
)

START_SECONDS = 180
POLL_SECONDS = 0.1
ADDRESS = "127.0.0.1"
BIN_FOLDER = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Head:
    """A Ray head; `environment` is what its clients need, and all that they share with it."""

    port: int
    jobs_url: str
    folder: Path
    environment: dict[str, str]

    @property
    def address(self) -> str:
        """The value of RAY_ADDRESS for this head."""
        return f"{ADDRESS}:{self.port}"


@contextmanager
def ray_head(
    *,
    num_cpus: int,
    num_gpus: int = 0,
    variables: Mapping[str, str] | None = None,
    autoscaling: Callable[[str], Mapping[str, Any]] | None = None,
) -> Iterator[Head]:
    """A head with its dashboard while the block runs; its processes have these `variables`.

    `autoscaling` is a configuration of an autoscaler, given the head's address.
    """
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    port, jobs_port, client_port, agent_port = free_ports(4)
    client = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = os.environ | client | {
        "PATH": f"{BIN_FOLDER}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # by default Ray's workers run at nice 15
        **(variables or {}),
    }  # fmt: skip
    command = _command((port, jobs_port, client_port, agent_port), folder)
    command += [f"--num-cpus={num_cpus}", f"--num-gpus={num_gpus}"]
    if autoscaling is not None:
        config = folder / "autoscaling.json"
        config.write_text(json.dumps(autoscaling(f"{ADDRESS}:{port}")))
        command.append(f"--autoscaling-config={config}")
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://{ADDRESS}:{jobs_port}"
        _wait_for_jobs(url, process, folder / "start.log")
        yield Head(port, url, folder, client)
    finally:
        # All at once, because Ray's own way takes half a minute; workers follow by themselves.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; the system's own choice lies outside of Ray's 10002-19999."""
    sockets = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _command(ports: Sequence[int], folder: Path) -> list[str]:
    port, jobs_port, client_port, agent_port = ports
    return [
        str(BIN_FOLDER / "ray"), "start", "--head", "--block", "--disable-usage-stats",
        f"--node-ip-address={ADDRESS}", f"--port={port}", f"--dashboard-port={jobs_port}",
        f"--ray-client-server-port={client_port}", f"--dashboard-agent-listen-port={agent_port}",
        "--min-worker-port=0", "--max-worker-port=0", 
        f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={folder}",
    ]  # fmt: skip


def _wait_for_jobs(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
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
    raise RayNotStarted(f"the Ray head did not start:\n{log.read_text()[-2000:]}")
