"""A recipe that is pinned says what is computed; what it lacks is said before any work."""

import json
import shutil
from dataclasses import replace

import pytest
from tests.own_data import own_recipe

from interlingua.recipes.own import mine
from interlingua.recipes.world import world_mini
from interlingua.sources.pinned import pinned, pinned_host
from interlingua.specs.corpora import Mixture, MixturePart, TextFiles
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile, HubHost
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.order import graph_of


@pytest.fixture
def folder(tmp_path):
    """A model, which is only named, texts and explanations."""
    (tmp_path / "model").mkdir()
    config = {"model_type": "llama", "num_hidden_layers": 6}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    for name, field in (("texts", "text"), ("explanations", "explanation")):
        row = json.dumps({"id": "a", field: "One.", "doc": "d"})
        (tmp_path / f"{name}.jsonl").write_text(f"{row}\n")
    return tmp_path


def keys_of(recipe) -> list[str]:
    return [stage.key for stage in graph_of(pinned(recipe))]


def test_all_that_is_left_to_be_set_is_named_at_once():
    with pytest.raises(
        ValueError,
        match=r"^mine needs --set hosts.model.source.source=... --set passages.corpus.path=...$",
    ):
        pinned(mine())


def test_what_is_set_on_the_command_line_is_pinned(folder):
    found = pinned(
        with_overrides(
            mine(),
            [
                f"hosts.model.source.source={folder / 'model'}",
                f"passages.corpus.path={folder / 'texts.jsonl'}",
                "av_lessons.teacher=explanation_file",
                f"av_lessons.teacher.path={folder / 'explanations.jsonl'}",
            ],
        )
    )
    (host,) = found.hosts
    assert len(host.source.files_sha256) == len(found.passages.corpus.sha256) == 64
    assert host.source.num_blocks == 6
    # The middle of six, and the AR has the blocks up to there.
    assert host.block_index == found.ar.block_index == round(0.5 * 5)
    assert len(found.av_lessons.teacher.sha256) == 64 and pinned(found) == found


def test_a_recipe_without_files_is_as_it_was():
    assert pinned(world_mini()) == world_mini()


@pytest.mark.parametrize("name", ["texts.jsonl", "model/model.safetensors", "explanations.jsonl"])
def test_other_content_is_another_recipe(folder, name):
    before = keys_of(own_recipe(folder))
    assert keys_of(own_recipe(folder)) == before
    (folder / name).write_text((folder / name).read_text().replace("e", "3"))
    changed = keys_of(own_recipe(folder))
    assert changed[-1] != before[-1]


def test_files_that_are_gone_are_known_by_the_hashes_that_a_recipe_names(folder):
    once = pinned(own_recipe(folder))
    keys = [stage.key for stage in graph_of(once)]
    for name in ("texts.jsonl", "explanations.jsonl"):
        (folder / name).unlink()
    assert pinned(once) == once and keys_of(once) == keys
    hashes = ("passages.corpus.sha256", "av_lessons.teacher.sha256", "ar_lessons.teacher.sha256")
    for name in hashes:
        with pytest.raises(ValueError) as caught:
            pinned(with_overrides(once, [f"{name}=none"]))
        said = str(caught.value)
        assert said.startswith(f"{name.replace('sha256', 'path')}={folder}") and "\n" not in said
        assert f"set {name} to what the records of that run say" in said


def test_a_model_that_is_gone_is_known_by_its_hash_and_depth(folder):
    once = pinned(own_recipe(folder))
    shutil.rmtree(folder / "model")
    assert pinned(once) == once
    with pytest.raises(ValueError, match="nothing is there"):
        pinned(own_recipe(folder))


def test_a_file_that_changed_since_it_was_pinned_is_refused(folder):
    from interlingua.sources.source import corpus_of

    corpus = pinned(own_recipe(folder)).passages.corpus
    (folder / "texts.jsonl").write_text('{"id": "a", "text": "Two.", "doc": "d"}\n')
    with pytest.raises(ValueError, match="texts.jsonl.* they have changed.*sha256 to none"):
        list(corpus_of(corpus).records())


def test_parts_of_a_mixture_are_pinned(folder):
    part = MixturePart(tag="a", share=0.5, corpus=TextFiles(path=str(folder / "texts.jsonl")))
    corpus = Mixture(parts=(part, replace(part, tag="b")))
    found = pinned(own_recipe(folder, texts=corpus)).passages.corpus
    assert [len(one.corpus.sha256) for one in found.parts] == [64, 64]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (HubHost(tag="a", source="./nowhere"), "nothing is there; a model is a folder"),
        (HubHost(tag="a", source="nowhere.gguf"), "nothing is there"),
        (HubHost(tag="a", source="some/model"), "revision is none for the hub id .* the commit"),
    ],
)
def test_a_host_that_cannot_be_named_is_refused(host, words):
    with pytest.raises(ValueError, match=words):
        pinned_host(host, needs_depth=False)


def test_a_folder_has_no_revision(folder):
    host = HubHost(tag="a", source=str(folder / "model"), revision="0" * 40)
    with pytest.raises(ValueError, match="is here and has none: it is known by its hash"):
        pinned_host(host, needs_depth=False)


def test_vectors_by_number_and_texts_by_name_are_not_joined(folder):
    (folder / "vectors.npy").write_bytes(b"x")
    rows = ActivationFile(path=str(folder / "vectors.npy"))
    recipe = own_recipe(folder, activations=rows)
    with pytest.raises(ValueError, match=r"have ids of their own \(id\).* the texts themselves"):
        pinned(recipe)
    corpus = replace(recipe.passages.corpus, id_field=None)
    assert pinned(replace(recipe, passages=replace(recipe.passages, corpus=corpus)))


def test_a_pattern_without_files_is_named(folder):
    recipe = own_recipe(folder, texts=TextFiles(path=str(folder / "*.parquet")))
    with pytest.raises(ValueError, match=r"passages.corpus.path=.*\*.parquet names no file"):
        pinned(recipe)


def test_a_block_that_is_named_needs_no_depth():
    host = HubHost(tag="a", source="some/model", revision="0" * 40)
    recipe = mine()
    (own,) = recipe.hosts
    named = replace(own, source=host, block=AtBlock(index=3))
    assert named.block_index == 3
    with pytest.raises(ValueError, match="num_blocks is none: pin the recipe first"):
        replace(own, source=host).block_index  # noqa: B018
