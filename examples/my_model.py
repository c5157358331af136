"""An NLA on your own model, texts and explanations.

`python -m jobs.run --recipe examples/my_model.py --dry-run`, then without `--dry-run`. Where the
files lie stands in MY_DATA (default: my_data); `python examples/my_data.py my_data` makes some.
"""

import os
from dataclasses import replace
from pathlib import Path

from interlingua.recipes.own import nla_of
from interlingua.specs.corpora import TextFiles
from interlingua.specs.hosts import AtDepth
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.teachers import ExplanationFile

DATA = Path(os.environ.get("MY_DATA", "my_data"))


def recipe() -> Recipe:
    """One model, which is read, and is also the trunk under AV and AR."""
    mine = nla_of(
        "my_model",
        # Or a hub id: HubHost(tag="llama", source="meta-llama/...", revision="the commit").
        model=HubHost(tag="mine", source=str(DATA / "model")),
        block=AtDepth(fraction=0.67),
        texts=TextFiles(path=str(DATA / "texts.jsonl"), id_field="id"),
        # Without explanations: leave this out, and they are words taken from the texts.
        explanations=ExplanationFile(path=str(DATA / "explanations.jsonl")),
    )
    # So small a model is trained whole, and fast. Without these lines LoRA of rank 32 is trained.
    optim = replace(mine.av.optim, learning_rate=2e-3)
    av, ar = (replace(model, lora=None, optim=optim) for model in (mine.av, mine.ar))
    return replace(mine, av=av, ar=ar, speaking=replace(mine.speaking, max_new_tokens=48))
