"""Attach to a Ray cluster, or start a private one: the one place for flags and environment.

Knows no stage. A private cluster has its own folder, ports and token, and dies with its driver.
"""

import fcntl
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interlingua.store.atomic import StorageFull
from interlingua.store.provenance import driver_environment

ADDRESS_VARIABLE = "RAY_ADDRESS"
FOLDER_PREFIX = "ray-"  # short: see SOCKET
# The longest path that Ray makes in its folder, and the most that a socket's may have.
SOCKET = "/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"
MAX_SOCKET_BYTES = 107
LEAST_FREE_BYTES = 200 * 2**20  # for logs; Ray's own words for a full disk name neither
DRIVER_MARK = "driver"
# Twice the cores: a stage asks for two, and what only waits may ask for one.
LOGICAL_CPUS_PER_CORE = 2
CONNECT_SECONDS = 10.0
OBJECT_STORE_BYTES = 100 * 2**20  # results are records; tensors go through files

# Read by Ray's processes when they start, so they must be set before.
_PRIVATE_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # by default Ray's workers run at nice 15
}
# What workers print comes out of the driver, too: as plain lines, also on a terminal.
_DRIVER_ENVIRONMENT = {"RAY_COLOR_PREFIX": "0"}
WORKER_ENVIRONMENT = {
    # One thread a process: more of them fight for the cores and are slower even when alone.
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Without it a process that asks for no GPU sees all of them.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Warnings and crashes are worth a line in the driver's log; bars and advice are not.
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class RayNotStarted(RuntimeError):
    """A private cluster did not come up."""


class RayLost(RuntimeError):
    """A process of the private cluster is gone, and with it all that ran there."""


@contextmanager
def ray_session(variables: Mapping[str, str] | None = None) -> Iterator[Any]:
    """The `ray` module, connected: to RAY_ADDRESS where it is set, else to a private cluster.

    `variables` are set in this process and in all workers.
    """
    variables = dict(variables or {})
    address = os.environ.get(ADDRESS_VARIABLE)
    with (
        _environment({**_DRIVER_ENVIRONMENT, **variables}),
        _attached(address, variables) if address else _private(variables) as ray,
    ):
        yield ray


def check_processes() -> None:
    """Raise RayLost where a process of our own cluster has died: Ray would wait, or end us."""
    import ray

    node = ray._private.worker._global_node
    if dead := node.dead_processes() if node is not None else []:
        names = ", ".join(sorted({kind for kind, _ in dead}))
        raise RayLost(
            f"Ray's own processes died ({names}); the usual cause is memory. Run the same command "
            "again to go on: what is finished is kept, and what was running has its checkpoints"
        )


def is_private() -> bool:
    """True where sessions start a cluster of their own."""
    return ADDRESS_VARIABLE not in os.environ


def cpus_at_most(ray: Any) -> float:
    """The CPUs of a private cluster; no limit where one is attached, which may grow when asked."""
    if not is_private():
        return math.inf
    return float(ray.cluster_resources()["CPU"])


def read_authentication_again() -> None:
    """Let Ray take mode and token from the environment of now.

    It reads them once a process: when it is imported, and in the first session.
    """
    # Ray has no public way; its stub of this module leaves both out.
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def quiet_worker() -> None:
    """Run in every worker process as it starts: Ray Train's messages about itself are no user's.

    Its cleaner asks the dashboard, which a private cluster does not have, and says so every second.
    """
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    quiet_libraries()


def quiet_libraries() -> None:
    """Let DeepSpeed, which the libraries of models import, say what is wrong and nothing else.

    As a filter: its own import sets the level of its logger.
    """
    logging.getLogger("DeepSpeed").addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextmanager
def _attached(address: str, variables: Mapping[str, str]) -> Iterator[Any]:
    _check_answers(address)
    import ray

    read_authentication_again()
    # In a submitted job Ray merges the job's runtime environment into ours.
    with restored_handler(signal.SIGTERM):
        ray.init(address=address, **_flags(variables))
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _private(variables: Mapping[str, str]) -> Iterator[Any]:
    token = {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _own_folder() as folder, _environment({**_PRIVATE_ENVIRONMENT, **token}):
        import ray

        read_authentication_again()
        _check_folder(folder)
        try:
            with restored_handler(signal.SIGTERM):
                ray.init(
                    address="local",
                    num_cpus=LOGICAL_CPUS_PER_CORE * len(os.sched_getaffinity(0)),
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _temp_dir=folder,
                    **_flags(variables),
                )
        except Exception as error:  # Ray raises bare ones
            raise RayNotStarted(
                f"Ray did not start in {folder} ({' '.join(str(error).split())}); where the "
                "machine is busy or short of memory, run the same command again"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def restored_handler(number: signal.Signals) -> Iterator[None]:
    """Put back what handles a signal: Ray installs its own, and never takes it away."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        with suppress(ValueError):  # not the main thread: then nothing was installed either
            signal.signal(number, before)


def _check_folder(folder: str) -> None:
    if len(os.fsencode(folder + SOCKET)) > MAX_SOCKET_BYTES:
        raise ValueError(
            f"TMPDIR is {tempfile.gettempdir()}; Ray's sockets in it would have paths of more "
            f"than {MAX_SOCKET_BYTES} bytes: set TMPDIR to a shorter folder, /tmp say"
        )
    if (free := shutil.disk_usage(folder).free) < LEAST_FREE_BYTES:
        raise StorageFull(
            f"TMPDIR is {tempfile.gettempdir()}, with {free / 2**20:.0f} MiB free; Ray needs "
            f"{LEAST_FREE_BYTES / 2**20:.0f} MiB for its logs: make room, or set TMPDIR elsewhere"
        )


@contextmanager
def _own_folder() -> Iterator[str]:
    """A new folder, removed after the block; those that killed drivers left are removed first."""
    for mark in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*/{DRIVER_MARK}"):
        # A driver that lives holds the lock, and the folders of other users are not ours.
        with suppress(OSError), mark.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(mark.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    unlocked = folder / f"{DRIVER_MARK}.tmp"
    # Locked before it has the name that is searched for: a sweep never finds it without a lock.
    with unlocked.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(folder / DRIVER_MARK)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_answers(address: str) -> None:
    """Raise unless a cluster may be there: Ray itself tries for two minutes before it says so."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{ADDRESS_VARIABLE} is {address}; it must be host:port of a Ray head")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ConnectionError(
            f"{ADDRESS_VARIABLE} is {address}, but nobody answers there ({error}); "
            "correct it, or unset it to run on a private Ray"
        ) from error


def _flags(variables: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of ray.init that all sessions share."""
    variables = {**WORKER_ENVIRONMENT, **driver_environment(), **variables}
    hook = f"{__name__}.{quiet_worker.__name__}"
    runtime_env = {"env_vars": variables, "worker_process_setup_hook": hook}
    return {"logging_level": "ERROR", "runtime_env": runtime_env}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set these variables for the block, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
