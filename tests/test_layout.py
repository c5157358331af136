"""The layout holds: `platform` is the standard library's, and imports go one way only."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "platform"

# A room may import the rooms to its right; rooms of one place do not know each other. `__init__` is
# what `import interlingua` offers.
ROOMS = [
    {"jobs", "tuners", "serve"},
    {"__main__"},
    {"commands"},
    {"cluster"},
    {"sweeps"},
    {"recipes"},
    {"stages"},
    {"__init__", "probes", "report", "serving"},
    {"world"},
    {"sources"},
    {"models"},
    {"store", "tracking"},
    {"core"},
    {"published"},
    {"memory"},
    {"specs"},
]
# The wings of a large room, in the same way; a file that lies beside them knows none of them.
WINGS = {
    "commands": ("touring", "sweeping", "building", "watching", "auditing", "using"),
    "stages": ("graph", "rl", "evaluation", "nla", "sft", "maps", "rows", "running"),
    "serving": ("explorer", "own", "protocols", "client", "engines", "http"),
    "models": ("bundle", "sampling", "pair", "hosts"),
    "report": ("page", "figures", "terminal", "headline", "tables", "gates"),
}
ENCODER_FIT = "interlingua.stages.maps.encoder"
MOST_FILES_OF_A_FIT = 30
MOST_ENTRIES, MOST_FILES = 10, 25  # of a room that is divided into wings, of one that is not
MOST_LINES, MOST_FUNCTION_LINES = 300, 40  # of a file, of a function with its docstring
# Importable in milliseconds: a dry run and `--help` need no more.
STANDARD_ONLY = {"specs", "memory", "published"}
PROGRAMS = ROOMS[0]
PLACES = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}
# Takes recorded rows: no model, no world.
REPORT_KNOWS = {"store", "core", "published", "specs"}
KNOW_WORLD = {"world", "recipes"}
# Where an outside library may be imported.
OWNERS = {
    "ray": {"cluster", *PROGRAMS},
    "deepspeed": {"cluster", *PROGRAMS},
    "mlflow": {"tracking"},
    "transformers": {"models", "world"},
    "peft": {"models", "world"},
    "tokenizers": {"models", "world"},
    "huggingface_hub": {"models"},
    "openai": {"sources"},
}


def violations(module: str, source: str) -> list[str]:
    """What the source of a module (`interlingua.core.affine`, `jobs.run`) imports but must not."""
    return [
        f"{module}:{line}: {room_of(module)} imports {imported}"
        for line, imported in imports(module, ast.parse(source))
        if not is_allowed(module, imported)
    ]


def imports(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_allowed(module: str, imported: str) -> bool:
    importer, library = room_of(module), imported.partition(".")[0]
    if importer in STANDARD_ONLY and library != "interlingua":
        return library in sys.stdlib_module_names
    if library in OWNERS:
        return importer in OWNERS[library]
    if library != "interlingua" and library not in PROGRAMS:
        return True
    room = room_of(imported)
    if room not in PLACES:
        return False
    if importer == "report":
        return room in REPORT_KNOWS | {"report"}
    if room == "world":  # one corpus among others: its specs name the modules that open it
        return importer in KNOW_WORLD
    return room == importer or PLACES[room] > PLACES[importer]


def room_of(module: str) -> str:
    """`interlingua.core.affine` lies in core, `jobs.run` in jobs."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "interlingua" else first


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the project by its name, without tests."""
    for path in SOURCE.rglob("*.py"):
        yield ".".join(path.relative_to(SOURCE).with_suffix("").parts), path
    for program in PROGRAMS:
        for path in (REPOSITORY / program).rglob("*.py"):
            yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts), path


def test_imports_go_to_the_right_only() -> None:
    found = dict(modules())
    assert {room_of(name) for name in found} >= {"jobs", "cluster", "stages", "store", "specs"}
    for name, path in found.items():
        assert violations(name, path.read_text()) == []


def test_every_room_has_a_place() -> None:
    names = {path.stem for path in (SOURCE / "interlingua").iterdir() if path.suffix == ".py"}
    folders = {path.parent.name for path in (SOURCE / "interlingua").glob("*/*.py")}
    assert (names | folders) - {"__init__"} <= PLACES.keys()


def arrows() -> dict[str, set[str]]:
    """Which modules of the project each module imports, wherever in it."""
    found = dict(modules())
    return {
        name: {
            known
            for _, imported in imports(name, ast.parse(path.read_text()))
            for known in (imported, imported.rpartition(".")[0])
            if known in found and known != name
        }
        for name, path in found.items()
    }


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring; none where there is no ring."""
    done: set[str] = set()

    def walk(name: str, above: list[str]) -> list[str]:
        if name in above:
            return above[above.index(name) :]
        if name in done:
            return []
        rings = (walk(other, [*above, name]) for other in sorted(graph[name]))
        ring = next(filter(None, rings), [])
        done.add(name)
        return ring

    return next(filter(None, (walk(name, []) for name in sorted(graph))), [])


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circle_in(arrows()) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_a_fit_of_an_encoder_can_be_read_in_an_hour() -> None:
    """All that it imports, and what that imports."""
    graph, found = arrows(), {ENCODER_FIT}
    while more := set().union(*(graph[name] for name in found)) - found:
        found |= more
    assert len(found) <= MOST_FILES_OF_A_FIT, sorted(found)


