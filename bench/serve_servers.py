"""Servers of one bundle, each in processes of its own on one core, up at once.

One is measured while the others wait.
"""

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from bench.serve_peers import PLAIN

SERVER_CORE = 0
OURS, OURS_RAY = "ours in one process", "ours on Ray Serve"
UNBATCHED, COLLECTED, BATCHED = "FastAPI unbatched", "FastAPI collector", "@serve.batch"
VARIANTS = (OURS, OURS_RAY, UNBATCHED, COLLECTED, BATCHED)

Addresses = tuple[dict[str, str], dict[str, int]]  # addresses and process ids of servers, by name


@contextmanager
def servers(bundle: Path, variants: tuple[str, ...]) -> Iterator[Addresses]:
    """Addresses and processes of all servers, which wait while another is measured."""
    kinds = {
        OURS: ("ours", "/v1/verbalize"),
        OURS_RAY: ("ray", "/v1/verbalize"),
        UNBATCHED: ("unbatched", "/"),
        COLLECTED: ("collected", "/"),
        BATCHED: ("ray", PLAIN),
    }
    wanted = list(dict.fromkeys(kinds[name][0] for name in variants))
    ports = {kind: 8431 + place for place, kind in enumerate(wanted)}
    running = [_started(kind, bundle, port) for kind, port in ports.items()]
    try:
        pids = {kind: process.pid for kind, process in zip(wanted, running, strict=True)}
        yield (
            {
                name: f"http://127.0.0.1:{ports[kinds[name][0]]}{kinds[name][1]}"
                for name in variants
            },
            {name: pids[kinds[name][0]] for name in variants},
        )
    finally:
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        for process in running:
            process.wait(120)


def _started(kind: str, bundle: Path, port: int) -> "subprocess.Popen[bytes]":
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "bench.serve_peers"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, kind, str(bundle), str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        _wait_for(process, f"http://127.0.0.1:{port}", log, is_ray=kind == "ray")
    return process


def _wait_for(process: "subprocess.Popen[bytes]", url: str, log: Any, *, is_ray: bool) -> None:
    path = "/v1/models" if is_ray else "/openapi.json"
    for _ in range(600):
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(url + path, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(log.read().decode()[-3000:]) from None
    raise SystemExit(f"{url} did not come up")


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a server with all that it started."""
    process, total_s = psutil.Process(pid), 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total_s += times.user + times.system
    return total_s
