"""`jobs.verify` names every file of a run root that is not as it was published."""

import json
import random
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from interlingua.commands.command_line import run_command
from interlingua.commands.verify import RootDamaged, main

NUM_DRAWS = 200


@pytest.fixture(scope="module")
def root(mini_nla_root, tmp_path_factory) -> Path:
    """A whole root of its own, with copies of all files."""
    path = tmp_path_factory.mktemp("verified") / "root"
    return Path(shutil.copytree(mini_nla_root, path, ignore=shutil.ignore_patterns(".*")))


def verified(root: Path) -> None:
    main(Namespace(root=root, traceback=False))


@pytest.mark.slow
def test_a_whole_root_passes(root, capsys):
    verified(root)
    out = capsys.readouterr().out
    num_artifacts = len(list(root.glob("*/*/artifact.json")))
    assert num_artifacts > 40
    assert f"{num_artifacts} artifacts read" in out and ", 0 faults" in out


@pytest.mark.slow
def test_a_changed_byte_of_any_file_is_named(root, capsys):
    """Two hundred draws: a kind, one of its files, a place in it, another byte."""
    rng = random.Random(0)
    by_kind = {
        kind.name: sorted(path for path in kind.rglob("*") if path.is_file())
        for kind in sorted(root.iterdir())
    }
    drawn, num_harmless = set(), 0
    for number in range(NUM_DRAWS):
        kind = sorted(by_kind)[number % len(by_kind)]
        path = rng.choice([path for path in by_kind[kind] if path.stat().st_size])
        content = path.read_bytes()
        place = rng.randrange(len(content))
        other = (content[place] + rng.randrange(1, 256)) % 256
        path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
        try:
            verified(root)
        except RootDamaged:
            lines = capsys.readouterr().out.splitlines()
            faults = [line for line in lines if line.startswith("BAD")]
            assert any(str(path) in line for line in faults), f"{path} at {place}: {other}"
        else:  # another space between two values of a record says what it said
            assert path.name == "artifact.json"
            assert json.loads(path.read_bytes()) == json.loads(content)
            num_harmless += 1
        path.write_bytes(content)
        drawn.add(kind)
    assert drawn == by_kind.keys() and num_harmless < NUM_DRAWS / 20
    verified(root)


def test_what_is_missing_foreign_or_without_its_upstream_is_named(root, tmp_path, capsys):
    broken = Path(shutil.copytree(root, tmp_path / "root"))
    [av] = broken.glob("av/*")
    [ar] = broken.glob("ar/*")
    [bundle] = broken.glob("bundle/*")
    (av / "weights.safetensors").unlink()
    (ar / "new.txt").touch()
    (bundle / "artifact.json").unlink()
    shutil.rmtree(next(broken.glob("oracle/*")))
    with pytest.raises(RootDamaged, match="delete the folder of every artifact"):
        verified(broken)
    out = capsys.readouterr().out
    assert f"{av / 'weights.safetensors'} is missing" in out
    assert f"{ar / 'new.txt'} is none of the files" in out
    [report] = broken.glob("report/*")
    assert f"{report} was made from" in out and "which is not there" in out


def test_a_folder_that_is_no_root_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit, match=f"{tmp_path} holds no finished artifact"):
        run_command(main, Namespace(root=tmp_path, traceback=False))
