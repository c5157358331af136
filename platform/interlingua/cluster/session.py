"""Attach to a Ray cluster, or start a private one: the one place for flags and environment.

Knows no stage. A private cluster has its own folder, ports and token, and dies with its driver.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ADDRESS_VARIABLE = "RAY_ADDRESS"
# Twice the cores: a stage asks for two, and what only waits may ask for one.
LOGICAL_CPUS_PER_CORE = 2
OBJECT_STORE_BYTES = 100 * 2**20  # results are records; tensors go through files

# Read by Ray's processes when they start, so they must be set before.
_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # by default Ray's workers run at nice 15
}
# One thread a process: more of them fight for the cores and are slower even when alone.
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@contextmanager
def ray_session() -> Iterator[Any]:
    """The `ray` module, connected: to RAY_ADDRESS where it is set, else to a private cluster."""
    address = os.environ.get(ADDRESS_VARIABLE)
    with _attached(address) if address else _private() as ray:
        yield ray


@contextmanager
def _attached(address: str) -> Iterator[Any]:
    import ray

    # A submitted job brings its own runtime environment; Ray merges ours into it.
    ray.init(address=address, log_to_driver=False, runtime_env={"env_vars": WORKER_ENVIRONMENT})
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _private() -> Iterator[Any]:
    folder = tempfile.mkdtemp(prefix="ray-")  # short: socket paths end at 107 characters
    ours = {**_RAY_ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        import ray

        ray.init(
            address="local",
            num_cpus=LOGICAL_CPUS_PER_CORE * len(os.sched_getaffinity(0)),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": WORKER_ENVIRONMENT},
            _temp_dir=folder,
        )
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)
