"""A bundle that opens has been proved: its manifest, its trunk and the hosts that are there."""

import json
import shutil

import numpy as np
import pytest

from interlingua.models.bundle.nla import NLA
from interlingua.store.bundle import MANIFEST_NAME, BundleDamaged

pytestmark = pytest.mark.slow

TEXT = "dear friend, the farmer happily carried a basket. there was rain."


def folder_of(moved, tag):
    [folder] = (moved.parent.parent / "host").glob(f"{tag}-*")
    return folder


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_a_manifest_that_was_edited_is_refused(copied):
    path = copied / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest["hosts"]["toy-gpt2-medium"]["block_index"] += 1
    path.write_text(json.dumps(manifest, indent=2))
    with pytest.raises(BundleDamaged, match=f"{path} is not as it was written.*build the bundle"):
        NLA.load(copied)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\xff\xfe" + content,
        lambda content: b"[]",
        lambda content: b"{}",
    ],
    ids=["cut", "empty", "garbled", "a list", "nothing in it"],
)
def test_a_damaged_manifest_is_named(spoil, copied):
    path = copied / MANIFEST_NAME
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleDamaged, match=f"{path} .*fetch or build the bundle again"):
        NLA.load(copied)


def test_a_manifest_of_another_version_says_what_to_do(copied):
    path = copied / MANIFEST_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(BundleDamaged, match="has format 1; this version reads 3: build the bundle"):
        NLA.load(copied)


def test_a_file_that_came_later_is_refused(copied):
    # transformers would take its special tokens from it
    (copied / "tokenizer" / "special_tokens_map.json").write_text('{"eos_token": "a"}')
    with pytest.raises(BundleDamaged, match=r"tokenizer/special_tokens_map.json .* not bundled"):
        NLA.load(copied)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "generation_config.json"])
@pytest.mark.parametrize(
    ("tag", "known_as"),
    [("toy-qwen3-1p7b", "the trunk"), ("toy-gpt2-medium", "the host toy-gpt2-medium")],
)
def test_a_model_that_changed_is_refused(tag, known_as, name, moved):
    path = folder_of(moved, tag) / name
    flip_a_bit(path)
    with pytest.raises(BundleDamaged, match=f"{known_as} is not .*: {path} "):
        NLA.load(moved)
    path.unlink()
    with pytest.raises(BundleDamaged, match=f"{known_as} is not .*: {path} is missing"):
        NLA.load(moved)


def test_a_file_that_a_model_did_not_have_is_refused(moved):
    path = folder_of(moved, "toy-lfm-7b") / "added_tokens.json"
    path.write_text("{}")
    with pytest.raises(BundleDamaged, match=f"the host toy-lfm-7b is not .*: {path} is new"):
        NLA.load(moved)


def test_what_a_models_answers_do_not_depend_on_may_change(moved):
    folder = folder_of(moved, "toy-qwen3-1p7b")
    (folder / "artifact.json").write_text("{}")
    (folder / "README.md").write_text("a note")
    (folder / "exam.parquet").unlink()
    NLA.load(moved)


def test_a_missing_trunk_is_told_where_it_should_be(moved):
    folder = folder_of(moved, "toy-qwen3-1p7b")
    shutil.rmtree(folder)
    with pytest.raises(BundleDamaged, match=f"the trunk of {moved} is not at {folder}; put"):
        NLA.load(moved)


def test_without_a_host_its_vectors_are_explained_all_the_same(moved, nla, short):
    h_D = nla.activation(TEXT, "toy-gpt2-medium")
    folder = folder_of(moved, "toy-gpt2-medium")
    aside = folder.rename(folder.with_name("aside"))
    opened = NLA.load(moved)
    assert opened.verbalize(h_D, "toy-gpt2-medium", **short) == nla.verbalize(
        h_D, "toy-gpt2-medium", **short
    )
    with pytest.raises(
        BundleDamaged, match=f"the host toy-gpt2-medium of {moved} is not at {folder}"
    ):
        opened.activation(TEXT, "toy-gpt2-medium")
    # It is proved when it comes back, too.
    aside.rename(folder)
    np.testing.assert_array_equal(opened.activation(TEXT, "toy-gpt2-medium"), h_D)


def test_a_host_that_comes_back_as_another_is_refused(moved):
    folder = folder_of(moved, "toy-gpt2-medium")
    aside = folder.rename(folder.with_name("aside"))
    opened = NLA.load(moved)
    aside.rename(folder)
    flip_a_bit(folder / "model.safetensors")
    with pytest.raises(BundleDamaged, match="the host toy-gpt2-medium is not the model"):
        opened.activation(TEXT, "toy-gpt2-medium")
