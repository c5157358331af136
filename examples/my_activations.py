"""An NLA on activations that you have already, and explanations of them.

`python -m jobs.run --recipe examples/my_activations.py`. Row i of the tensor is of line i of the
texts; it may be .npy, .safetensors, .pt or a column of a parquet. The model is still needed: the AV
and AR are fine-tunes of it, and a few rows are read again to see that they are of this block.
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
    vectors = ActivationFile(path=str(DATA / "activations.npy"))
    hosts = tuple(replace(host, block=AtBlock(index=2), rows=vectors) for host in mine.hosts)
    return replace(mine, name="my_activations", hosts=hosts)
