"""README's light commands run, its snippets too, and no command of it is left out of the tests."""

import contextlib
import io
import os
import re
import shlex
import shutil

import pytest
import yaml
from tests import readme
from tests.full import test_readme as full
from tests.jobs.conftest import run_job
from tests.readme import README, REPOSITORY, Kind
from tests.test_docs import FENCED, LINK, slugs

__all__ = ["run_job"]

TEXT = README.read_text()
COMMANDS = [one for command in readme.commands(TEXT) for one in readme.expanded(command)]
SNIPPETS = [block.body for block in readme.blocks(TEXT) if block.language == "python"]
HERE = {Kind.LIGHT, Kind.PARSED}
HOSTS = {"toy-pythia-410m": "toy-lfm-7b", "toy-rugpt3-large": "toy-lfm-7b"}  # of world_mini


def of(kind):
    return [command.text for command in COMMANDS if readme.kind_of(command.text) is kind]


def test_every_command_is_run_here_or_by_make_full():
    assert {block.language for block in readme.blocks(TEXT)} <= readme.LANGUAGES
    assert COMMANDS and set(Kind) == HERE | full.KINDS
    for command in COMMANDS:
        readme.smallest(command.text)  # it has a kind, and nothing in it is a whole recipe


@pytest.mark.parametrize("line", ["ray stop", "npm run it", "python -m jobs.run world_new"])
def test_a_command_without_a_row_is_an_error(line):
    with pytest.raises(ValueError, match=r"has no (kind|row) for it"):
        readme.smallest(line.replace("world_new", "universal_v6"))


def test_a_command_goes_on_below_and_a_comment_is_none():
    found = readme.commands("```sh\na b \\\n    c   # why\n# all\nd 'x#y'\n```\nor `make it`\n")
    assert [(one.text, one.block) for one in found] == [
        ("a b c", 0),
        ("d 'x#y'", 0),
        ("make it", 1),
    ]


def test_links_and_pictures_are_there():
    for path, anchor in LINK.findall(FENCED.sub("", TEXT)):
        if ":" not in path:
            target = REPOSITORY / path if path else README
            assert target.exists(), path
            assert not anchor or anchor in slugs(target.read_text()), f"{path}#{anchor}"


@pytest.mark.parametrize("line", of(Kind.LIGHT))
def test_what_runs_nothing_is_as_it_stands(line, run_job, tmp_path, monkeypatch):
    module, arguments = module_of(shlex.split(line))
    if not {"--root", "--help"} & set(arguments):
        arguments += ["--root", str(tmp_path)]
    code, out, err = run_job(module, *arguments)
    assert code in (readme.PREFLIGHT_CODES if "--preflight" in line else {0}), err
    assert out.strip()


def module_of(words):
    """The module that a command runs, and its arguments."""
    if words[0] == "interlingua":
        return "interlingua", words[1:]
    assert words[:2] == ["python", "-m"], words
    return words[2], words[3:]


@pytest.mark.parametrize("line", of(Kind.PARSED))
def test_the_cluster_is_one_that_ray_reads(line):
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = yaml.safe_load((REPOSITORY / line.split()[-1]).read_text())
    validate_config(prepare_config(cluster))
    assert {"head", "av", "ar"} <= cluster["available_node_types"].keys()


@pytest.fixture(scope="module")
def finished(mini_nla_root, tmp_path_factory):
    """A folder with `runs/` as README knows it: the mini root, by the names of the demo."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(mini_nla_root, folder / "runs", copy_function=os.link)
    for kind in ("bundle", "evaluation", "report"):
        for path in list((folder / "runs" / kind).glob("world_mini-*")):
            for name in ("demo", "demo-rl"):
                path.with_name(path.name.replace("world_mini", name)).symlink_to(path)
    for path in list((folder / "runs" / "host").glob("toy-lfm-7b-*")):
        for name, real in HOSTS.items():
            path.with_name(path.name.replace(real, name)).symlink_to(path)
    return folder


@pytest.mark.slow
def test_every_snippet_runs_as_it_stands(finished, monkeypatch):
    """One after the other, as in a notebook; only hosts that the mini root lacks are others."""
    monkeypatch.chdir(finished)
    names: dict[str, object] = {}
    for number, snippet in enumerate(SNIPPETS):
        shown = re.findall(r"^print\(.*\)  # (.+)$", snippet, flags=re.M)
        for name, real in HOSTS.items():
            snippet = snippet.replace(f'"{name}"', f'"{real}"')
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(snippet, f"README, snippet {number}", "exec"), names)
        assert len(out.getvalue().splitlines()) >= len(shown)
