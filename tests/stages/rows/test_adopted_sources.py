"""A model from elsewhere becomes one that opens without a network: folder, hub id, GGUF file."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.gguf_files import small_llama, small_tokenizer, write_gguf
from tests.sources.hub import COMMIT, GOOD_TOKEN, OTHER_COMMIT, serving, use

from interlingua.models.hosts.host import load_host, load_tokenizer
from interlingua.sources.pinned import pinned_host
from interlingua.specs.models import HubHost
from interlingua.stages.graph.order import needed_for
from interlingua.stages.rows.adopted_host import AdoptedInputs, adopted_stage
from interlingua.stages.rows.fetched_model import fetched_stage
from interlingua.store.artifact import Stage, build, verify
from interlingua.store.hosts import opened_from
from interlingua.store.integrity import CorruptFile
from interlingua.store.progress import read_metrics

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
    for stage in needed_for("adopted", [adopted_stage(host)]):
        artifact = build(stage, tmp_path / "root", None)
    return artifact


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


def test_a_hub_id_is_in_the_root_before_anybody_opens_it(hub, tmp_path, monkeypatch):
    host = pinned_host(ON_HUB, needs_depth=True)
    assert hub.downloads() == ["config.json"]
    artifact = adopted(host, tmp_path)
    assert artifact.record.metrics["commit"] == COMMIT
    assert "pytorch_model.bin" not in hub.downloads()
    source, revision = opened_from(artifact)
    assert (Path(source).parent.parent.name, revision) == ("fetched", COMMIT)
    fetched = hub.downloads()
    # Another node has neither a connection nor this cache.
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    check_opens_as_the_model(artifact)
    assert hub.downloads() == fetched
    assert adopted(host, tmp_path) == artifact


def test_two_hosts_of_one_id_share_its_files(hub, tmp_path):
    one = adopted(ON_HUB, tmp_path)
    fetched = hub.downloads()
    other = adopted(replace(ON_HUB, tag="again"), tmp_path)
    assert hub.downloads() == fetched and one.path != other.path
    assert opened_from(one) == opened_from(other)


def test_files_that_were_fetched_are_compared_before_they_are_read(hub, tmp_path):
    artifact = adopted(ON_HUB, tmp_path)
    (weights,) = Path(opened_from(artifact)[0]).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    reads = Stage(
        kind="reads", label="it", spec=ON_HUB, run=run_nothing, revision=1,
        inputs=AdoptedInputs(adopted_stage(ON_HUB)),
    )  # fmt: skip
    with pytest.raises(CorruptFile, match="model.safetensors is not as it was published"):
        build(reads, tmp_path / "root", None)


def run_nothing(spec, inputs, out, context):
    return {}


def test_a_stage_that_was_broken_off_goes_on(hub, tmp_path):
    hub.status["model.safetensors"] = 503
    with pytest.raises(ValueError, match="answers 503"):
        adopted(ON_HUB, tmp_path)
    hub.status.clear()
    hub.asked.clear()
    artifact = build(fetched_stage(NAME, COMMIT), tmp_path / "root", None)
    assert "GET config.json" not in hub.asked
    assert sorted(path.name for path in (artifact.path / "model").iterdir()) == sorted(
        name for name in hub.repositories[NAME] if name != "pytorch_model.bin"
    )
    last = read_metrics(artifact.path)[-1]
    assert last.keys() == {"step", "num_steps", "megabytes_per_second", "seconds_left"}


def test_pickled_weights_are_converted(hub, tmp_path):
    files = hub.repositories[NAME]
    del files["model.safetensors"]
    sink = io.BytesIO()
    torch.save(MODEL.state_dict(), sink)
    files["pytorch_model.bin"] = sink.getvalue()
    artifact = adopted(ON_HUB, tmp_path)
    check_opens_as_the_model(artifact)
    assert not list(Path(opened_from(artifact)[0]).glob("*.bin"))


def test_a_token_is_sent_and_stands_nowhere(hub, tmp_path, monkeypatch):
    hub.gated.add(NAME)
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    check_opens_as_the_model(adopted(ON_HUB, tmp_path))
    assert hub.tokens == {GOOD_TOKEN}
    written = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if GOOD_TOKEN.encode() in path.read_bytes()]


def test_the_name_of_a_branch_is_refused(hub, tmp_path):
    with pytest.raises(ValueError, match=r"HubModel.revision is 'main'; name the commit"):
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
