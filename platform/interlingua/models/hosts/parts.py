"""The parts of a model that its readers need, found by one rule for every family and then proved.

Knows no family by name. A model that the rule or the proof does not fit is an UnknownArchitecture:
better no activation than one from the wrong place.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

PROOF_IDS = ((5, 6, 7, 8), (9, 10, 11, 12))


class UnknownArchitecture(ValueError):
    """The parts of a model were not found, or a forward contradicts what was found."""

    def __init__(self, model: nn.Module, found: str) -> None:
        super().__init__(
            f"{type(model).__name__}: {found}; if the model is right, "
            "interlingua/models/hosts/parts.py needs a rule that also fits it"
        )


class NotCausal(ValueError):
    """The residual stream of a model at a token depends on later ones."""

    def __init__(self, model: nn.Module, block_index: int) -> None:
        super().__init__(
            f"{type(model).__name__}: changing a later token changes what block {block_index} "
            "carries at earlier ones (symptom: activations that know the future); name a causal "
            "model, or say in its configuration that it is one, as with BERT's is_decoder"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostParts:
    """Blocks in order, embedding and norms of a decoder.

    `embedding_scale` is the factor from a row of the embedding's weight to the residual stream
    that enters block 0, positions and `embedding_norm` aside: sqrt(width) for gemma. The part of
    it that the model applies after the embedding module, so also to `inputs_embeds`, is
    `inputs_scale`. Both are measured: None when the proof was skipped.
    """

    blocks: nn.ModuleList
    embedding: nn.Embedding
    embedding_norm: nn.Module | None
    final_norm: nn.Module | None
    embedding_scale: float | None = None
    inputs_scale: float | None = None


def find_parts(
    model: PreTrainedModel, *, blocks_path: str | None = None, check: bool = True
) -> HostParts:
    """The parts of a model; with `check` a forward of two short texts must confirm them.

    A cut model has fewer blocks than its configuration says: `blocks_path` is where they were.
    """
    path = find_blocks(model) if blocks_path is None else blocks_path
    blocks = model.get_submodule(path)
    assert isinstance(blocks, nn.ModuleList)
    embedding_norm, final_norm = _find_norms(model, path)
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, nn.Embedding):
        raise UnknownArchitecture(model, f"its input embedding is a {type(embedding).__name__}")
    parts = HostParts(
        blocks=blocks, embedding=embedding, embedding_norm=embedding_norm, final_norm=final_norm
    )
    return prove(model, parts) if check else parts


@torch.no_grad()
def prove(model: PreTrainedModel, parts: HostParts) -> HostParts:
    """The parts with their scales measured; raises where a forward contradicts them."""
    embedding_width, width = parts.embedding.embedding_dim, text_config(model.config).hidden_size
    if embedding_width != width:
        raise UnknownArchitecture(
            model, f"its embedding is {embedding_width} wide and its residual stream {width}"
        )
    ids_BT = torch.tensor(PROOF_IDS, device=parts.embedding.weight.device)
    ids_BT %= parts.embedding.num_embeddings
    seen = _observe(model, parts, ids_BT)
    _prove_chain(model, parts, seen)
    _prove_causal(model, parts, seen)
    _prove_hidden_states(model, parts, seen)
    embedded_BTD = seen.embedded[0]
    inner = _factor(model, "the embedding module", embedded_BTD, parts.embedding.weight[seen.ids])
    if parts.embedding_norm is not None:
        embedded_BTD = parts.embedding_norm(embedded_BTD)
    # the two texts have the same positions: what is added for a position cancels in the difference
    outer = _factor(
        model,
        "what enters block 0",
        seen.inputs[0][0] - seen.inputs[0][1],
        embedded_BTD[0] - embedded_BTD[1],
    )
    return replace(parts, embedding_scale=inner * outer, inputs_scale=outer)


def text_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The decoder's configuration, also inside a multimodal one."""
    return config.get_text_config(decoder=True)