@pytest.mark.parametrize("room", WINGS)
def test_wings_import_to_the_right_only(room: str) -> None:
    wings = (*WINGS[room], "")
    wing = {
        name: parts[2] if len(parts) == 4 else ""
        for name in arrows()
        if (parts := name.split("."))[:2] == ["interlingua", room]
    }
    assert set(wing.values()) == set(wings)
    up = [
        (name, other)
        for name, others in arrows().items()
        for other in others & wing.keys()
        if name in wing and wings.index(wing[other]) < wings.index(wing[name])
    ]
    assert up == []


def test_a_room_with_many_files_is_divided() -> None:
    for room in (SOURCE / "interlingua").iterdir():
        if room.is_dir() and room.name != "__pycache__":
            entries = [path for path in room.iterdir() if path.name != "__pycache__"]
            assert len(entries) <= (MOST_ENTRIES if room.name in WINGS else MOST_FILES), room


def too_long(where: str, source: str) -> list[str]:
    """The functions of a source that are above the cap, and the source itself if it is."""
    num_lines = len(source.splitlines())
    found = [f"{where}: {num_lines} lines"] if num_lines > MOST_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            num_lines = node.end_lineno - node.lineno + 1
            if num_lines > MOST_FUNCTION_LINES:
                found.append(f"{where}:{node.lineno}: {node.name} has {num_lines} lines")
    return found


def test_no_function_and_no_file_is_above_its_cap() -> None:
    found = [
        line
        for _, path in modules()
        for line in too_long(str(path.relative_to(REPOSITORY)), path.read_text())
    ]
    assert found == []


def test_what_is_above_a_cap_is_found() -> None:
    method = "class A:\n    async def f():\n" + "        pass\n" * MOST_FUNCTION_LINES
    assert too_long("a.py", method) == [f"a.py:2: f has {MOST_FUNCTION_LINES + 1} lines"]
    assert too_long("a.py", method.replace("        pass\n", "", 1)) == []
    assert too_long("b.py", "\n" * (MOST_LINES + 1)) == [f"b.py: {MOST_LINES + 1} lines"]
    assert too_long("b.py", "\n" * MOST_LINES) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("interlingua.core.affine", "import interlingua.store.rows.shards"),
        ("interlingua.core.affine", "from interlingua import store"),
        (
            "interlingua.core.affine",
            "def f():\n    from interlingua.store.rows.shards import Shard",
        ),
        ("interlingua.core.affine", "from ..store import shards"),
        ("interlingua.stages.sft.stage", "import ray.train"),
        ("interlingua.stages.sft.stage", "from transformers import AutoModel"),
        ("interlingua.stages.sft.stage", "from interlingua.cluster.session import ray_session"),
        ("interlingua.stages.sft.stage", "import interlingua.recipes.registry"),
        ("interlingua.stages.sft.stage", "import mlflow"),
        ("interlingua.store.bundle", "from interlingua.tracking import Tracker"),
        ("interlingua.probes.fve", "from interlingua.report.terminal.tables import table"),
        ("interlingua.report.page.page", "from interlingua.models.bundle.nla import NLA"),
        ("interlingua.models.pair.trunk", "async def f():\n    import deepspeed"),
        ("interlingua.specs.rl", "import torch"),
        ("interlingua.specs.rl", "def f():\n    import numpy as np"),
        ("interlingua.specs.rl", "from interlingua.core.affine import Affine"),
        ("interlingua.cluster.roles", "import mlflow"),
        ("interlingua.core.affine", "import interlingua"),
        ("tuners.slots", "from jobs.run import main"),
        ("serve.app", "from jobs.run import main"),
        ("interlingua.stages.rows.passages", "from interlingua.world.text import tellings"),
        (
            "interlingua.commands.building.build",
            "def f():\n    from interlingua.world.stand_ins import x",
        ),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("interlingua.core.affine", "import torch\nfrom interlingua.core.linear import ridge"),
        ("interlingua.core.affine", "from .linear import ridge"),
        ("interlingua.cluster.roles", "def f():\n    import ray\n    import deepspeed"),
        ("interlingua.report.page.page", "from interlingua.store.record import Record"),
        ("interlingua.tracking", "def f():\n    import mlflow"),
        ("interlingua.world.hosts", "from transformers import AutoConfig"),
        ("interlingua.specs.rl", "import math\nfrom interlingua.specs.checks import check_share"),
        ("jobs.add_host", "import ray\nfrom interlingua.commands.command_line import parser"),
        ("tuners.slots", "from interlingua.recipes.world import world"),
    ],
)
def test_an_allowed_import_is_not(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_the_source_root_is_no_package() -> None:
    """With an __init__.py, `platform` would be ours, and Ray, uuid and pytest would break."""
    assert not (SOURCE / "__init__.py").exists()
    for program in PROGRAMS:
        assert not (REPOSITORY / program / "__init__.py").exists()


@pytest.mark.parametrize("python_path", [None, "."], ids=["plain", "PYTHONPATH=."])
@pytest.mark.parametrize("how", ["-c", "pytest"])
def test_platform_is_that_of_the_standard_library(tmp_path, python_path, how) -> None:
    program = "import platform, uuid; assert platform.system() and uuid.uuid4()"
    if how == "pytest":
        test = tmp_path / "test_platform.py"
        test.write_text(f"def test_it():\n    {program}\n")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test)]
    else:
        command = [sys.executable, "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path:
        environment["PYTHONPATH"] = python_path
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.ray
def test_what_starts_a_cluster_is_in_one_group(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@ray")
