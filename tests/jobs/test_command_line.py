"""The command line of jobs.run: quick answers, and mistakes told in one line with their remedy."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.skipping import lacking

import interlingua.specs
from interlingua.recipes.world import world_18, world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import folder
from interlingua.world.stand_ins import WORLD_HOSTS

OF_A_HOST = ("host", "oracle", "encoder", "familiarity")
HEAVY = {"torch", "ray", "transformers", "tokenizers", "peft", "deepspeed", "mlflow", "numpy"}


def ended(process):
    """Exit code, and what was said on stdout and stderr."""
    out, err = process.communicate()
    return process.returncode, out, err


def run_and_list_modules(*arguments):
    """Code that runs jobs.run with these arguments and then lists the heavy modules it loaded."""
    return f"""
import atexit, runpy, sys
atexit.register(lambda: print("loaded", sorted({HEAVY!r} & set(sys.modules))))
sys.argv = {["jobs.run", *arguments]!r}
runpy.run_module("jobs.run", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["world_18", "--dry-run"]])
def test_questions_are_answered_without_heavy_modules(start_job, tmp_path, arguments):
    root = tmp_path / "root"
    program = run_and_list_modules(*arguments, "--root", str(root))
    code, out, err = ended(start_job(before=("-c", program)))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "loaded []"
    assert not root.exists()


def test_a_dry_run_lists_every_stage_and_every_path(start_job, tmp_path):
    code, out, _ = ended(start_job("world_18", "--stages", "--values", "--root", tmp_path))
    assert code == 0
    states = {words[0]: words[2] for line in out.splitlines() if len(words := line.split()) == 3}
    wanted = {f"{kind}/{tag}" for kind in OF_A_HOST for tag in WORLD_HOSTS}
    splits = ("fit", "dev", "test")
    wanted |= {f"activations/{tag}-{split}" for tag in WORLD_HOSTS for split in splits}
    learning = world_18().learning_tags()
    wanted |= {
        f"activations/{tag}-{split}" for tag in learning for split in ("av_sft-ar_sft", "rl")
    }
    for pair in ("", "-rl"):  # the supervised and the reinforced one
        spoken = ("fit", "test")
        wanted |= {f"verbalized/{tag}{pair}-{split}" for tag in WORLD_HOSTS for split in spoken}
        of_hosts = ("decoder", "likelihood", "scored")
        wanted |= {f"{kind}/{tag}{pair}" for kind in of_hosts for tag in WORLD_HOSTS}
        wanted |= {f"nearest/{tag}{pair}" for tag in learning}
        wanted |= {f"{kind}/world_18{pair}" for kind in ("bundle", "methods", "evaluation")}
    wanted |= {f"explanations/teacher-{split}" for split in ("av_sft", "ar_sft", "dev", "test")}
    wanted |= {
        "passages/world",
        "av/sft",
        "ar/sft",
        "rl/rl",
        "reconstructed/test",
        "reconstructed/test-rl",
    }
    wanted |= {"report/world_18"}
    assert {name for name in states if "/" in name} == wanted
    assert "reinforcement learning, memory of every role at its peak, in GiB:" in out
    assert "hosts.toy-gpt2-medium.source.pretrain.num_steps =" in out


@pytest.mark.slow
def test_a_dry_run_knows_what_is_done(start_job, mini_nla_root):
    code, out, _ = ended(start_job("world_mini", "--stages", "--root", mini_nla_root))
    lines = [line.split() for line in out.splitlines()]
    states = [words[2] for words in lines if len(words) == 3 and "/" in words[0]]
    assert (code, states) == (0, ["done"] * len(graph_of(world_mini())))


def test_specs_load_nothing_heavy():
    path = Path(interlingua.specs.__path__[0])
    modules = sorted(file.stem for file in path.glob("*.py") if file.stem != "__init__")
    assert len(modules) > 8
    imports = "; ".join(
        ["import interlingua.specs"] + [f"import interlingua.specs.{m}" for m in modules]
    )
    program = f"{imports}; import sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(path.parents[1])},
    )
    assert ast.literal_eval(done.stdout) == []


