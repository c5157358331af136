"""A model from elsewhere becomes one that opens without a network: folder, hub id, GGUF file."""

from dataclasses import replace

import pytest
import torch
from tests.models.gguf_files import small_llama, small_tokenizer, write_gguf
from tests.sources.hub import COMMIT, OTHER_COMMIT, serving, use

from interlingua.models.hosts.host import load_host, load_tokenizer
from interlingua.sources.pinned import pinned_host
from interlingua.specs.models import HubHost
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.store.artifact import build, verify
from interlingua.store.hosts import opened_from
from interlingua.store.integrity import CorruptFile

NAME = "someone/tiny-llama"
TOKENIZER = small_tokenizer(has_single_digits=True)
MODEL = small_llama(TOKENIZER.get_vocab_size(), is_tied=False)
ON_HUB = HubHost(tag="mine", source=NAME, revision=COMMIT)

torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path):
    """The model in a folder, with its tokenizer."""
    MODEL.save_pretrained(tmp_path / "own")
    TOKENIZER.save(str(tmp_path / "own" / "tokenizer.json"))
    return tmp_path / "own"


@pytest.fixture
def gguf_file(tmp_path):
    """The same in one file."""
    write_gguf(tmp_path / "own.gguf", MODEL, TOKENIZER)
    return tmp_path / "own.gguf"


@pytest.fixture
def hub(tmp_path, monkeypatch, folder):
    """A hub that has the folder, and what nobody needs beside it."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with serving() as served:
        use(served, tmp_path / "cache", monkeypatch)
        served.add(NAME, {**files, "pytorch_model.bin": b"pickled"}, kind="model")
        yield served


def local(path):
    return pinned_host(HubHost(tag="mine", source=str(path)), needs_depth=True)


def adopted(host, tmp_path):
    return build(adopted_stage(host), tmp_path / "root", None)


def check_opens_as_the_model(artifact):
    source, revision = opened_from(artifact)
    host = load_host(source, dtype="float32", revision=revision)
    ids_BT = torch.arange(16).reshape(2, 8)
    with torch.no_grad():
        assert torch.equal(host.model(ids_BT).logits, MODEL(ids_BT).logits)
    text = "in 1998 the miller"
    tokenizer = load_tokenizer(source, revision=revision)
    assert tokenizer.encode(text, add_special_tokens=False) == TOKENIZER.encode(text).ids


def test_a_folder_stays_where_it_is(folder, tmp_path):
    artifact = adopted(local(folder), tmp_path)
    assert opened_from(artifact) == (str(folder), None)
    check_opens_as_the_model(artifact)
    assert not list(artifact.path.rglob("*.safetensors"))


def test_a_gguf_file_becomes_a_folder_of_the_artifact(gguf_file, tmp_path):
    host = local(gguf_file)
    assert host.num_blocks == MODEL.config.num_hidden_layers
    artifact = adopted(host, tmp_path)
    gguf_file.unlink()
    assert opened_from(artifact) == (str(artifact.path / "model"), None)
    check_opens_as_the_model(artifact)
    (artifact.path / "model" / "config.json").write_text("{}")
    with pytest.raises(CorruptFile, match="config.json"):
        verify(artifact)


def test_what_an_attempt_left_is_no_part_of_the_next(gguf_file, tmp_path, monkeypatch):
    host = local(gguf_file)

    def ends_early(path, folder):
        folder.mkdir()
        (folder / "model-00001-of-00002.safetensors").write_bytes(b"half")
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("interlingua.models.hosts.gguf.convert_gguf", ends_early)
        with pytest.raises(MemoryError):
            adopted(host, tmp_path)
    artifact = adopted(host, tmp_path)
    assert not list(artifact.path.rglob("model-*"))
    check_opens_as_the_model(artifact)


@pytest.mark.parametrize("name", ["own", "own.gguf"])
def test_what_changed_is_refused(name, folder, gguf_file, tmp_path):
    host = local(tmp_path / name)
    write_gguf(gguf_file, MODEL, TOKENIZER, pre="gpt-2")
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(ValueError, match=f"{name} hashes to .*has changed"):
        adopted(host, tmp_path)


def test_a_file_that_is_gone_is_named(gguf_file, tmp_path):
    host = local(gguf_file)
    gguf_file.unlink()
    with pytest.raises(ValueError, match=r"own.gguf, the model of mine, is not there"):
        adopted(host, tmp_path)


@pytest.mark.parametrize("name", ["own", "own.gguf"])
def test_what_was_not_pinned_is_refused(name, folder, gguf_file, tmp_path):
    host = replace(local(tmp_path / name), files_sha256=None)
    with pytest.raises(ValueError, match=r"the model of mine, has no files_sha256: pin"):
        adopted(host, tmp_path)


def test_a_hub_id_is_in_the_cache_before_anybody_opens_it(hub, tmp_path, monkeypatch):
    host = pinned_host(ON_HUB, needs_depth=True)
    assert hub.downloads() == ["config.json"]
    artifact = adopted(host, tmp_path)
    assert artifact.record.metrics["commit"] == COMMIT
    assert "pytorch_model.bin" not in hub.downloads()
    assert opened_from(artifact) == (NAME, COMMIT)
    fetched = hub.downloads()
    check_opens_as_the_model(artifact)
    assert hub.downloads() == fetched
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    check_opens_as_the_model(artifact)


def test_the_name_of_a_branch_is_refused_with_its_commit(hub, tmp_path):
    with pytest.raises(ValueError, match=f"is main, and that moves: it is {COMMIT}"):
        adopted(replace(ON_HUB, revision="main"), tmp_path)


def gated(hub, monkeypatch):
    hub.gated.add(NAME)


def offline(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("spoil", "revision", "expected"),
    [
        (gated, COMMIT, "is gated: accept its licence"),
        (offline, COMMIT, "HF_HUB_OFFLINE is set"),
        (lambda *_: None, OTHER_COMMIT, "has no revision bbbb"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(spoil, revision, expected, hub, tmp_path, monkeypatch):
    spoil(hub, monkeypatch)
    with pytest.raises(ValueError, match=expected) as caught:
        adopted(replace(ON_HUB, revision=revision), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["own", "own.gguf", NAME])
def test_a_depth_that_is_not_the_models_is_refused(name, hub, gguf_file, tmp_path):
    host = ON_HUB if name == NAME else local(tmp_path / name)
    with pytest.raises(ValueError, match=r"hosts.mine.source.num_blocks is 9, .* has 3"):
        adopted(replace(host, num_blocks=9), tmp_path)
