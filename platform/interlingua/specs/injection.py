"""The named choices of injection and readout. Knows neither tensors nor files."""

from enum import StrEnum


class InjectionRule(StrEnum):
    """How a vector enters the AV at a marker."""

    REPLACE = "replace"  # the marker's input embedding becomes the vector
    KARVONEN = "karvonen"  # after a block, its direction is added with the norm that is there


class Centring(StrEnum):
    """What is subtracted from a normalised activation before it is injected."""

    NONE = "none"
    HOST_MEAN = "host_mean"


class Readout(StrEnum):
    """What the AR's value head is applied to; checkpoints of the two are not interchangeable."""

    RAW = "W h"
    NORMALIZED = "W n(h)"


class BosRule(StrEnum):
    """Whether the AR prompt begins with a BOS token."""

    TOKENIZER_DEFAULT = "tokenizer_default"  # present where the tokenizer has one
    PRESENT = "present"
    ABSENT = "absent"
