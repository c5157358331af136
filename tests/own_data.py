"""What a user brings, small: a model in a folder, texts, explanations and activations of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.core.keyed import keyed_random
from interlingua.models.hosts.activations import Reader
from interlingua.recipes.own import nla_of
from interlingua.recipes.world import MINI_WATCH
from interlingua.sources.pinned import pinned
from interlingua.specs.corpora import TextFiles
from interlingua.specs.evaluation import GateName
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.models import HubHost
from interlingua.specs.placement import Placement
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExplanationFile
from interlingua.stages.graph.order import graph_of
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store.artifact import Artifact, Stage, find
from interlingua.world.teacher import explanation_from
from interlingua.world.text import telling_of

NUM_DOCUMENTS, PER_DOCUMENT, BLOCK = 120, 3, 1
TAG = "mine"


def write_rows(path: Path, rows: Iterable[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_own(folder: Path, model: Path) -> Path:
    """Documents of three texts each, two explanations of every text, and their activations."""
    from interlingua.recipes.world import world_mini

    world = world_mini().passages.corpus.world
    told = [telling_of(7000 + number, world) for number in range(NUM_DOCUMENTS * PER_DOCUMENT)]
    texts = [
        {"id": f"t{number}", "text": one.text, "doc": f"d{number // PER_DOCUMENT}"}
        for number, one in enumerate(told)
    ]
    write_rows(folder / "texts.jsonl", texts)
    write_rows(
        folder / "explanations.jsonl",
        (
            {"id": text["id"], "explanation": _explained(one.facts.values, text["id"], sample)}
            for one, text in zip(told, texts, strict=True)
            for sample in range(2)
        ),
    )
    (folder / "model").symlink_to(model)
    np.save(folder / "activations.npy", activations(model, [text["text"] for text in texts]))
    return folder


def activations(model: Path, texts: list[str]) -> np.ndarray:
    """[N, D]: what the model has at the block, pooled."""
    read = ExtractSpec(
        host_tag=TAG,
        block_indices=(BLOCK,),
        read=Pooled(include_first=False),
        max_tokens=512,
        dtype="float32",
        splits=(Split.TEST,),
    )
    reader = Reader(str(model), read, revision=None, device="cpu", batch_tokens=8192)
    rows = reader.rows([(str(number), text) for number, text in enumerate(texts)])
    return rows.vectors_by_block[BLOCK]


def own_recipe(folder: Path, **parts: object) -> Recipe:
    """A dozen steps of `nla_of` on that folder: it learns nothing, in seconds."""
    given = {
        "model": HubHost(tag=TAG, source=str(folder / "model")),
        "texts": TextFiles(path=str(folder / "texts.jsonl"), id_field="id", document_field="doc"),
        "explanations": ExplanationFile(path=str(folder / "explanations.jsonl")),
    }
    recipe = nla_of("own", **(given | parts))
    few = {"num_steps": 12, "batch_rows": 8, "watch": MINI_WATCH}
    return replace(
        recipe,
        av=replace(recipe.av, **few),
        ar=replace(recipe.ar, **few),
        speaking=replace(recipe.speaking, max_new_tokens=12),
        # A model that learned nothing: every gate that judges what it says must fail.
        evaluation=replace(recipe.evaluation, rows=16, samples=2, accepts=tuple(GateName)),
    )


def built(recipe: Recipe, root: Path) -> dict[tuple[str, str], Artifact]:
    """All artifacts of the recipe by kind and label, built in this process; its pins taken."""
    recipe = pinned(recipe)
    stages = graph_of(recipe)
    build_here(stages, root, recipe.placement)
    return {(stage.kind, stage.label): made for stage in stages if (made := find(stage, root))}


def build_here(stages: Sequence[Stage], root: Path, place: Placement) -> None:
    """Build these stages in this process."""
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, local_context(place), watcher)


def _explained(facts: dict[str, str], key: str, sample: int) -> str:
    rng = keyed_random("own", key, sample)
    return explanation_from(rng.sample(["topic", "mood", "role"], 2), facts, rng, 20)
