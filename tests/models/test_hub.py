"""Models of a hub on a free port: which files are fetched, and that they open without it."""

import errno
import json
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.sources.hub import COMMIT, OTHER_COMMIT, serving, use

from interlingua.models.hosts import hub as hub_files
from interlingua.models.hosts.host import load_host
from interlingua.models.hosts.hub import NotFetched, fetched_model
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
WANTED = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path / "home", monkeypatch)
        yield served


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_what_a_model_is_opened_from_and_no_more(hub):
    hub.add(
        NAME, {**SMALL, "model.safetensors": b"w", "model.fp16.safetensors": b"v"}, kind="model"
    )
    folder = fetched_model(NAME, COMMIT)
    assert names(folder) == [*WANTED, "tokenizer.model"]
    assert (folder / "model.safetensors").read_bytes() == b"w"
    assert fetched_model(NAME, "main") == folder


def test_weights_in_several_files(hub):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"model.safetensors.index.json": json.dumps(index).encode()}
    files |= {f"model-{number}.safetensors": b"w" for number in (1, 2)}
    hub.add(NAME, {**SMALL, **files, "consolidated.safetensors": b"again"}, kind="model")
    assert {name for name in names(fetched_model(NAME, COMMIT)) if "model" in name} == {
        *files,
        "tokenizer.model",
    }


def test_a_fetched_model_is_opened_without_a_connection(hub, tmp_path, monkeypatch):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=64, n_positions=16)
    )
    model.save_pretrained(tmp_path / "model")
    files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    hub.add(NAME, files, kind="model")
    hub.cuts["model.safetensors"] = [100]
    folder = fetched_model(NAME, COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched_model(NAME, COMMIT) == folder
    assert load_host(str(folder), dtype="float32").num_blocks == 2


def refusal() -> str:
    with pytest.raises(NotFetched) as caught:
        fetched_model(NAME, COMMIT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_without_safetensors(hub):
    hub.add(NAME, {"config.json": b"{}", "pytorch_model.bin": b""}, kind="model")
    assert refusal() == (
        f"model {NAME} has no model.safetensors at {COMMIT[:12]}, but config.json, "
        "pytorch_model.bin; name a model with safetensors, or convert it (transformers' "
        "save_pretrained writes them)"
    )


def test_a_model_without_a_configuration(hub):
    hub.add(NAME, {"model.safetensors": b""}, kind="model")
    assert refusal() == f"model {NAME} has no config.json; there are: model.safetensors"


def test_a_gated_model(hub):
    hub.add(NAME, {**SMALL, "model.safetensors": b"w"}, kind="model")
    hub.gated.add(NAME)
    assert refusal() == (
        f"chat_template.jinja of model {NAME} is gated: accept its licence at {hub.url}/{NAME} "
        "and set HF_TOKEN to a token of the account that did"
    )


def test_a_model_that_is_not_there(hub):
    assert refusal() == (
        f"{hub.url} has no model {NAME}, or it is private: mind the spelling, and set HF_TOKEN "
        "where it is yours"
    )
    hub.add(NAME, SMALL, kind="model")
    with pytest.raises(NotFetched, match=f"model {NAME} has no revision {OTHER_COMMIT}; take a"):
        fetched_model(NAME, OTHER_COMMIT)


def test_a_model_that_was_never_fetched_is_not_there_offline(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refusal().startswith(f"HF_HUB_OFFLINE is set and model {NAME} at {COMMIT[:12]} is not")


def test_what_breaks_below_the_library_is_tried_again(hub, monkeypatch):
    hub.add(NAME, {**SMALL, "model.safetensors": b"w"}, kind="model")
    broken, download = [RuntimeError("chunk lost")] * 2, hub_files.hf_hub_download

    def downloaded(*arguments, **options):
        if broken:
            raise broken.pop()
        return download(*arguments, **options)

    monkeypatch.setattr(hub_files, "hf_hub_download", downloaded)
    assert names(fetched_model(NAME, COMMIT))
    broken += [RuntimeError("chunk lost")] * 3
    assert "was cut off, and again at every new attempt (chunk lost); run the same" in refusal()


def test_a_full_disk_is_called_one(hub):
    repository = hub_files.HubRepository(name=NAME, revision=COMMIT, kind="model")
    with pytest.raises(StorageFull, match="make room"), hub_files.hub_errors(repository):
        raise OSError(errno.ENOSPC, "full")


def test_what_is_no_hub_is_called_none(hub, monkeypatch):
    hub.add(NAME, {**SMALL, "model.safetensors": b"w"}, kind="model")
    hub.is_hub = False
    assert refusal() == f"{hub.url} does not answer as a hub does; mind HF_ENDPOINT"
