"""A server of bundles on Ray Serve in a process of its own, for tests that ask it over HTTP."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress

import psutil

from interlingua.cluster.head import free_ports

PATIENCE_SECONDS = 180
REPLICA = "ray::ServeReplica:interlingua:"


class Server:
    """`python -m serve.app`, whose models break on marked items, in a process of its own."""

    def __init__(self, *arguments):
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        program = "tests.cluster.programs.breaking_serve"
        command = [sys.executable, "-m", program, *map(str, arguments), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        self.lines.extend(self.process.stdout)

    def wait(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(line.startswith("serving ") for line in self.lines):
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.1)
        return self

    def ask(self, path, body=None, timeout=PATIENCE_SECONDS):
        """Status and answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def replicas(self):
        """The part that each of its replicas runs, by process id."""
        found = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                title = " ".join(process.cmdline())
                if title.startswith(REPLICA):
                    found[process.pid] = re.split(r"[. ]", title.removeprefix(REPLICA))[0]
        return found

    def stop(self):
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def started(*arguments):
    """A server that answers, for as long as the block runs."""
    server = Server(*arguments)
    try:
        yield server.wait()
    finally:
        server.stop()