MISTAKES = {
    "unknown recipe": (["world_min"], ["no recipe 'world_min'", "did you mean", "world_mini"]),
    "unknown path": (
        ["world_mini", "--set", "hosts.toy-gpt2-medium.source.pretrain.num_step=1"],
        [
            "unknown setting hosts.toy-gpt2-medium.source.pretrain.num_step",
            "did you mean",
            "hosts.toy-gpt2-medium.source.pretrain.num_steps",
        ],
    ),
    "unknown tag": (
        ["world_mini", "--set", "hosts.gpt2.source.pretrain.num_steps=1"],
        ["unknown setting hosts.gpt2", "did you mean", "hosts.toy-gpt2-medium"],
    ),
    "no value": (["world_mini", "--set", "passages"], ["'passages' is no override", "field=value"]),
    "ill-typed": (
        ["world_mini", "--set", "passages.corpus.num_passages=many"],
        ["passages.corpus.num_passages is 'many'", "it must be int"],
    ),
    "rejected": (
        ["world_mini", "--set", "passages.corpus.num_passages=0"],
        ["num_passages is 0", "it must be positive"],
    ),
    "no parent": (["world_mini", "--root", "/nowhere/root"], ["/nowhere/root", "make the folder"]),
    "a file": (["world_mini", "--root", "README.md"], ["README.md", "it must be a folder"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(start_job, tmp_path, mistake):
    arguments, words = MISTAKES[mistake]
    root = [] if "--root" in arguments else ["--root", tmp_path / "root"]
    code, out, err = ended(start_job(*arguments, *root))
    assert (code, out) == (1, "")
    [line] = err.splitlines()
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == []
    assert not (tmp_path / "root").exists()


MINE = """
from interlingua.recipes.own import nla_of
from interlingua.specs.corpora import TextFiles
from interlingua.specs.models import HubHost

def recipe():
    model = HubHost(tag="mine", source="{folder}/model")
    return nla_of("mine", model=model, texts=TextFiles(path="{folder}/texts.jsonl"))

def raises():
    return recipe().replaced

def other():
    return 7
"""
OF_A_FILE = {
    "what mine needs": (
        ["mine"],
        "error: mine needs --set hosts.model.source.source=... --set passages.corpus.path=...",
    ),
    "what mine still needs": (
        ["mine", "--set", "passages.corpus.path={folder}/texts.jsonl"],
        "error: mine needs --set hosts.model.source.source=...",
    ),
    "nowhere": (
        ["--recipe", "{folder}/no.py"],
        "error: {folder}/no.py is not there; a recipe of your own is FILE.py:NAME",
    ),
    "no function recipe": (
        ["--recipe", "{folder}/empty.py"],
        "error: {folder}/empty.py has no function recipe; a recipe of your own is FILE.py:NAME",
    ),
    "no such function": (
        ["--recipe", "{folder}/my.py:its"],
        "error: {folder}/my.py has no function its; a recipe of your own is FILE.py:NAME",
    ),
    "no Python": (
        ["--recipe", "{folder}/broken.py"],
        "error: {folder}/broken.py cannot be run: SyntaxError: invalid syntax (broken.py, line 1); "
        "correct it there",
    ),
    "it raises": (
        ["--recipe", "{folder}/my.py:raises"],
        "error: raises of {folder}/my.py raised AttributeError: 'Recipe' object has no attribute "
        "'replaced'; correct it there",
    ),
    "no recipe": (
        ["--recipe", "{folder}/my.py:other"],
        "error: other of {folder}/my.py returned a int; it must be a Recipe",
    ),
    "a text is empty": (
        ["--recipe", "{folder}/my.py"],
        "error: {folder}/texts.jsonl, line 2: field 'text' is empty; leave it out",
    ),
}


@pytest.fixture
def own_files(tmp_path):
    """A recipe in a file, a model and two texts, of which one is empty."""
    (tmp_path / "my.py").write_text(MINE.format(folder=tmp_path))
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("def recipe(:\n")
    (tmp_path / "texts.jsonl").write_text('{"text": "One."}\n{"text": ""}\n')
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"num_hidden_layers": 4}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("mistake", OF_A_FILE)
def test_a_mistake_in_a_recipe_of_ones_own_is_told_before_any_work(
    run_job, own_files, mistake, dry
):
    given, line = OF_A_FILE[mistake]
    arguments = [word.format(folder=own_files) for word in given]
    root = own_files / "root"
    code, out, err = run_job("jobs.run", *arguments, *dry, "--root", root)
    assert (code, out, err) == (1, "", line.format(folder=own_files) + "\n")
    assert not root.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments recipe --recipe is required"),
        (["demo", "--recipe", "my.py"], "--recipe: not allowed with argument recipe"),
    ],
)
def test_one_recipe_is_named(run_job, arguments, words):
    code, _, err = run_job("jobs.run", *arguments)
    assert code == 2 and words in err.splitlines()[-1]


def test_a_traceback_is_shown_to_those_who_ask_for_it(start_job):
    code, _, err = ended(start_job("world_min", "--traceback"))
    assert code == 1
    assert "Traceback" in err and err.splitlines()[-1].startswith("ValueError: no recipe")


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_a_corrupt_record_is_named_with_its_remedy(start_job, tmp_path, arguments):
    path = folder(graph_of(world_mini())[0], tmp_path)
    path.mkdir(parents=True)
    (path / "artifact.json").write_text('{"kind": "passages", "la')
    code, _, err = ended(start_job("world_mini", "--root", tmp_path, *arguments))
    assert code == 1
    [line] = err.splitlines()
    assert str(path / "artifact.json") in line and f"delete the folder {path}" in line


@contextmanager
def small_disk(path, size):
    """A file system of its own at the path, mounted by root."""
    path.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*as_root, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if as_root and shutil.which("sudo") is None:
        lacking("no small disk to fill: this user may mount none")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lacking(f"no small disk to fill: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([*as_root, "umount", str(path)], check=True)


@pytest.mark.ray
@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_no_half_written_artifact(start_job, tmp_path):
    """There is room for the passages, but for no checkpoint of a host."""
    root = tmp_path / "disk"
    with small_disk(root, "1m"):
        code, _, err = ended(start_job("world_mini", "--root", root))
        finished = {path.parent.parent.name for path in root.glob("*/*/artifact.json")}
        partial = {path.parent.name for path in root.glob("*/*.partial")}
        temporary = list(root.rglob("*.tmp"))
    assert code == 1
    assert "Traceback" not in err
    # Without those of workers, and of MLflow, should it have found the disk full as well.
    others = ("(", "WARNING results are not tracked")
    lines = [line for line in err.splitlines() if not line.startswith(others)]
    failed = [line for line in lines if "failed: StorageFull" in line]
    assert len(failed) == 3 and len(lines) == 4
    assert all(os.strerror(errno.ENOSPC) in line and "make room" in line for line in failed)
    assert (finished - {"explanations"}, partial, temporary) == ({"passages"}, {"host"}, [])
