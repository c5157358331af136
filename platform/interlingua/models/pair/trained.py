"""The trained AV and AR, opened from a trunk and the weights that training changed.

Knows no stage. What is missing or left over among the weights is an error, never a random start.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from interlingua.models.pair.fresh import fresh_reconstructor, fresh_verbalizer
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.specs.training import ArSpec, AvSpec

AFFINE = "affine."


class LostWeights(ValueError):
    """The weights of a model do not match what it was trained as."""


def trained_verbalizer(
    source: str,
    spec: AvSpec,
    weights: Mapping[str, Tensor],
    *,
    revision: str | None = None,
    device: str = "cpu",
) -> Verbalizer:
    """The AV as its training left it."""
    verbalizer = fresh_verbalizer(source, spec, revision=revision, device=device)
    put_weights(verbalizer, weights, "AV")
    return verbalizer.to(device).eval()


def trained_reconstructor(
    source: str,
    spec: ArSpec,
    weights: Mapping[str, Tensor],
    *,
    revision: str | None = None,
    device: str = "cpu",
) -> Reconstructor:
    """The AR as its training left it."""
    reconstructor = fresh_reconstructor(source, spec, revision=revision, device=device)
    put_weights(reconstructor, weights, "AR")
    return reconstructor.to(device).eval()


def put_start(verbalizer: Verbalizer, weights: Mapping[str, Tensor]) -> None:
    """Copy the weights of an earlier training into an AV whose own is to begin.

    Maps of slots that the earlier one had none of stay the identity.
    """
    own = dict(verbalizer.named_parameters())
    if not any(name.startswith(AFFINE) for name in weights):
        weights = {**weights, **{n: own[n] for n in own if n.startswith(AFFINE)}}
    put_weights(verbalizer, weights, "AV")


def cast_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Give all weights a dtype; buffers keep theirs, for rotary frequencies must stay fp32."""
    for weight in module.parameters():
        weight.data = weight.data.to(dtype)


@torch.no_grad()
def put_weights(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Copy trained weights into a module, every one of them and no other."""
    trained = {key: w for key, w in module.named_parameters() if w.requires_grad}
    # Both ways and by hand: the frozen trunk is not among the weights, so that load_state_dict
    # could only be called with strict=False, which lets either pass.
    missing, unexpected = trained.keys() - weights.keys(), weights.keys() - trained.keys()
    if missing or unexpected:
        raise LostWeights(
            f"the {name}'s weights do not match its spec: {len(missing)} missing "
            f"{sorted(missing)[:3]}, {len(unexpected)} unexpected {sorted(unexpected)[:3]} "
            "(symptom of going on: a model that is partly untrained)"
        )
    for key, weight in trained.items():
        # copy_ broadcasts: one row of numbers would fill a whole matrix without an error.
        if weight.shape != weights[key].shape:
            raise LostWeights(
                f"the {name}'s {key} is {tuple(weights[key].shape)}, expected {tuple(weight.shape)}"
            )
        weight.copy_(weights[key])