def block_output(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The residual stream among the values that a block returned."""
    return output[0] if isinstance(output, tuple | list) else output


def find_blocks(model: PreTrainedModel) -> str:
    """The path of the list of blocks: the shallowest of as many as the configuration says."""
    num_blocks = text_config(model.config).num_hidden_layers
    lists = [
        (path.count("."), -sum(p.numel() for p in module.parameters()), path)
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == num_blocks
    ]
    if not lists:
        raise UnknownArchitecture(model, f"no ModuleList holds {num_blocks} blocks")
    lists.sort()
    # Of lists at one depth the larger holds the blocks; between two that are alike nothing decides.
    if len(lists) > 1 and lists[0][:2] == lists[1][:2]:
        raise UnknownArchitecture(
            model, f"{lists[0][2]} and {lists[1][2]} may both be its {num_blocks} blocks"
        )
    return lists[0][2]


def _find_norms(model: PreTrainedModel, path: str) -> tuple[nn.Module | None, nn.Module | None]:
    # embedding norm and final norm: the full-width norms before and after the blocks. A family
    # with a single norm registered before them (OPT) has a final norm and no embedding norm.
    parent_path, _, blocks_name = path.rpartition(".")
    width = text_config(model.config).hidden_size
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    side = before
    for name, child in model.get_submodule(parent_path).named_children():
        if name == blocks_name:
            side = after
        elif "norm" in type(child).__name__.lower():
            side.extend([child] if all(p.shape == (width,) for p in child.parameters()) else [])
    if not after:
        before, after = [], before
    if len(before) > 1 or len(after) > 1:
        raise UnknownArchitecture(
            model, f"{len(before)} norms before and {len(after)} after {path}, expected one each"
        )
    return next(iter(before), None), next(iter(after), None)


@dataclass(slots=True)
class _Seen:
    """Observations of one forward of the two proof texts."""

    ids: Tensor
    order: list[int] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    embedded: list[Tensor] = field(default_factory=list)
    hidden_states: tuple[Tensor, ...] = ()


def _observe(model: PreTrainedModel, parts: HostParts, ids_BT: Tensor) -> _Seen:
    seen = _Seen(ids=ids_BT)

    def enter(index: int, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        if not args and "hidden_states" not in kwargs:
            raise UnknownArchitecture(model, f"its block {index} is given no hidden_states")
        # cloned, unlike the output: so an in-place change of an output by a later block shows
        seen.order.append(index)
        seen.inputs.append((args[0] if args else kwargs["hidden_states"]).clone())

    with ExitStack() as hooks, _evaluating(model):
        embedding = parts.embedding
        handle = embedding.register_forward_hook(lambda _m, _a, out: seen.embedded.append(out))
        hooks.callback(handle.remove)
        for index, block in enumerate(parts.blocks):
            before = block.register_forward_pre_hook(
                lambda _m, args, kwargs, index=index: enter(index, args, kwargs), with_kwargs=True
            )
            after = block.register_forward_hook(
                lambda _m, _a, out: seen.outputs.append(block_output(out))
            )
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        out = _forward(model, ids_BT)
    seen.hidden_states = out.hidden_states or ()
    return seen


def _forward(model: PreTrainedModel, ids_BT: Tensor) -> ModelOutput:
    mask_BT = torch.ones_like(ids_BT)
    try:
        return model(ids_BT, attention_mask=mask_BT, use_cache=False, output_hidden_states=True)
    except IndexError as error:
        # a block that goes by a list beside that of the blocks, and runs past the end of either
        raise UnknownArchitecture(model, f"its forward fails ({error})") from error


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _prove_chain(model: PreTrainedModel, parts: HostParts, seen: _Seen) -> None:
    if not seen.embedded:
        raise UnknownArchitecture(model, "its forward never called the input embedding")
    if seen.order != list(range(len(parts.blocks))):
        raise UnknownArchitecture(model, f"its blocks ran in the order {seen.order}")
    expected = (*seen.ids.shape, text_config(model.config).hidden_size)
    for name, tensors in (("block {} is given", seen.inputs), ("block {} gives", seen.outputs)):
        for index, h_BTD in enumerate(tensors):
            if h_BTD.shape != expected:
                raise UnknownArchitecture(
                    model,
                    f"{name.format(index)} {tuple(h_BTD.shape)}, but one residual stream of two "
                    f"short texts is {expected}",
                )
    for index, (output, entered) in enumerate(zip(seen.outputs[:-1], seen.inputs[1:], strict=True)):
        if not _equal(output, entered):
            raise UnknownArchitecture(
                model, f"what enters block {index + 1} is not the output of block {index}"
            )


def _prove_causal(model: PreTrainedModel, parts: HostParts, seen: _Seen) -> None:
    # each text with the last token of the other; of the same shape, so that kernels are the same
    ids_BT = torch.cat([seen.ids[:, :-1], seen.ids.flip(0)[:, -1:]], dim=1)
    for index, (before_BTD, after_BTD) in enumerate(
        zip(seen.outputs, _observe(model, parts, ids_BT).outputs, strict=True)
    ):
        earlier_BTD = before_BTD[:, :-1].float()
        apart_BT = (after_BTD[:, :-1].float() - earlier_BTD).norm(dim=-1)
        # experts are given other numbers of tokens, which rounds otherwise in half precision
        tolerance = max(1e-4, 16 * torch.finfo(before_BTD.dtype).eps)
        # NaN is never above: an overflow is the reader's concern here, too.
        if bool((apart_BT > tolerance * earlier_BTD.norm(dim=-1)).any()):
            raise NotCausal(model, index)


def _prove_hidden_states(model: nn.Module, parts: HostParts, seen: _Seen) -> None:
    num_blocks = len(parts.blocks)
    if len(seen.hidden_states) != num_blocks + 1:
        raise UnknownArchitecture(
            model, f"{num_blocks} blocks gave {len(seen.hidden_states)} hidden states"
        )
    if not _equal(seen.inputs[0], seen.hidden_states[0]):
        raise UnknownArchitecture(model, "what enters block 0 is not hidden_states[0]")
    for index, output in enumerate(seen.outputs[:-1]):
        if not _equal(output, seen.hidden_states[index + 1]):
            raise UnknownArchitecture(
                model, f"the output of block {index} is not hidden_states[{index + 1}]"
            )
    last = seen.outputs[-1]
    normed = last if parts.final_norm is None else parts.final_norm(last)
    if not _equal(normed, seen.hidden_states[-1]):
        raise UnknownArchitecture(
            model, "the final norm of the last block's output is not the last hidden state"
        )


def _factor(model: nn.Module, name: str, target: Tensor, source: Tensor) -> float:
    if target.shape != source.shape:
        raise UnknownArchitecture(
            model, f"{name} is {tuple(target.shape)} and its embedding {tuple(source.shape)}"
        )
    tolerance = max(1e-3, 8 * torch.finfo(target.dtype).eps)
    target, source = target.float(), source.float().to(target.device)
    # Least squares gives a factor for any two tensors; that the rest vanishes is the proof.
    factor = float((target * source).sum() / source.square().sum())
    if float((target - factor * source).norm()) > tolerance * float(target.norm()):
        raise UnknownArchitecture(model, f"{name} is not a multiple of the embedding it comes from")
    return 1.0 if abs(factor - 1) < 1e-3 else factor


def _equal(first: Tensor, second: Tensor) -> bool:
    # equal_nan: a forward that overflows in fp16 is the reader's concern, not an unknown family
    second = second.float().to(first.device)
    return first.shape == second.shape and torch.allclose(
        first.float(), second, rtol=1e-5, atol=1e-6, equal_nan=True
    )
