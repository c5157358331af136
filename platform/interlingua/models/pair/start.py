"""Whether a model may stand in for the trunk: its make and tokens are the same. Reads no weights.

A pair's AV is opened on the trunk with the weights of its training. Were the model that it began
with of another make, these weights would compute something else there.
"""

from typing import Any

from interlingua.models.hosts.checkpoint import decoder_config
from interlingua.models.hosts.host import TOKENIZER_PROBES, load_tokenizer
from interlingua.models.hosts.parts import text_config

Source = tuple[str, str | None]  # a folder or hub id, and its revision
# What a configuration says of its origin, or of how texts end, and not of what a forward computes.
BESIDE = frozenset(
    {
        "_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype",
        "use_cache", "bos_token_id", "eos_token_id", "pad_token_id",
    }
)  # fmt: skip


class OtherMake(ValueError):
    """A model that an AV is to begin with computes in another way than the trunk."""


def check_start(start: Source, *, trunk: Source) -> None:
    """Raise unless the model has the trunk's architecture, dimensions and tokenizer."""
    own, others = (decoder_config(*source) for source in (trunk, start))
    if type(own) is not type(others):
        raise OtherMake(
            f"{start[0]} is a {others.model_type} and the trunk {trunk[0]} a {own.model_type}; an "
            "AV begins with a model of the trunk's architecture"
        )
    ours, theirs = _compared(own), _compared(others)
    if differing := [name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)]:
        listed = ", ".join(
            f"{name} {theirs.get(name)} and not {ours.get(name)}" for name in differing[:3]
        )
        raise OtherMake(
            f"{start[0]} differs from the trunk {trunk[0]}: {listed}; an AV begins with a model "
            "that was made of the trunk"
        )
    _check_tokenizers(start, trunk)


def _compared(config: Any) -> dict[str, Any]:
    values: dict[str, Any] = text_config(config).to_dict()
    return {name: value for name, value in values.items() if name not in BESIDE}


def _check_tokenizers(start: Source, trunk: Source) -> None:
    own, others = (load_tokenizer(place, revision=revision) for place, revision in (trunk, start))
    # By what they do: the same tokenizer may be saved in other bytes.
    if others.get_vocab() != own.get_vocab():
        raise OtherMake(
            f"{start[0]} has {len(others)} tokens, which are not the {len(own)} of the trunk "
            f"{trunk[0]}; save the trunk's tokenizer beside it if it has none of its own"
        )
    for text in TOKENIZER_PROBES:
        if others.encode(text) != own.encode(text):
            raise OtherMake(
                f"{start[0]} encodes {text!r} otherwise than the trunk {trunk[0]}; an AV begins "
                "with a model of the trunk's tokenizer"
            )
