"""The urgency of stages: those of the first explanation first, by the longest way to it.

Knows no backend: the order of the stages is what a backend goes by when several are ready.
"""

from collections.abc import Callable, Sequence

from interlingua.specs.placement import WorkKind
from interlingua.store.artifact import Stage

EXPLAINED = "verbalized"
# Roughly how much longer than the others the stages are in which a model is trained.
TRAINING, OTHER = 10, 1


def first_explanation_first(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages, inputs first, in the order in which they matter.

    First what the first explanation needs, the longest way to it before the others; then the rest
    by the longest way to the end.
    """
    first = next((stage for stage in stages if stage.kind == EXPLAINED), None)
    to_end = _lengths(stages, is_end=lambda stage: True)
    to_first = _lengths(stages, is_end=lambda stage: stage is first)

    def urgency(stage: Stage) -> tuple[int, int]:
        return -to_first.get(stage.key, 0), -to_end[stage.key]

    return tuple(sorted(stages, key=urgency))


def _lengths(stages: Sequence[Stage], is_end: Callable[[Stage], bool]) -> dict[str, int]:
    """The longest way from each stage through those that need it to an end; none from the others.

    A stage is longer than all that need it, so that to sort by length puts inputs first.
    """
    lengths: dict[str, int] = {}
    # Backwards: all that need a stage come before it here, so its own length is final.
    for stage in reversed(stages):
        if is_end(stage):
            # An end that another end needs has a longer way already.
            lengths.setdefault(stage.key, _weight(stage))
        if stage.key in lengths:
            for upstream in stage.upstream.values():
                length = lengths[stage.key] + _weight(upstream)
                lengths[upstream.key] = max(length, lengths.get(upstream.key, 0))
    return lengths


def _weight(stage: Stage) -> int:
    is_training = stage.kind == "host" or stage.work in (WorkKind.TRAINING, WorkKind.REINFORCING)
    return TRAINING if is_training else OTHER
