"""`jobs.verify` names every file of a run root that is not as it was published."""

import json
import random
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from interlingua.commands.auditing.verify import RootDamaged, main
from interlingua.commands.command_line import run_command

NUM_ROUNDS = 12


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
    """Twelve rounds; in each a file of every kind has another byte somewhere, and all are named."""
    rng = random.Random(0)
    by_kind = {
        kind.name: sorted(path for path in kind.rglob("*") if path.is_file())
        for kind in sorted(root.iterdir())
    }
    num_harmless = 0
    for _ in range(NUM_ROUNDS):
        spoilt = dict(spoilt_file(files, rng) for files in by_kind.values())
        with pytest.raises(RootDamaged):
            verified(root)
        lines = capsys.readouterr().out.splitlines()
        faults = [line for line in lines if line.startswith("BAD")]
        for path, content in spoilt.items():
            if not any(str(path) in line for line in faults):
                # Another space between two values of a record says what it said.
                assert path.name == "artifact.json"
                assert json.loads(path.read_bytes()) == json.loads(content)
                num_harmless += 1
            path.write_bytes(content)
    assert len(by_kind) > 15 and num_harmless < NUM_ROUNDS * len(by_kind) / 20
    verified(root)


def spoilt_file(files, rng):
    """Change a byte of one of the files: which, and what it held."""
    path = rng.choice([path for path in files if path.stat().st_size])
    content = path.read_bytes()
    place = rng.randrange(len(content))
    other = (content[place] + rng.randrange(1, 256)) % 256
    path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    return path, content


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
