"""A GGUF file becomes a bundle that needs the file no more, but needs what it was converted to."""

import shutil
from pathlib import Path

import pytest
from tests.models.gguf_files import small_llama, write_gguf
from tests.own_data import TAG, built, own_recipe, write_rows
from tests.own_model import POSITIONS, texts, tokenizer_of_texts

from interlingua import NLA
from interlingua.specs.corpora import TextFiles
from interlingua.specs.hosts import AtDepth
from interlingua.specs.models import HubHost
from interlingua.specs.teachers import ExtractiveTeacher

NUM_TEXTS = 160


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The artifacts, and the file, which was moved away behind them."""
    folder = tmp_path_factory.mktemp("gguf")
    path = folder / "tiny.gguf"
    tokenizer = tokenizer_of_texts()
    model = small_llama(tokenizer.get_vocab_size(), is_tied=True, positions=POSITIONS)
    write_gguf(path, model, tokenizer)
    write_rows(folder / "texts.jsonl", ({"text": one} for one in texts(NUM_TEXTS)))
    recipe = own_recipe(
        folder,
        model=HubHost(tag=TAG, source=str(path)),
        texts=TextFiles(path=str(folder / "texts.jsonl")),
        explanations=ExtractiveTeacher(next_tokens=2),
        # The depth is in the file's header.
        block=AtDepth(fraction=0.5),
    )
    artifacts = built(recipe, tmp_path_factory.mktemp("runs"))
    path.rename(folder / "elsewhere.gguf")
    return artifacts


def test_the_bundle_opens_without_the_file(walked):
    nla = NLA.load(walked["bundle", "own"].path)
    assert nla.manifest.hosts[TAG].block_index == 1
    [[one]] = nla.verbalize(texts=["the farmer carried a basket."], host=TAG, max_new_tokens=6)
    assert one.raw_text


def test_a_root_that_is_moved_whole_opens(walked, tmp_path):
    bundle = walked["bundle", "own"].path
    root = shutil.copytree(bundle.parent.parent, tmp_path / "moved")
    nla = NLA.load(root / bundle.relative_to(bundle.parent.parent))
    assert nla.verbalize(texts=["the farmer carried a basket."], host=TAG, max_new_tokens=6)


def test_a_bundle_alone_says_what_it_lacks(walked, tmp_path):
    copied = Path(shutil.copytree(walked["bundle", "own"].path, tmp_path / "alone"))
    with pytest.raises(ValueError) as caught:
        NLA.load(copied)
    said = str(caught.value)
    print(said)
    assert "\n" not in said and "trunk" in said
    assert f"adopted/{walked['adopted', TAG].path.name}/model" in said
