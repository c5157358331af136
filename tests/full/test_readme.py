"""README's commands are run, block by block, in a copy of the repository, as a new user would.

The first builds the demo in miniature; what comes after it finds `runs/` by README's own patterns.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from tests import readme
from tests.cluster.conftest import ray_head
from tests.readme import README, REPOSITORY, Kind
from tests.skipping import lacking

from interlingua.cluster.head import Head, free_ports

__all__ = ["ray_head"]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]

KINDS = {Kind.SETS, Kind.INSTALLS, Kind.SERVES, Kind.ASKS, Kind.SUBMITS, Kind.RUNS}
PORT = re.compile(r"127\.0\.0\.1:(\d+)|--port (\d+)")
SILENT = r"ls |\. |python docs/|.* mkdocs build "  # they print nothing where all is well
START_SECONDS, END_SECONDS = 300, 150
WHEEL = "{name}-{version}-py3-none-any.whl"


class Home(NamedTuple):
    """A copy of the repository, and what is there in place of what README names."""

    folder: Path
    environment: dict[str, str]
    values: dict[str, str]


def all_blocks() -> list[list[str]]:
    """The commands that are run here, by block."""
    found = defaultdict(list)
    for command in readme.commands(README.read_text()):
        for line in readme.expanded(command):
            if readme.kind_of(line.text) in KINDS:
                found[line.block].append(line.text)
    return list(found.values())


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    """A new user's clone, with `interlingua` and `python` on its path, and the demo in it."""
    folder = tmp_path_factory.mktemp("readme") / "interlingua"
    left_out = shutil.ignore_patterns(".git", ".venv*", "runs", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, folder, ignore=left_out)
    (folder / ".venv").symlink_to(sys.prefix)
    programs = folder.parent / "bin"
    programs.mkdir()
    (programs / "interlingua").write_text('#!/bin/sh\nexec python -m interlingua "$@"\n')
    (programs / "interlingua").chmod(0o755)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}
    }
    environment |= {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{folder / 'platform'}:{folder}",
    }
    made = Home(folder, environment, {})
    ended(made, f"python -m jobs.run {readme.MINI}")
    [host] = folder.glob("runs/host/toy-rugpt3-large-*")
    made.values.update(root=str(folder / "runs"), model=str(host))
    return made


