"""What you would bring, made offline to try the next two: `python examples/my_data.py my_data`.

A language model in an ordinary Hugging Face folder, texts and explanations as JSON lines, and the
model's activations of the texts as a tensor. Two minutes; all of it is the embedded world's.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from interlingua.cluster.local import local_context
from interlingua.core.keyed import keyed_random
from interlingua.models.hosts.activations import Reader
from interlingua.recipes.world import world
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.splits import Split
from interlingua.stages.rows.host import host_stage
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import build
from interlingua.world.teacher import explanation_from
from interlingua.world.text import telling_of

NUM_TEXTS, BLOCK = 6000, 2
KINDS, NUM_NAMED, SAMPLES = ("topic", "style", "mood", "role", "object", "weather"), 5, 3


def main(out: Path) -> None:
    """Write model/, texts.jsonl, explanations.jsonl and activations.npy."""
    recipe, corpus = world(), world().passages.corpus
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        passages = passages_stage(recipe.passages)
        for stage in (passages, host_stage(recipe.host(recipe.anchor).source, passages)):
            made = build(stage, Path(scratch), local_context(recipe.placement))
        shutil.copytree(made.path, out / "model", dirs_exist_ok=True)
    texts = [telling_of(number, corpus.world) for number in range(30_000, 30_000 + NUM_TEXTS)]
    with (
        (out / "texts.jsonl").open("w") as of_texts,
        (out / "explanations.jsonl").open("w") as of_explanations,
    ):
        for number, text in enumerate(texts):
            of_texts.write(json.dumps({"id": number, "text": text.text}) + "\n")
            for sample in range(SAMPLES):
                rng = keyed_random("mine", number, sample)
                named = rng.sample(KINDS, NUM_NAMED)
                explanation = explanation_from(named, text.facts.values, rng, 40)
                row = {"id": number, "explanation": explanation}
                of_explanations.write(json.dumps(row) + "\n")
    read = ExtractSpec(
        host_tag="mine", block_indices=(BLOCK,), read=Pooled(include_first=False),
        max_tokens=256, dtype="float32", splits=(Split.TEST,),
    )  # fmt: skip
    reader = Reader(str(out / "model"), read, revision=None, device="cpu", batch_tokens=8192)
    rows = reader.rows([(str(number), text.text) for number, text in enumerate(texts)])
    np.save(out / "activations.npy", rows.vectors_by_block[BLOCK])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
