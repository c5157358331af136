"""Settings for every test: no deadlines on shared machines, no hub, one thread a process."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from interlingua.cluster.local import local_context

settings.register_profile("interlingua", deadline=None)
settings.load_profile("interlingua")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.hookimpl(tryfirst=True)  # before the scheduler of both workers reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a cluster runs in one worker, one after the other; so do browsers, in theirs.

    Tests that share what was made for their module do as well: in two workers it is made twice.
    """
    for item in items:
        # Two groups: clusters alone take one worker from the first test to the last.
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        elif "browser" in item.path.name:
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif _shares_within_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares_within_its_module(item: pytest.Item) -> bool:
    defined = item._fixtureinfo.name2fixturedefs.values()
    return any(one.scope == "module" for several in defined for one in several)


@pytest.fixture(scope="session")
def mini_root(tmp_path_factory) -> Path:
    """A run root with world_mini up to what its models learn from, disturbed by nothing."""
    return _shared(tmp_path_factory, "mini", lambda root: _build_mini(root, is_whole=False))


@pytest.fixture(scope="session")
def mini_nla_root(mini_root, tmp_path_factory) -> Path:
    """The same with the two models and everything after them, in a root of its own."""

    def build(root: Path) -> None:
        shutil.copytree(mini_root, root, copy_function=os.link, dirs_exist_ok=True)
        _build_mini(root, is_whole=True)

    return _shared(tmp_path_factory, "mini_nla", build)


def _shared(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A root that the first worker which asks for it builds, for all of them."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    root, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            root.mkdir()
            build(root)
            done.touch()
    return root


def _build_mini(root: Path, *, is_whole: bool) -> None:
    from interlingua.cluster.local import LocalBackend
    from interlingua.recipes.world import world_mini
    from interlingua.stages.graph.order import graph_of
    from interlingua.stages.running.console import ConsoleWatcher

    later = {
        "av", "ar", "verbalized", "decoder", "bundle", "reconstructed", "nearest", "likelihood",
        "scored", "methods", "evaluation", "report", "rl",
    }  # fmt: skip
    stages = [stage for stage in graph_of(world_mini()) if is_whole or stage.kind not in later]
    with ConsoleWatcher(root, stages) as watcher:
        context = local_context(world_mini().placement)
        LocalBackend().build_all(stages, root, context, watcher)


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
        process.wait()
        process.stdout.close()


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
