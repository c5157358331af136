"""A language model under an AV or an AR: opened, given adapters, run with vectors in its prompt.

Knows neither prompts nor explanations. Vectors are inputs of a forward: a forward that gradient
checkpointing runs again in the backward sees those that it saw.

x: what a slot carries; h: the residual stream. B rows, T tokens, S slots, D width, V vocabulary,
M positions whose logits are wanted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, assert_never

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import ModelOutput

from interlingua.core.injection import write_at
from interlingua.models.hosts.parts import HostParts, block_output
from interlingua.specs.injection import AfterBlock, InjectionRule, Replace
from interlingua.specs.training import LoraSpec

ADAPTER = "trained"


@dataclass(frozen=True, slots=True)
class Sites:
    """Vectors and the positions that they are written at, for one forward."""

    x_BSD: Tensor
    positions_BS: Tensor


class Trunk(nn.Module):
    """A model whose forward may write vectors into its residual stream.

    Replace writes over the embeddings, before positions are added and an embedding norm is applied;
    AfterBlock writes into the output of its block. Without a rule nothing is written.
    """

    def __init__(
        self, model: PreTrainedModel, parts: HostParts, *, rule: InjectionRule | None
    ) -> None:
        super().__init__()
        self.model = model
        self._rule = rule
        self._sites: Sites | None = None
        self._checkpoints_gradients = False
        # Families without it take the places of tokens from the mask.
        self._takes_positions = "position_ids" in signature(model.forward).parameters
        # The module that holds the blocks, by its path: a second name would double its weights.
        self._decoder = next(
            path
            for path, part in model.named_modules()
            if any(child is parts.blocks for child in part.children())
        )
        head = model.get_output_embeddings()
        if head is None:
            raise ValueError(
                f"{type(model).__name__} has no output embeddings, by which an AV speaks; name a "
                "checkpoint of the whole language model as its trunk"
            )
        head.register_forward_pre_hook(_packed)
        match rule:
            case Replace():
                self._write_behind_embedding(parts)
            case AfterBlock(index=index):
                self._write_after_block(parts, index)
            case None:
                pass
            case _:
                assert_never(rule)

    def forward(
        self,
        ids_BT: Tensor | None,
        *,
        inputs_BTE: Tensor | None = None,
        sites: Sites | None = None,
        mask_BT: Tensor | None = None,
        cache: Cache | None = None,
        positions_BT: Tensor | None = None,
        num_logits: int = 0,
    ) -> Tensor:
        """Logits of the last `num_logits` positions (0: of all) of ids, or of their inputs.

        `sites` are vectors to write, at positions counted from the first of these ids; `cache` has
        the keys and values of what stands before them. Where rows are of unequal lengths, the mask
        covers cache and ids, and `positions_BT` are the ids' places in their own texts.
        """
        if cache is not None and self._checkpoints_gradients and self.model.training:
            raise ValueError("blocks that run again drop a cache (symptom: the prefix is lost)")
        with self._with(sites):
            output = self.model(
                input_ids=ids_BT,
                inputs_embeds=inputs_BTE,
                attention_mask=mask_BT,
                past_key_values=cache,
                **self._placed(positions_BT),
                use_cache=cache is not None,
                logits_to_keep=num_logits,
            )
        logits_BTV: Tensor = output.logits
        return logits_BTV

    def _placed(self, positions_BT: Tensor | None) -> dict[str, Tensor]:
        if positions_BT is None or not self._takes_positions:
            return {}
        return {"position_ids": positions_BT}

    def embedded(self, ids_T: Tensor, rows_ME: Tensor, positions_M: Tensor) -> Tensor:
        """[1, T, E]: the inputs of these ids with rows in the place of some, to be run as they are.

        Rows are as the first block gets them: what a model multiplies on the way is divided out.
        """
        inputs_TE = self.model.get_input_embeddings()(ids_T).clone()
        inputs_TE[positions_M] = (rows_ME / self._inputs_scale).to(inputs_TE.dtype)
        return inputs_TE[None]

    def logits_in_parts(
        self,
        ids_BT: Tensor,
        is_wanted_BT: Tensor,
        *,
        sites: Sites,
        cache: Cache | None,
        num_parts: int,
    ) -> Iterator[Tensor]:
        """Logits [M, V] of the wanted ones of the last positions, in parts: never all at once.

        The blocks run once. For each part the model runs again with their output in their place, so
        that what its family does behind the output embedding (a scale, a soft cap) is done.
        """
        seen: list[ModelOutput] = []
        decoder = self.model.get_submodule(self._decoder)
        with decoder.register_forward_hook(lambda _module, _args, output: seen.append(output)):
            self(ids_BT, sites=sites, cache=cache, num_logits=1)
        (output,) = seen
        # The last T of the stream, because what is wanted is a mask over the response alone.
        h_MD = output.last_hidden_state[:, -is_wanted_BT.shape[1] :][is_wanted_BT]
        for part_MD in h_MD.tensor_split(num_parts):
            # As one row of M tokens: behind the blocks every position is computed by itself.
            output["last_hidden_state"] = part_MD[None]
            with self._knowing(output):
                found = self.model(inputs_embeds=part_MD[None], use_cache=False)
            yield found.logits[0]
            del found  # while the next part is made

    def checkpoint_gradients(self) -> None:
        """Keep only block inputs for the backward, which runs the blocks again."""
        # Only what is inside a block runs again: what is written around it stays as it was.
        self._checkpoints_gradients = True
        self.model.activation_checkpointing_enable({"use_reentrant": False})

    def _write_behind_embedding(self, parts: HostParts) -> None:
        if parts.inputs_scale is None:
            raise ValueError("HostParts.inputs_scale is not measured; find the parts with check")
        # What the model multiplies behind its embedding module is divided out before it.
        self._inputs_scale = parts.inputs_scale
        parts.embedding.register_forward_hook(self._embedded)

    def _write_after_block(self, parts: HostParts, index: int) -> None:
        if index >= len(parts.blocks):
            raise ValueError(
                f"AfterBlock.index is {index}; the trunk's blocks are 0..{len(parts.blocks) - 1}"
            )
        parts.blocks[index].register_forward_hook(self._after_block)

    @contextmanager
    def _knowing(self, output: ModelOutput) -> Iterator[None]:
        """Put the known output in place of the model's blocks."""
        path, _, name = self._decoder.rpartition(".")
        holder = self.model.get_submodule(path)
        own = getattr(holder, name)
        setattr(holder, name, _Known(output))
        try:
            yield
        finally:
            setattr(holder, name, own)

    @contextmanager
    def _with(self, sites: Sites | None) -> Iterator[None]:
        # Hooks get no arguments of a forward. Sites that stayed behind would be written into the
        # next one, too, at the places of another prompt.
        before, self._sites = self._sites, sites
        try:
            yield
        finally:
            self._sites = before

    def _embedded(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        if self._sites is None or self._rule is None:
            return output
        x_BSD = self._sites.x_BSD / self._inputs_scale
        return write_at(output, x_BSD, self._sites.positions_BS, rule=self._rule)

    def _after_block(self, module: nn.Module, args: Any, output: Any) -> Any:
        if self._sites is None or self._rule is None:
            return output
        h_BTD = write_at(
            block_output(output), self._sites.x_BSD, self._sites.positions_BS, rule=self._rule
        )
        return (h_BTD, *output[1:]) if isinstance(output, tuple) else h_BTD


class _Known(nn.Module):
    """A stand-in for a decoder that has run: returns the output that the decoder gave."""

    def __init__(self, output: ModelOutput) -> None:
        super().__init__()
        self._output = output

    def forward(self, *_args: Any, **_kwargs: Any) -> ModelOutput:
        """Return the known output, whatever the arguments."""
        return self._output


def _packed(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # Of a slice of positions torch makes a batch of products on a CPU, with a copy of the head's
    # weight a row: its strides must be those of a tensor of its own.
    return (args[0].clone(memory_format=torch.contiguous_format), *args[1:])


def add_lora(model: nn.Module, spec: LoraSpec, *, seed: int) -> None:
    """Freeze the model and put adapters, drawn by `seed` and in fp32, on the named layers."""
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(spec.targets),
        use_rslora=spec.rank_stabilised,
    )
    linear = {
        name.rpartition(".")[2]
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear | Conv1D)
    }
    # peft objects only where it finds none of the targets: of several names one that is misspelt
    # would go unnoticed, and its layers untrained.
    missing = [target for target in spec.targets if target not in linear]
    if missing:
        raise ValueError(
            f"LoraSpec.targets names {', '.join(missing)}, which {type(model).__name__} does not "
            f"have; its linear layers are: {', '.join(sorted(linear))}"
        )
    # Forked: adapters drawn from the global generator would shift every draw after them.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    for name, weight in model.named_parameters():
        weight.requires_grad_("lora_" in name)
        if "lora_" in name:
            # In bf16 a step smaller than the spacing of the weights would be rounded away.
            weight.data = weight.data.float()
