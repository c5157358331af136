"""An AV and an AR as their training begins: made from a trunk by spec. Knows no row and no host.

Also the contract of both: the marker and its neighbours, templates, suffix, hashes.
"""

import hashlib
import json
from dataclasses import replace

import torch
from transformers import PreTrainedTokenizerBase

from interlingua.core.affine import fresh_affine
from interlingua.models.hosts.host import load_host
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trunk import Trunk, add_lora
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.specs.training import ArSpec, AvSpec
from interlingua.store.contract.check import measured_suffix, measured_tokens
from interlingua.store.contract.statement import (
    MARKER_FIELD,
    RELEASED,
    AffineFile,
    Contract,
    Extension,
    av_message,
    norm_of,
)

# The first character of this range that a tokenizer knows as one token is its marker.
MARKER_RANGE = range(0x3200, 0x3400)
AR_ALONE = f"<concept>{MARKER_FIELD}</concept>"  # where no AV states its message


class NoMarker(ValueError):
    """A tokenizer has no character that could be a marker."""


class NoEnd(ValueError):
    """A tokenizer has no token that ends a text."""


def fresh_verbalizer(
    source: str, spec: AvSpec, *, revision: str | None = None, device: str = "cpu"
) -> Verbalizer:
    """An AV whose adapters and maps change nothing yet."""
    host = load_host(source, dtype=_dtype(spec), device=device, revision=revision)
    if spec.lora is not None:
        add_lora(host.model, spec.lora, seed=spec.seed)
    injection = spec.injection
    trunk = Trunk(host.model, host.parts, rule=injection.rule)
    affine = None
    if injection.affine is not None:
        affine = fresh_affine(
            injection.affine, num_slots=injection.num_slots, width=host.width, seed=spec.seed
        )
    # A number always: an InjectionSpec cannot ask for raw vectors.
    scale = norm_of(injection.scale, host.width)
    assert scale is not None
    verbalizer = Verbalizer(trunk, affine, scale=scale, num_slots=injection.num_slots)
    if spec.gradient_checkpointing:
        verbalizer.checkpoint_gradients()
    return verbalizer


def fresh_reconstructor(
    source: str, spec: ArSpec, *, revision: str | None = None, device: str = "cpu"
) -> Reconstructor:
    """An AR whose value head is the identity: its vector is its trunk's state at the last token."""
    host = load_host(
        source, dtype=_dtype(spec), device=device, up_to_block=spec.last_block, revision=revision
    )
    if spec.lora is not None:
        add_lora(host.model, spec.lora, seed=spec.seed)
    reconstructor = Reconstructor(
        host.model, host.parts, block_index=spec.last_block, readout=spec.readout
    )
    reconstructor.value_head.weight.requires_grad_(spec.trains_value_head)
    if spec.gradient_checkpointing:
        reconstructor.checkpoint_gradients()
    return reconstructor


def contract_of(
    tokenizer: PreTrainedTokenizerBase,
    width: int,
    *,
    av: AvSpec | None = None,
    ar: ArSpec | None = None,
    affine: AffineFile | None = None,
    train_variance: float | None = None,
) -> Contract:
    """The contract of models that are trained by these specs on this tokenizer.

    What belongs to a model that is not given is left out, or as in the public releases.
    """
    num_slots = av.injection.num_slots if av is not None else 1
    marker = marker_of(tokenizer, num_slots)
    message = av_message(av.template if av is not None else AR_ALONE, marker, num_slots)
    return Contract(
        d_model=width,
        block_index=ar.last_block if ar is not None else None,
        injection_scale=av.injection.scale if av is not None else None,
        mse_scale="sqrt_d",
        tokens=measured_tokens(message, marker, num_slots, tokenizer),
        ar_suffix_ids=measured_suffix(ar.template, tokenizer) if ar is not None else None,
        av_template=av.template if av is not None else None,
        ar_template=ar.template if ar is not None else None,
        extension=replace(
            _extension(tokenizer, marker, av, ar), affine=affine, train_variance=train_variance
        ),
    )


def _extension(
    tokenizer: PreTrainedTokenizerBase, marker: str, av: AvSpec | None, ar: ArSpec | None
) -> Extension:
    """The fields that the public schema lacks, of the models that are given."""
    extension = replace(
        RELEASED,
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        chat_template_sha256=chat_template_sha256(tokenizer),
    )
    if av is not None:
        injection = av.injection
        extension = replace(
            extension,
            injection_rule=injection.rule,
            num_slots=injection.num_slots,
            marker_is_added=marker in tokenizer.get_added_vocab(),
            centring=injection.centring,
        )
    if ar is not None:
        extension = replace(extension, ar_readout=ar.readout, ar_bos=ar.bos)
    return extension


def marker_of(tokenizer: PreTrainedTokenizerBase, num_slots: int) -> str:
    """The first enclosed character that is one known token, alone and in a run."""
    # In a run too: a tokenizer that merges two markers would leave fewer places than slots. The id
    # of unknown characters is one token as well, but that of every other unknown one.
    for point in MARKER_RANGE:
        ids = tokenizer.encode(chr(point), add_special_tokens=False)
        run = tokenizer.encode(chr(point) * num_slots, add_special_tokens=False)
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id and run == ids * num_slots:
            return chr(point)
    raise NoMarker(
        f"the tokenizer of {_place(tokenizer)} knows no character of U+3200..U+33FF as one token; "
        "add one as a special token of the trunk, resize its embeddings (transformers' "
        "resize_token_embeddings) and save both; what is embedded there is never read"
    )


def check_speaks(tokenizer: PreTrainedTokenizerBase, contract: Contract, num_ids: int) -> None:
    """Raise where a trunk that embeds so many ids cannot hold the marker, or end a text."""
    tokens = contract.tokens
    if tokens.marker_id >= num_ids:
        raise NoMarker(
            f"the marker {tokens.marker!r} is token {tokens.marker_id} of {_place(tokenizer)}, and "
            f"the model embeds {num_ids}: resize its embeddings (transformers' "
            f"resize_token_embeddings) to {len(tokenizer)} and save it again"
        )
    if tokenizer.eos_token_id is None:
        raise NoEnd(
            f"the tokenizer of {_place(tokenizer)} has no eos_token, by which an AV ends "
            "a text; set it to one of its tokens and save the tokenizer again"
        )


def _place(tokenizer: PreTrainedTokenizerBase) -> str:
    return tokenizer.name_or_path or type(tokenizer).__name__


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of everything that decides its ids."""
    # Of the state that encodes, not of the file: the same tokenizer may be saved in other bytes.
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for name in ("truncation", "padding"):  # of the last call, not of the tokenizer
        state.pop(name, None)
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def chat_template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """A hash of the chat template, if there is one."""
    template = tokenizer.chat_template
    return hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else None


def _dtype(spec: AvSpec | ArSpec) -> str:
    """The dtype of the weights in memory; where all are trained they are their own fp32 masters."""
    return spec.optim.dtype if spec.lora is not None else "float32"


def num_trained(module: torch.nn.Module) -> int:
    """The number of parameters that are trained."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
