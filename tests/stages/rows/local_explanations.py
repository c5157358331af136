"""A recipe whose texts are explained by a model that runs here, up to these explanations."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.chat_model import save_chat_model

from interlingua.cluster.local import LocalPool
from interlingua.recipes.own import nla_of
from interlingua.sources.pinned import pinned
from interlingua.specs.corpora import TextFiles
from interlingua.specs.models import HubHost
from interlingua.specs.placement import Placement, Workers
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import SplitSpec
from interlingua.specs.teachers import LocalTeacher, Prompt
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import Stage

NUM_TEXTS = 30
PROMPT = Prompt(user="What is this about? {text}", max_new_tokens=10)
SPLIT = SplitSpec(seed=0, pretrain=0.0, av_sft=0.6, ar_sft=0.1, rl=0.0, fit=0.1, dev=0.1, test=0.1)


def write_texts(folder: Path) -> Path:
    path = folder / "texts.jsonl"
    lines = (json.dumps({"text": f"Note {number}: rain."}) + "\n" for number in range(NUM_TEXTS))
    path.write_text("".join(lines))
    return path


def taught(folder: Path, source: Path, **teacher) -> Recipe:
    """The recipe, pinned; texts and, where it is not there, the model are written to the folder."""
    if not source.exists():
        save_chat_model(source)
    recipe = nla_of(
        "taught",
        model=HubHost(tag="mine", source=str(source)),
        texts=TextFiles(path=str(write_texts(folder))),
        explanations=LocalTeacher(source=str(source), **{"prompt": PROMPT, **teacher}),
    )
    passages = replace(recipe.passages, split=SPLIT, near_duplicates=None)
    return pinned(replace(recipe, passages=passages))


def stages_of(recipe: Recipe) -> Mapping[str, Stage]:
    """What the explanations of `av_sft` need, by kind, inputs first."""
    graph = graph_of(recipe)
    texts = [one for one in graph if one.kind == "explanations" and "av_sft" in one.label]
    return {stage.kind: stage for stage in needed_for("explanations", texts)}


def placed(
    recipe: Recipe, *, block_rows: int, batch_rows: int, workers: Workers | None = None
) -> Placement:
    own = replace(
        recipe.placement.verbalizing,
        block_rows=block_rows,
        batch_rows=batch_rows,
        workers=workers,
    )
    return replace(recipe.placement, verbalizing=own)


class CountingPool(LocalPool):
    """A pool of this process that counts its items, and breaks off before one of them."""

    def __init__(self, breaks_before: int | None = None) -> None:
        self.num_done, self._breaks_before = 0, breaks_before

    def map(self, worker, job, items, workers):
        for result in super().map(worker, job, self._until(items), workers):
            self.num_done += 1
            yield result

    def _until(self, items):
        for number, item in enumerate(items):
            if number == self._breaks_before:
                raise InterruptedError("the power is gone")
            yield item
