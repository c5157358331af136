"""serve/Containerfile, as far as it can be checked without being built."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.serving.client.served import served
from tests.serving.fake import FakeBackend

from interlingua.commands.using.serve import TOKEN_VARIABLE, main, serve_parser
from interlingua.serving.own.app import Settings, make_app

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "serve/Containerfile").read_text()


def instructions(name: str) -> list[str]:
    """What stands behind an instruction, wherever it is given."""
    return re.findall(rf"^{name} (.+)$", TEXT, flags=re.M)


def command(instruction: str) -> list[str]:
    """The command of an instruction that has one, as words."""
    [line] = instructions(instruction)
    words: list[str] = json.loads(line[line.index("[") :])
    return words


def test_what_is_copied_is_here_and_is_all_that_an_install_and_the_server_need() -> None:
    copied = [path for line in instructions("COPY") for path in line.split()[:-1]]
    assert all((REPOSITORY / path).exists() for path in copied)
    project = tomllib.loads(_project())["project"]
    named = [project["readme"], *project["license-files"]]
    assert {*named, "pyproject.toml", "constraints.txt", "platform", "serve"} == {*copied}
    [install] = instructions("RUN pip")
    before = TEXT[: TEXT.index("\nRUN pip")]
    assert all(f"\nCOPY {path.partition('/')[0]} " in before for path in _packed())
    assert "-c constraints.txt" in install and "$PIP_OPTIONS" in install
    assert instructions("ARG") == ['PIP_OPTIONS=""']


def test_the_server_starts_as_another_user_than_root_and_not_without_a_token(monkeypatch) -> None:
    python, flag, module, *arguments = command("ENTRYPOINT")
    assert (python, flag, module) == ("python", "-m", "serve.app")
    parsed = serve_parser().parse_args([*arguments, "demo=/runs/bundle/demo"])
    assert str(parsed.port) in instructions("EXPOSE")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=TOKEN_VARIABLE):
        main(parsed)
    assert TEXT.index("\nUSER ") < TEXT.index("\nENTRYPOINT ")
    [user] = instructions("USER")
    assert any(line.endswith(f" {user}") for line in instructions("RUN useradd"))


def test_its_health_is_asked_without_the_token() -> None:
    python, *arguments, program = command("HEALTHCHECK")
    assert python == "python" and program.count(":8000") == 1
    app = make_app({"toy": FakeBackend()}, Settings(token="secret"))
    with served(app) as url:
        port = url.rpartition(":")[2]
        asked = [sys.executable, *arguments, program.replace(":8000", f":{port}")]
        assert subprocess.run(asked, timeout=60).returncode == 0
    assert subprocess.run(asked, timeout=60, stderr=subprocess.DEVNULL).returncode == 1


def _packed() -> list[str]:
    """What the wheel is made of."""
    wheel = tomllib.loads(_project())["tool"]["hatch"]["build"]["targets"]["wheel"]
    paths: list[str] = wheel["only-include"]
    return paths


def _project() -> str:
    return (REPOSITORY / "pyproject.toml").read_text()
