"""Stage `explanations`: the world's teacher's texts about activations, from the true facts."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.splits import Split
from interlingua.specs.training import TeachSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class ReadTokens(NamedTuple, Generic[Member]):
    """The host whose tokenizer cut the text, and its rows: the places where tokens were read."""

    host: Member
    rows: Member


class ExplanationsInputs(NamedTuple, Generic[Member]):
    """The passages to explain; `tokens` is None where a passage is explained as a whole."""

    passages: Member
    tokens: ReadTokens[Member] | None


def explanations_stage(spec: TeachSpec, inputs: ExplanationsInputs[Stage]) -> Stage:
    """Explanations of one split."""
    (split,) = spec.splits
    return Stage(
        kind="explanations",
        label=f"teacher-{Split(split)}",
        spec=spec,
        run=run,
        inputs=inputs,
        revision=2,
    )


def run(
    spec: TeachSpec, inputs: ExplanationsInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Explain every activation of the splits; without `tokens`, every passage as a whole."""
    from interlingua.stages.rows.world_teacher import FactsSoFar, explained
    from interlingua.store.rows.explanations import write_explanations
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import recorded_access

    counts: Counter[str] = Counter()
    with recorded_access(spec.splits, out) as access:
        passages = read_passages(inputs.passages.path / PASSAGES_NAME, spec.splits, access)
        so_far = FactsSoFar(inputs.tokens, spec, access)
        explanations = (
            explanation
            for passage in passages
            for explanation in explained(passage, so_far, spec, counts)
        )
        counts["num_rows"] = write_explanations(out, explanations)
    return counts
