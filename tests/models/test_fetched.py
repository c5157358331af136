"""Models of a hub on a free port: what comes, how it goes on, and that it opens without it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download
from tests.sources.hub import COMMIT, GOOD_TOKEN, OTHER_COMMIT, serving, use

from interlingua.models.hosts import fetched as fetched_files
from interlingua.models.hosts import hub as hub_files
from interlingua.models.hosts.fetched import fetch_model
from interlingua.models.hosts.host import load_host
from interlingua.models.hosts.hub import HubRepository, NotFetched
from interlingua.store.atomic import StorageFull

NAME = "org/tiny"
SMALL = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer.model": b"m",
    "chat_template.jinja": b"{{ x }}",
    "README.md": b"# Tiny",
    "modeling_tiny.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle",
    "original/model.safetensors": b"the same once more",
}
MODEL = {**SMALL, "model.safetensors": b"w" * 1000}
WANTED = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]
WANTED.append("tokenizer.model")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path / "home", monkeypatch)
        yield served


@pytest.fixture
def fetched(tmp_path):
    """Fetches the model into the folder that it returns."""

    def fetch(revision: str = COMMIT, reports: list[tuple[int, int]] | None = None) -> Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        repository = HubRepository(name=NAME, revision=revision, kind="model")
        noted = [] if reports is None else reports
        fetch_model(repository, folder, lambda *numbers: noted.append(numbers))
        return folder

    return fetch


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_what_a_model_is_opened_from_and_no_more(hub, fetched):
    hub.add(NAME, {**MODEL, "model.fp16.safetensors": b"v"}, kind="model")
    reports: list[tuple[int, int]] = []
    folder = fetched(reports=reports)
    assert names(folder) == WANTED
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    assert reports[-1] == (1000, 1000)


def test_weights_in_several_files(hub, fetched):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"model.safetensors.index.json": json.dumps(index).encode()}
    files |= {f"model-{number}.safetensors": b"w" for number in (1, 2)}
    hub.add(NAME, {**SMALL, **files, "consolidated.safetensors": b"again"}, kind="model")
    assert {name for name in names(fetched()) if "model" in name} == {*files, "tokenizer.model"}


@pytest.mark.parametrize("name", ["model-2.safetensors", "../model.safetensors"])
def test_an_index_of_files_that_are_not_there(hub, fetched, name):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": name}}).encode()
    files = {"model.safetensors.index.json": index, "model-1.safetensors": b"w"}
    hub.add(NAME, {**SMALL, **files}, kind="model")
    expected = f"model.safetensors.index.json of model {NAME} names {name}, which is not there; "
    assert refusal(fetched).startswith(expected)


def test_a_fetched_model_is_opened_without_a_connection(hub, fetched, tmp_path, monkeypatch):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=64, n_positions=16)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "own")
    files = {path.name: path.read_bytes() for path in (tmp_path / "own").iterdir()}
    hub.add(NAME, files, kind="model")
    hub.cuts["model.safetensors"] = [100]
    folder = fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched() == folder
    assert load_host(str(folder), dtype="float32").num_blocks == 2


def test_what_the_cache_has_is_linked_and_checked(hub, fetched, monkeypatch):
    hub.add(NAME, MODEL, kind="model")
    cached = Path(hf_hub_download(NAME, "model.safetensors", revision=COMMIT))
    hub.asked.clear()
    folder = fetched()
    assert "model.safetensors" not in hub.downloads()
    assert (folder / "model.safetensors").stat().st_ino == cached.stat().st_ino
    (folder / "model.safetensors").unlink()
    cached.resolve().write_bytes(b"damaged")
    with pytest.raises(NotFetched, match=r"blobs.* \(model.safetensors\) has not the content of"):
        fetched()


@pytest.mark.parametrize("shares", [True, False])
def test_what_cannot_be_linked_is_copied(hub, fetched, monkeypatch, shares):
    hub.add(NAME, MODEL, kind="model")
    cached = Path(hf_hub_download(NAME, "model.safetensors", revision=COMMIT))

    def refuses(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuses)
    if not shares:
        monkeypatch.setattr(os, "copy_file_range", refuses)
    path = fetched() / "model.safetensors"
    assert path.read_bytes() == MODEL["model.safetensors"]
    assert path.stat().st_ino != cached.stat().st_ino


PROGRAM = """
import sys
from pathlib import Path
from interlingua.models.hosts.fetched import fetch_model
from interlingua.models.hosts.hub import HubRepository
name, revision, folder = sys.argv[1:]
repository = HubRepository(name=name, revision=revision, kind="model")
fetch_model(repository, Path(folder), lambda *_: None)
"""


def test_what_was_killed_goes_on_at_its_last_byte(hub, fetched, tmp_path):
    # More than a chunk of the library (10 MiB), of which half arrives before the kill.
    weights = os.urandom(1024) * (24 * 1024)
    hub.add(NAME, {**SMALL, "model.safetensors": weights}, kind="model")
    (tmp_path / "model").mkdir()
    part = tmp_path / "model" / "model.safetensors.part"
    hub.holds["model.safetensors"] = held = fetched_files.threading.Event()
    command = [sys.executable, "-c", PROGRAM, NAME, COMMIT, str(part.parent)]
    process = subprocess.Popen(command, env=hub.environment(tmp_path / "home"))
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline and process.poll() is None
        held.wait(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = part.stat().st_size
    held.set()
    hub.asked.clear()
    assert 0 < there < len(weights)
    assert (fetched() / "model.safetensors").read_bytes() == weights
    assert f"GET model.safetensors bytes={there}-" in hub.asked
    assert names(part.parent) == WANTED


def test_what_came_wrong_is_thrown_away(hub, fetched, tmp_path):
    hub.add(NAME, MODEL, kind="model")
    (tmp_path / "model").mkdir()
    part = tmp_path / "model" / "model.safetensors.part"
    part.write_bytes(b"garbage of a power cut")
    with pytest.raises(NotFetched, match="came with another content than that of its hash; run"):
        fetched()
    assert (fetched() / "model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_another_root_and_other_programs_find_it_in_the_cache(hub, fetched, tmp_path, monkeypatch):
    hub.add(NAME, MODEL, kind="model")
    weights = (fetched() / "model.safetensors").rename(tmp_path / "weights")
    asked = list(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert (fetched() / "model.safetensors").stat().st_ino == weights.stat().st_ino
    assert Path(hf_hub_download(NAME, "model.safetensors", revision=COMMIT)).samefile(weights)
    assert hub.asked == asked


def test_a_cache_on_another_file_system_gets_no_second_copy(hub, fetched, tmp_path, monkeypatch):
    hub.add(NAME, MODEL, kind="model")

    def refuses(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuses)
    assert names(fetched()) == WANTED
    cached = [path.name for path in (tmp_path / "home").rglob("*") if path.is_symlink()]
    assert sorted(cached) == sorted(set(WANTED) - {"model.safetensors"})


def test_one_file_that_cannot_be_had_ends_the_others(hub, fetched, tmp_path):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"model.safetensors.index.json": json.dumps(index).encode()}
    files |= {"model-1.safetensors": b"w" * 100, "model-2.safetensors": b"w" * 100}
    hub.add(NAME, {**SMALL, **files}, kind="model")
    hub.status["model-2.safetensors"] = 503
    with pytest.raises(NotFetched, match="answers 503 for model-2.safetensors .*what has come"):
        fetched()
    hub.status.clear()
    assert (fetched() / "model-2.safetensors").read_bytes() == b"w" * 100


def refusal(fetched, revision: str = COMMIT) -> str:
    with pytest.raises(NotFetched) as caught:
        fetched(revision)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_without_weights(hub, fetched):
    hub.add(NAME, {"config.json": b"{}", "model.onnx": b""}, kind="model")
    assert refusal(fetched) == (
        f"model {NAME} has neither model.safetensors nor pytorch_model.bin at {COMMIT[:12]}, but "
        "config.json, model.onnx; name a model with such weights, or convert it (transformers' "
        "save_pretrained writes them)"
    )


def test_a_model_without_a_configuration(hub, fetched):
    hub.add(NAME, {"model.safetensors": b""}, kind="model")
    assert refusal(fetched) == f"model {NAME} has no config.json; there are: model.safetensors"


def test_a_gated_model_and_its_token(hub, fetched, monkeypatch):
    hub.add(NAME, MODEL, kind="model")
    hub.gated.add(NAME)
    line = refusal(fetched)
    assert line.endswith(
        f" of model {NAME} is gated: accept its licence at {hub.url}/{NAME} and set HF_TOKEN to a "
        "token of the account that did"
    )
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    folder = fetched()
    assert names(folder) == WANTED and hub.tokens == {GOOD_TOKEN}
    assert not [path for path in folder.iterdir() if GOOD_TOKEN.encode() in path.read_bytes()]


def test_a_model_that_is_not_there(hub, fetched):
    assert refusal(fetched) == (
        f"{hub.url} has no model {NAME}, or it is private: mind the spelling, and set HF_TOKEN "
        "where it is yours"
    )
    hub.add(NAME, SMALL, kind="model")
    line = refusal(fetched, OTHER_COMMIT)
    assert f"model {NAME} has no revision {OTHER_COMMIT}; take a" in line


def test_a_model_that_was_never_fetched_is_not_there_offline(hub, fetched, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    line = refusal(fetched)
    assert line.startswith(f"HF_HUB_OFFLINE is set and model {NAME} at {COMMIT[:12]} is not")


def test_what_breaks_below_the_library_is_tried_again(hub, fetched, monkeypatch):
    hub.add(NAME, {"config.json": b"{}", "model.safetensors": b"w"}, kind="model")
    broken, download = [RuntimeError("chunk lost")] * 3, fetched_files.http_get

    def downloaded(url, *arguments, **options):
        if broken and "model.safetensors" in url:
            raise broken.pop()
        return download(url, *arguments, **options)

    monkeypatch.setattr(fetched_files, "http_get", downloaded)
    line = refusal(fetched)
    assert "was cut off, and again at every new attempt (chunk lost); run the same" in line
    broken += [RuntimeError("chunk lost")] * 2
    assert (fetched() / "model.safetensors").read_bytes() == b"w"


def test_a_disk_without_space_is_seen_before_anything_comes(hub, fetched, monkeypatch):
    hub.add(NAME, MODEL, kind="model")
    free = type("Usage", (), {"free": 100})()
    monkeypatch.setattr(fetched_files.shutil, "disk_usage", lambda _: free)
    with pytest.raises(StorageFull, match="takes 0.0 GiB more, and .* make room, or take another"):
        fetched()
    assert "model.safetensors" not in hub.downloads()


def test_a_full_disk_is_called_one(hub):
    repository = hub_files.HubRepository(name=NAME, revision=COMMIT, kind="model")
    with pytest.raises(StorageFull, match="make room"), hub_files.hub_errors(repository):
        raise OSError(errno.ENOSPC, "full")


def test_what_is_no_hub_is_called_none(hub, fetched):
    hub.add(NAME, {**SMALL, "model.safetensors": b"w"}, kind="model")
    hub.is_hub = False
    assert refusal(fetched) == f"{hub.url} does not answer as a hub does; mind HF_ENDPOINT"
