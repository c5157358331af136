"""Settings for every test: no deadlines on shared machines, no hub, one thread a process."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from interlingua.cluster.local import local_context

settings.register_profile("interlingua", deadline=None)
settings.load_profile("interlingua")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(scope="session")
def mini_root(tmp_path_factory) -> Path:
    """A run root with world_mini up to what its models learn from, disturbed by nothing."""
    return _built_mini(tmp_path_factory.mktemp("mini"), is_whole=False)


@pytest.fixture(scope="session")
def mini_nla_root(mini_root, tmp_path_factory) -> Path:
    """The same with the two models and everything after them, in a root of its own."""
    root = tmp_path_factory.mktemp("mini_nla") / "root"
    shutil.copytree(mini_root, root, copy_function=os.link)
    return _built_mini(root, is_whole=True)


def _built_mini(root: Path, *, is_whole: bool) -> Path:
    from interlingua.cluster.local import LocalBackend
    from interlingua.recipes.registry import world_mini
    from interlingua.stages.graph.order import graph_of
    from interlingua.stages.running.console import ConsoleWatcher

    later = {
        "av", "ar", "verbalized", "decoder", "bundle", "heard", "scored", "methods",
        "evaluation", "report", "rl",
    }  # fmt: skip
    stages = [stage for stage in graph_of(world_mini()) if is_whole or stage.kind not in later]
    with ConsoleWatcher(root, stages) as watcher:
        context = local_context(world_mini().placement)
        LocalBackend().build_all(stages, root, context, watcher)
    return root


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start Python with these arguments; what still runs when the test ends is killed."""
    started = []

    def start(*arguments, **options) -> subprocess.Popen:
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def wait_until_gone() -> Callable[[str, str], None]:
    """Waits for the end of all processes that were started with a variable set to a value."""

    def wait(variable: str, value: str, seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        while left := started_with(f"{variable}={value}".encode()):
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.2)

    return wait


def started_with(entry: bytes) -> list[str]:
    """Every other process whose first environment had the entry: pid and command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            entries = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is somebody else's
        if entry in entries and folder.name != str(os.getpid()):
            found.append(f"{folder.name} {command[:100]}")
    return found
