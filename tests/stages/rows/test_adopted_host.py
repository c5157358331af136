"""What a host's answers depend on is hashed, whole; what they do not depend on is not."""

import shutil

import pytest
from tests.local_host import local_host

from interlingua.cluster.local import local_context
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import build, find

HOST = "toy-gpt2-medium"


def hash_of(folder):
    return local_host("some", str(folder), None).files_sha256


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "config.json").write_text("{}")
    (tmp_path / "some" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "some"


@pytest.mark.parametrize(
    "name",
    [
        "merges.txt", "vocab.txt", "vocab.json", "vocab.bpe", "spiece.model", "source.spm",
        "qwen.tiktoken", "bpe.codes", "dict.txt", "added_tokens.json", "tokenizer_config.json",
        "generation_config.json", "pytorch_model-00001-of-00002.bin",
        "model.safetensors.index.json", "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
    ],
)  # fmt: skip
def test_what_transformers_reads_counts(name, folder):
    before = hash_of(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("one")
    one = hash_of(folder)
    (folder / name).write_text("two")
    assert len({before, one, hash_of(folder)}) == 3


@pytest.mark.parametrize("name", ["artifact.json", "README.md", "LICENSE.txt", "metrics.jsonl"])
def test_what_nobody_answers_from_does_not(name, folder):
    before = hash_of(folder)
    (folder / name).write_text("at four o'clock")
    assert hash_of(folder) == before


def test_an_adapter_on_a_model_elsewhere_is_refused(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    with pytest.raises(ValueError, match=r"adapter_config.json .* elsewhere.*; merge it"):
        hash_of(folder)


@pytest.mark.slow
def test_two_builds_of_a_host_are_the_same(mini_root, tmp_path):
    stages = {f"{s.kind}/{s.label}": s for s in graph_of(world_mini())}
    shutil.copytree(mini_root / "passages", tmp_path / "passages")
    again = build(stages[f"host/{HOST}"], tmp_path, local_context(world_mini().placement))
    once = find(stages[f"host/{HOST}"], mini_root)
    assert once.record.finished != again.record.finished or once.record.seconds != (
        again.record.seconds
    )
    assert hash_of(once.path) == hash_of(again.path)
