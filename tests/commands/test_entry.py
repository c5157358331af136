"""`interlingua VERB`: the same command lines as `python -m jobs.X`, under one name."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from interlingua.commands.entry import SWEEPS, VERBS, Verb, main, overview
from interlingua.recipes.registry import PUBLISHED, RECIPES

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"torch", "ray", "transformers", "mlflow", "numpy", "interlingua.recipes.registry"}
ONLY_OF_THE_COMMAND = {"recipes", "status"}


def programs() -> dict[str, tuple[str, str, str]]:
    """Module, main and parser of every file that `python -m` runs."""
    found = {}
    for path in (*REPOSITORY.glob("jobs/*.py"), *REPOSITORY.glob("tuners/*.py")):
        tree = ast.parse(path.read_text())
        (module,) = (
            node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and not str(node.module).endswith("command_line")
        )
        (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.If))
        run = call.body[0].value
        found[f"{path.parent.name}.{path.stem}"] = (
            module.removeprefix("interlingua.commands."),
            run.args[0].id,
            run.args[1].func.value.func.id,
        )
    return found


def verb_of(program: str) -> Verb:
    room, _, name = program.partition(".")
    return SWEEPS[name] if room == "tuners" and name != "sweep" else VERBS[name.replace("_", "-")]


def test_every_program_is_a_verb_with_the_same_functions() -> None:
    found = programs()
    assert len(found) >= 15
    for program, functions in found.items():
        verb = verb_of(program)
        assert (verb.module, verb.main, verb.parser) == functions, program
    of_files = {verb_of(program) for program in found} | {VERBS["serve"]}
    others = {name for name, verb in (VERBS | SWEEPS).items() if verb not in of_files}
    assert others <= ONLY_OF_THE_COMMAND


@pytest.mark.parametrize("name", [*VERBS, *(f"sweep {name}" for name in SWEEPS)])
def test_a_usage_line_is_what_was_typed(capsys, name) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: interlingua {name} [")


def test_a_module_says_that_it_is_one() -> None:
    for program in programs():
        verb = verb_of(program)
        parser = getattr(import_module(f"interlingua.commands.{verb.module}"), verb.parser)()
        assert parser.prog == f"python -m {program}"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("rnu", "did you mean run"), ("add_host", "did you mean add-host"), ("zzz", "--help")],
)
def test_an_unknown_verb_ends_with_two_and_a_hint(capsys, word, hint) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith(f"interlingua: no verb {word!r}") and hint in err
    assert len(err.splitlines()) == 1


def test_a_wrong_argument_ends_with_two(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "demo", "--no-such"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: interlingua run ")


def test_the_overview_loads_nothing(tmp_path) -> None:
    program = (
        "import sys; from interlingua.commands.entry import main; main(['--help']); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY / "platform")},
    )
    *shown, loaded = done.stdout.splitlines()
    assert loaded == "[]" and done.stderr == ""
    assert "\n".join(shown) == overview()
    named = {line.split()[0] for line in shown if line.startswith("  ")}
    assert named == {*VERBS, *SWEEPS}


def test_every_recipe_is_listed_once_apart_from_published_runs(capsys) -> None:
    main(["recipes"])
    out = capsys.readouterr().out
    own, _, published = out.partition("published runs")
    first_words = [line.split()[0] for line in own.splitlines() if line.startswith("  ")]
    assert first_words == [*RECIPES, "mine"]
    for name in PUBLISHED:
        assert f"  {name} " in published
    assert max(map(len, out.splitlines())) <= 150


@pytest.mark.parametrize("name", ["run", "rl", "evaluate", "sweep"])
def test_helps_do_not_repeat_the_recipes(capsys, name) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    out = capsys.readouterr().out
    assert "world_three_groups" not in out and "interlingua recipes" in out


def test_the_command_and_its_version_are_there(capsys) -> None:
    main(["--version"])
    assert capsys.readouterr().out.startswith("interlingua ")
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    assert '[project.scripts]\ninterlingua = "interlingua.commands.entry:main"' in pyproject
