"""Stage `scored`: one row for every prediction of one host's activations, by every predictor.

All of them are scored on the same activations of one split that nothing upstream has seen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlingua.specs.evaluation import Predictor, ScoreSpec
from interlingua.specs.generation import AV_PREDICTORS
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.inputs import ScoreInputs
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import members


def scored_stage(spec: ScoreSpec, inputs: ScoreInputs[Stage], labels: Sequence[str]) -> Stage:
    """The rows of all predictors of one host, on the same activations."""
    return Stage(
        kind="scored",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=7,
    )


def run(
    spec: ScoreSpec, inputs: ScoreInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Score every predictor that has rows; the metrics count rows and what was dropped."""
    from interlingua.stages.evaluation.scoring import Targets, rows_of_predictors
    from interlingua.stages.evaluation.unseen import check_unseen
    from interlingua.store.rows.scored import host_path, joined, write_scored
    from interlingua.store.rows.splits import recorded_access
    from interlingua.store.rows.verbalized import read_verbalized

    with recorded_access({Split.FIT, spec.split}, out) as access:
        texts = {
            predictor: rebuilt
            for predictor in AV_PREDICTORS
            if (rebuilt := read_verbalized(inputs.texts.path, spec.split, predictor, access)).keys
        }
        # The sampled rows are what is scored; several samples of an activation are one key.
        asked = list(dict.fromkeys(texts[Predictor.SAMPLED].keys))
        passages = {passage_id for passage_id, _ in asked}
        upstream = members(inputs).values()
        # Before anything is fitted or scored. The root is two folders up: <root>/scored/<this>.
        num_checked = check_unseen(passages, spec.split, upstream, out.parent.parent)
        targets = Targets.of(asked, spec, inputs, access)
        rows = joined([*rows_of_predictors(targets, texts, spec, inputs, access)])
    rows_path = host_path(out, spec.host_tag)
    rows_path.parent.mkdir(exist_ok=True)
    write_scored(rows_path, rows)
    return {
        "num_rows": len(rows),
        "num_activations": len(asked),
        "num_dropped": len(asked) - len(targets.place),
        "num_artifacts_checked": num_checked,
    }
