"""The course of a learning rate over a run, as a factor on its peak. Knows no optimizer."""

import math

from interlingua.specs.training import RateDecay


def warmup_cosine(step: int, *, num_steps: int, warmup_steps: int) -> float:
    """The factor on the peak rate at `step`: linear warm-up, then cosine to a tenth."""
    if step < warmup_steps:
        # From 1 and not from 0: the first step of a run learns, too.
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    # From 1 to 0.1 as the cosine goes from 1 to -1; past the end it stays there.
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress)))


def rate_factor(step: int, *, num_steps: int, warmup_steps: int, decay: RateDecay) -> float:
    """The factor on the peak rate at `step` of a schedule."""
    if decay is RateDecay.CONSTANT:
        return min(1.0, (step + 1) / max(1, warmup_steps))
    return warmup_cosine(step, num_steps=num_steps, warmup_steps=warmup_steps)
