"""Models built whole and cut behind a block, so that what is left computes as it did.

Some families compute with the number of their blocks (a scale of every residual, keys that the
last blocks share), and a configuration of fewer would be another network: it stays as it is, and
the list of blocks is cut once it is built. Reads no weights.
"""

from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel


def cut(model: PreTrainedModel, blocks_path: str, num_blocks: int) -> None:
    """Drop all but the first blocks of a model, in place."""
    blocks = model.get_submodule(blocks_path)
    assert isinstance(blocks, nn.ModuleList)
    del blocks[num_blocks:]
    # loading looks up both sides of every tie, and some families tie one block to another
    names = model.state_dict().keys()
    model.all_tied_weights_keys = {
        target: source
        for target, source in model.all_tied_weights_keys.items()
        if target in names and source in names
    }


def cut_class(
    model_class: type[PreTrainedModel], blocks_path: str, num_blocks: int
) -> type[PreTrainedModel]:
    """A class whose `from_pretrained` reads no weight above the cut.

    It builds on the meta device, where the blocks that go cost nothing, and what a checkpoint has
    beyond the model is left unread. What it makes is an instance of the class it was made from.
    """

    def build(self: Any, config: PreTrainedConfig, *args: Any, **options: Any) -> None:
        model_class.__init__(self, config, *args, **options)
        cut(self, blocks_path, num_blocks)
        self.__class__ = model_class

    # transformers looks up losses and conversions of weights by name and module
    names = {"__init__": build, "__module__": model_class.__module__}
    return type(model_class.__name__, (model_class,), names)
