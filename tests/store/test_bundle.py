"""What a bundle says of itself and of models that it does not hold: where, and which they are."""

from dataclasses import replace

import pytest

from interlingua.recipes.world import world_mini
from interlingua.specs.extraction import Pooled
from interlingua.store.bundle import (
    MANIFEST_NAME,
    BundleDamaged,
    BundledHost,
    Manifest,
    Opened,
    check_models,
    checked_source,
    read_manifest,
    source_of,
    write_manifest,
)
from interlingua.store.model_files import model_hashes

HUB = Opened(source="someone/some-model", revision="0" * 40, files=None)


@pytest.fixture
def folder(tmp_path):
    """A bundle's folder with a file of it, and a model beside it."""
    for name, content in (("config.json", b"{}"), ("model.safetensors", b"weights")):
        path = tmp_path / "host" / "some" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "bundle" / "one" / "av").mkdir(parents=True)
    (tmp_path / "bundle" / "one" / "av" / "weights.safetensors").write_bytes(b"more weights")
    return tmp_path / "bundle" / "one"


@pytest.fixture
def local(folder):
    """The model beside it, as a bundle knows it."""
    hashes = model_hashes(folder.parent.parent / "host" / "some")
    return Opened(source="../../host/some", revision=None, files=hashes)


def manifest_of(trunk, model):
    recipe = world_mini()
    read = Pooled(include_first=False)
    host = BundledHost(model=model, block_index=1, read=read, max_tokens=64, dtype="float32")
    return Manifest(
        stage="sft", anchor="some", trunk=trunk, av=recipe.av, ar=recipe.ar,
        hosts={"some": host}, artifacts={"av": "0" * 12},
    )  # fmt: skip


def test_a_manifest_reads_back(folder, local):
    write_manifest(folder, manifest_of(local, HUB))
    assert read_manifest(folder) == manifest_of(local, HUB)


def test_its_layout_may_change_and_nothing_else(folder, local):
    write_manifest(folder, manifest_of(local, local))
    path = folder / MANIFEST_NAME
    text = path.read_text()
    path.write_text(" ".join(text.split()))
    assert read_manifest(folder) == manifest_of(local, local)
    path.write_text(text.replace('"max_tokens": 64', '"max_tokens": 65'))
    with pytest.raises(BundleDamaged, match="is not as it was written"):
        read_manifest(folder)
    path.write_text(text.replace("{", '{"unheard_of": 1,', 1))
    with pytest.raises(BundleDamaged, match="is not as it was written"):
        read_manifest(folder)


def test_what_stands_beside_the_bundle_does_not_count(folder, local):
    write_manifest(folder, manifest_of(local, local))
    (folder / "artifact.json").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "av" / ".DS_Store").write_text("a file manager's")
    read_manifest(folder)


def test_a_model_of_the_hub_is_named_by_its_commit(folder, local):
    # A folder of that name beside the bundle is not what was meant.
    (folder / "someone" / "some-model").mkdir(parents=True)
    assert source_of(HUB, folder) == checked_source("it", HUB, folder) == "someone/some-model"
    check_models(folder, manifest_of(HUB, HUB))


def test_a_model_that_was_fetched_is_opened_from_where_it_lies(folder, local):
    fetched = replace(HUB, files=local.files, folder=local.source)
    write_manifest(folder, manifest_of(fetched, fetched))
    assert read_manifest(folder) == manifest_of(fetched, fetched)
    here = folder.parent.parent / "host" / "some"
    assert source_of(fetched, folder) == checked_source("it", fetched, folder) == str(here)
    (here / "model.safetensors").write_bytes(b"others")
    with pytest.raises(BundleDamaged, match=r"it is not the model .*model.safetensors has other"):
        checked_source("it", fetched, folder)
    # Somewhere else there is the hub, which has it under the same name and commit.
    here.rename(here.with_name("elsewhere"))
    assert source_of(fetched, folder) == checked_source("it", fetched, folder) == HUB.source
    check_models(folder, manifest_of(fetched, fetched))


def test_a_folder_is_never_taken_for_a_model_of_the_hub(folder, local):
    gone = replace(local, source="models/gone")
    assert source_of(gone, folder) == str(folder / "models" / "gone")
    with pytest.raises(
        BundleDamaged, match=f"the trunk of {folder} is not at {folder}/models/gone"
    ):
        check_models(folder, manifest_of(gone, local))


def test_a_host_may_be_missing_and_not_be_another(folder, local):
    gone = replace(local, source="../../host/gone")
    check_models(folder, manifest_of(local, gone))
    another = replace(local, files={**local.files, "model.safetensors": "0" * 64})
    with pytest.raises(BundleDamaged, match=r"the host some is not .*model.safetensors has other"):
        check_models(folder, manifest_of(local, another))
    other_config = replace(local, files={"config.json": local.files["config.json"]})
    with pytest.raises(BundleDamaged, match=r"the host some is not .*model.safetensors is new"):
        check_models(folder, manifest_of(local, other_config))
