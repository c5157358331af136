"""Groups of texts that may share a forward, for models whose positions depend on the length read.

Two kinds of rotary encoding stretch all positions of a batch once its longest text is beyond the
length that the model was first trained at, and one of them stays stretched for what comes after.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedConfig

from interlingua.models.hosts.parts import text_config


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthRule:
    """Texts of up to `shared` tokens may share a forward, longer ones stand alone.

    `is_stretched_after`: what was read before changes the encoding, too.
    """

    shared: int
    is_stretched_after: bool

    def groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """The places of texts of these lengths, grouped by the forward that they share."""
        places = range(len(lengths))
        together = [place for place in places if lengths[place] <= self.shared]
        alone = [[place] for place in places if lengths[place] > self.shared]
        return [together, *alone] if together else alone


def length_rule(config: PreTrainedConfig) -> LengthRule | None:
    """The rule of a model with this configuration; None: texts of all lengths share a forward."""
    fields = text_config(config).to_dict()
    rope = fields.get("rope_parameters") or {}
    # one encoding of all blocks, or one of every kind of attention
    encodings = [rope, *(each for each in rope.values() if isinstance(each, dict))]
    kinds = [encoding.get("rope_type") or "default" for encoding in encodings]
    # longrope takes its long factors for the whole batch beyond this length; dynamic scaling
    # stretches all positions, and goes back only for a short text.
    limits = [
        encoding["original_max_position_embeddings"]
        for kind, encoding in zip(kinds, encodings, strict=True)
        if kind == "longrope"
    ]
    is_dynamic = any("dynamic" in kind for kind in kinds)
    if is_dynamic:
        limits.append(fields["max_position_embeddings"])
    return LengthRule(shared=min(limits), is_stretched_after=is_dynamic) if limits else None
