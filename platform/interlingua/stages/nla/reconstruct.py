"""Stage `reconstructed`: the AR's vectors of texts that no AV wrote, once for all hosts.

The teacher's explanations give the ceiling for an AV that imitates the teacher perfectly, lists of
true facts that for a better choice of what to say, the passage's own text what a reader would do
who needs no activation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.generation import ReconstructSpec
from interlingua.specs.placement import WorkKind
from interlingua.stages.nla.inputs import ReaderInputs, ServedPair
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class ReconstructInputs(NamedTuple, Generic[Member]):
    """The AR and its trunk, and the texts or facts that it reads."""

    trunk: Member
    ar: Member
    explanations: Member
    passages: Member


class ServedTexts(NamedTuple, Generic[Member]):
    """The same of a pair that is served."""

    served: Member
    explanations: Member
    passages: Member


def reconstructed_stage(
    spec: ReconstructSpec,
    inputs: ReconstructInputs[Stage] | ServedTexts[Stage],
    labels: Sequence[str],
) -> Stage:
    """The AR's vectors of texts that are known to be true."""
    return Stage(
        kind="reconstructed",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=2,
        device=None if isinstance(inputs, ServedTexts) else WorkKind.VERBALIZING,
    )


def run(
    spec: ReconstructSpec,
    inputs: ReconstructInputs[Artifact] | ServedTexts[Artifact],
    out: Path,
    context: Context,
) -> Mapping[str, Any]:
    """Reconstruct from every text of every predictor, one block for each."""
    import torch

    from interlingua.stages.nla.known_texts import as_row, known_texts
    from interlingua.stages.nla.opened_pair import reader_of
    from interlingua.store.rows.explanations import read_explanations
    from interlingua.store.rows.splits import recorded_access
    from interlingua.store.rows.verbalized import VERBALIZED, block_path, write_block

    torch.set_num_threads(context.placement.threads_per_worker)
    place = context.placement.verbalizing
    if isinstance(inputs, ServedTexts):
        reader = reader_of(ServedPair(inputs.served), place)
    else:
        reader = reader_of(ReaderInputs(inputs.trunk, inputs.ar), place)
    (out / VERBALIZED).mkdir(exist_ok=True)
    num_rows = 0
    with recorded_access({spec.split}, out) as access:
        explained = read_explanations(inputs.explanations.path, {spec.split}, access)
        for index, predictor in enumerate(spec.predictors):
            # One text for each key: no host is asked, so that all hosts share these rows.
            texts = dict(known_texts(predictor, spec, explained, inputs.passages, access))
            rows = [as_row(key, text, predictor, spec.split) for key, text in texts.items()]
            a_NE = reader.reconstruct([row.explanation for row in rows])
            write_block(block_path(out, index), rows, a_NE)
            num_rows += len(rows)
    return {"num_rows": num_rows}
