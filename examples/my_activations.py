"""An NLA on activations that you have already, and explanations of them.

`python -m jobs.run --recipe examples/my_activations.py`. The tensor may be .npy, .safetensors, .pt
or a column of a parquet; row i of `index` says which text vector i is of. The model is needed all
the same: AV and AR are fine-tunes of it, and it reads some texts to see that the block is right.
"""

from dataclasses import replace

from examples.my_model import DATA
from examples.my_model import recipe as my_model

from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile
from interlingua.specs.recipe import Recipe


def recipe() -> Recipe:
    """The same NLA; nothing is read from the model but for the check."""
    mine = my_model()
    vectors = ActivationFile(
        path=str(DATA / "activations.npy"),
        index=str(DATA / "texts.jsonl"),  # its ids, line by line
    )
    hosts = tuple(replace(host, block=AtBlock(index=2), rows=vectors) for host in mine.hosts)
    return replace(mine, name="my_activations", hosts=hosts)