def ended(home: Home, line: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(
        ["bash", "-c", line], cwd=home.folder, env=home.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    codes = readme.PREFLIGHT_CODES if "--preflight" in line else {0}
    assert done.returncode in codes, f"{line}\n{done.stdout[-4000:]}"
    return done.stdout


def test_what_readme_shows_is_what_the_demo_prints(demo_folder, monkeypatch, capsys):
    """Word by word it holds on one kind of machine; what it says is true holds on every one."""
    text = README.read_text()
    [snippet] = [one.body for one in readme.blocks(text) if "nla.verbalize(" in one.body]
    shown = re.findall(r"^print\(.*\)  # (.+)$", snippet, flags=re.M)
    monkeypatch.chdir(demo_folder)
    exec(compile(snippet, "README", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    [facts] = re.findall(r"^(\w+, \w+, \w+ and \w+) are true of this sentence", text, flags=re.M)
    named = re.sub(r",| and", "", facts).lower().split()
    for explanation in (shown[0], printed[0]):
        assert all(fact in explanation for fact in named), explanation
    assert printed[1] == shown[1].partition(":")[0]


def test_the_explanations_that_readme_shows_are_of_these_passages(demo_folder):
    """Passages and what is true of them are those of every machine; wordings are of one."""
    text = README.read_text()
    [command] = re.findall(r"^interlingua (verbalize .*)$", text, flags=re.M)
    [shown] = [one.body for one in readme.blocks(text) if ", cosine " in one.body]
    line = f"{sys.executable} -m interlingua {command}"
    done = subprocess.run(["bash", "-c", line], cwd=demo_folder, capture_output=True, text=True)
    printed = squeezed(done.stdout)
    assert done.returncode == 0 and printed.count(", cosine ") == 10, done.stderr
    for title, passage, explanation, true in map(str.splitlines, shown.split("\n\n")):
        title = title.rpartition(" ")[0]
        assert re.search(rf"{title} \S+ {re.escape(passage)} .+\. {re.escape(true)} ", printed)
        assert explanation.endswith(".")


def test_the_end_of_a_run_has_the_lines_that_readme_shows(home):
    """By their first words: numbers, and what is true, are those of models that learned more."""
    [shown] = [one.body for one in readme.blocks(README.read_text()) if "Gates: " in one.body]
    printed = ended(home, f"interlingua run {readme.MINI}")
    first = "The words carry|Trivial systems carry|RL|Gates|report|all runs"
    wanted = re.findall(rf"^({first})\b", shown, flags=re.M)
    assert len(wanted) == 6
    for words in wanted:
        assert re.search(rf"^{words}\b", printed, flags=re.M), words


def squeezed(printed: str) -> str:
    """The words of panels, without their frames and line breaks."""
    return " ".join(re.sub(r"[^\x00-\x7f]", " ", printed).split())


@pytest.fixture
def demo_folder() -> Path:
    """The folder of a finished demo: that of `make demo` in this checkout."""
    if not list(REPOSITORY.glob("runs/bundle/demo-rl-*")):
        lacking("no finished demo in runs/: what README shows was not compared")
    return REPOSITORY


@pytest.mark.parametrize("lines", all_blocks(), ids=lambda lines: lines[0][:60])
def test_the_commands_of_a_block_end_well(lines, home, request):
    if any(readme.kind_of(line) is Kind.SUBMITS for line in lines):
        home = on_cluster(home, request.getfixturevalue("ray_head"))
    asked = [line for line in lines if readme.kind_of(line) is Kind.ASKS]
    for line in lines:
        kind, small = readme.kind_of(line), filled(readme.smallest(line), home.values)
        if kind is Kind.SERVES:
            served(home, small, asked)
            asked = []  # by the first server that they are of
        elif kind is Kind.INSTALLS:
            installed(home, small)
        elif kind is Kind.SETS:
            assert set(re.findall(r"(\w+)=", small)) <= home.environment.keys()
        elif kind is not Kind.ASKS:
            if ".venv-docs" in small:
                ended(home, "make .venv-docs/.ready PYTHON=python")
            assert ended(home, small).strip() or re.match(SILENT, small)
    assert not asked, f"no server is started in the block of {asked}"


def on_cluster(home: Home, head: Head) -> Home:
    """The same, for commands that submit to this cluster; others start one of their own."""
    return home._replace(
        environment=home.environment | head.environment,
        values=home.values | {"jobs_url": head.jobs_url},
    )


def filled(line: str, values: dict[str, str]) -> str:
    """The command with what is here in place of what README names."""
    for name, value in values.items():
        line = line.replace(f"{{{name}}}", value)
    return line


def served(home: Home, line: str, asks: list[str]) -> None:
    """Start the server on a port of its own, wait for an answer, ask what README asks, end it."""
    [port] = free_ports(1)
    command = re.sub(r" --port \d+", "", line) + f" --port {port}"
    log = home.folder.parent / f"server-{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=home.folder, env=home.environment,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        page = "explorer/" if "serve" in line else ""  # as README says where to go
        wait_for_page(process, f"http://127.0.0.1:{port}/{page}", log)
        for ask in asks:
            small = filled(readme.smallest(PORT.sub(f"127.0.0.1:{port}", ask)), home.values)
            assert ended(home, small.replace("curl ", "curl -sS --fail-with-body ", 1)).strip()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(END_SECONDS)


def wait_for_page(process: subprocess.Popen, url: str, log: Path) -> None:
    """Return when the page is there; Ray Serve answers 404 until it is."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)  # not there yet; asked again
    raise AssertionError(f"no page at {url}:\n{log.read_text()[-4000:]}")


def installed(home: Home, line: str) -> None:
    """Ask pip for what the command names, of a folder that has it, and let it install nothing."""
    wheels = home.folder.parent / "wheels"
    wheels.mkdir(exist_ok=True)
    for name, version in re.findall(r"\b([\w-]+)==([\w.]+)", line):
        empty_wheel(wheels, name, version)
    small = re.sub(r"\S*pip install", "python -m pip install --dry-run --ignore-installed", line)
    small = re.sub(r"--index-url \S+", f"--no-index --find-links {wheels}", small)
    assert "Would install" in ended(home, small)


def empty_wheel(folder: Path, name: str, version: str) -> None:
    """A distribution of that name and version, with nothing in it."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / WHEEL.format(name=name, version=version), "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
