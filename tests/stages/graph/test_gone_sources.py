"""A finished root needs none of the files that it was made from, but for the model itself."""

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.own_data import (
    BLOCK,
    TAG,
    activations,
    build_here,
    built,
    own_recipe,
    write_rows,
)
from tests.own_model import save_model, texts
from tests.serving.client.served import served

from interlingua.commands.auditing import recompute, verify
from interlingua.commands.using import verbalize
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.serving.backend import Limits
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.own.app import Settings, make_app
from interlingua.sources.pinned import pinned
from interlingua.specs.corpora import TextFiles
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile, HubHost
from interlingua.specs.placement import ServerPlacement
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.order import graph_of
from interlingua.stages.graph.served import served_stages
from interlingua.store.artifact import find
from interlingua.store.bundle import bundle_digest

pytestmark = pytest.mark.slow

NUM_TEXTS = 160


def recipe(folder: Path) -> Recipe:
    """Everything is brought: texts, explanations and activations."""
    path = str(folder / "texts.jsonl")
    return own_recipe(
        folder,
        model=HubHost(tag=TAG, source=str(folder / "model")),
        texts=TextFiles(path=path, id_field="id"),
        activations=ActivationFile(path=str(folder / "activations.npy"), index=path),
        block=AtBlock(index=BLOCK),
    )


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The recipe, as it is and pinned, and its artifacts; the files are gone."""
    folder = tmp_path_factory.mktemp("own")
    model, told = save_model(folder / "model"), texts(NUM_TEXTS)
    write_rows(
        folder / "texts.jsonl", ({"id": number, "text": one} for number, one in enumerate(told))
    )
    write_rows(
        folder / "explanations.jsonl",
        (
            {"id": number, "explanation": " ".join(one.split()[:4])}
            for number, one in enumerate(told)
        ),
    )
    np.save(folder / "activations.npy", activations(model, told))
    mine = recipe(folder)
    named = pinned(mine)
    artifacts = built(mine, tmp_path_factory.mktemp("runs"))
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    return mine, named, artifacts


@pytest.fixture
def root(walked) -> Path:
    return walked[2]["bundle", "own"].path.parent.parent


def test_every_file_is_verified(root, capsys):
    verify.main(Namespace(root=root, traceback=False))
    assert ", 0 faults" in capsys.readouterr().out


def test_all_numbers_are_made_again(walked, capsys):
    folder = walked[2]["evaluation", "own"].path
    recompute.main(Namespace(folder=folder, tables=False, traceback=False))
    assert "numbers, all equal to those in" in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["--num-passages", "--texts"])
def test_passages_and_texts_are_explained(walked, tmp_path, asked):
    lines = tmp_path / "lines.txt"
    lines.write_text("the farmer carried a basket.\nthere was rain.\n")
    out = tmp_path / "out.jsonl"
    arguments = [
        walked[2]["bundle", "own"].path, "--host", TAG, "--max-new-tokens", 6, "--out", out,
        asked, {"--num-passages": 2, "--texts": lines}[asked],
    ]  # fmt: skip
    verbalize.main(verbalize.verbalize_parser().parse_args(list(map(str, arguments))))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 2 and all(row["generated"] for row in rows)


def test_the_recipe_with_its_hashes_finds_everything_done(walked, root):
    mine, named, artifacts = walked
    with pytest.raises(ValueError, match="rows.path=.* names no file.* what the records of that"):
        pinned(mine)
    corpus = artifacts["passages", "text_files"].record.spec["corpus"]
    teacher = artifacts["explanations", "teacher-dev"].record.spec["teacher"]
    rows = artifacts["activations", f"{TAG}-test"].record.spec["file"]
    again = with_overrides(
        mine,
        [
            f"passages.corpus.sha256={corpus['sha256']}",
            f"av_lessons.teacher.sha256={teacher['sha256']}",
            f"ar_lessons.teacher.sha256={teacher['sha256']}",
            f"hosts.{TAG}.rows.sha256={rows['sha256']}",
            f"hosts.{TAG}.rows.index_sha256={rows['index_sha256']}",
        ],
    )
    assert pinned(again) == named
    assert all(find(stage, root) for stage in graph_of(pinned(again)))


def test_what_is_not_made_yet_says_which_file_it_wants(walked, tmp_path):
    _, named, _ = walked
    with pytest.raises(ValueError, match="TextFiles.path=.*texts.jsonl names no file") as caught:
        built(replace(named, name="other"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_server_of_the_bundle_gives_its_numbers(walked, root):
    mine, artifacts = walked[1:]
    bundle = artifacts["bundle", "own"].path
    engines = opened_backend(bundle, limits=Limits())
    try:
        with served(make_app({"own": engines}, Settings())) as url:
            place = mine.placement
            verbalizing = replace(place.verbalizing, server=ServerPlacement(url=url, model=None))
            stages = served_stages(
                replace(mine, placement=replace(place, verbalizing=verbalizing)),
                bundle_digest(bundle),
                next(stage for stage in graph_of(mine) if stage.kind == "bundle"),
            )
            build_here(stages, root, replace(place, verbalizing=verbalizing))
    finally:
        engines.close()
    [evaluation] = [stage for stage in stages if stage.kind == "evaluation"]
    there = read_numbers(find(evaluation, root).path / NUMBERS_NAME)
    here = read_numbers(artifacts["evaluation", "own"].path / NUMBERS_NAME)
    count, largest = here.largest_difference(there)
    assert count > 100 and largest < 1e-3
