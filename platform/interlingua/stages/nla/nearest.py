"""Stage `nearest`: the teacher's explanation of the row that is nearest, as if it were of this one.

The dumbest system that explains: it has no AV, it looks up. The nearest row is one of split
`av_sft` of the same host, which the AV learned from too, by cosine about the mean of `fit`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import NearestSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.splits import Split
from interlingua.stages.nla.inputs import ReaderInputs, ServedPair
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

if TYPE_CHECKING:
    import numpy as np

    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.rows.shards import Key


class NearestInputs(NamedTuple, Generic[Member]):
    """The AR; the rows that ask, those learned from and their texts; an encoder, for its mean."""

    reader: ReaderInputs[Member] | ServedPair[Member]
    rows: Member
    learned: Member
    explanations: Member
    encoder: Member


def nearest_stage(spec: NearestSpec, inputs: NearestInputs[Stage], labels: Sequence[str]) -> Stage:
    """The AR's vectors of the teacher's explanations of other rows that are near."""
    return Stage(
        kind="nearest",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=1,
        device=None if isinstance(inputs.reader, ServedPair) else WorkKind.VERBALIZING,
    )


def run(
    spec: NearestSpec, inputs: NearestInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Find the nearest row of every row, and reconstruct from its explanation."""
    import torch

    from interlingua.stages.nla.known_texts import as_row
    from interlingua.stages.nla.opened_pair import reader_of
    from interlingua.stages.rows.keyed import keyed_choice, opened_rows
    from interlingua.store.rows.explanations import read_explanations
    from interlingua.store.rows.splits import recorded_access
    from interlingua.store.rows.verbalized import VERBALIZED, block_path, write_block

    torch.set_num_threads(context.placement.threads_per_worker)
    reader = reader_of(inputs.reader, context.placement.verbalizing)
    (out / VERBALIZED).mkdir(exist_ok=True)
    with recorded_access({spec.split, Split.AV_SFT}, out) as access:
        explained = read_explanations(inputs.explanations.path, {Split.AV_SFT}, access)
        asking = opened_rows(inputs.rows, [spec.split], access)
        keys = asking.finite_keys()
        if spec.rows is not None:
            keys = keyed_choice(keys, spec.rows, seed=spec.seed)
        learned = opened_rows(inputs.learned, [Split.AV_SFT], access)
        found = _nearest(asking, keys, learned, explained, inputs.encoder)
    # The first text of a row: as the other predictors, one for each activation.
    texts = [explained[key][0] for key in found]
    unique = list(dict.fromkeys(texts))
    a_UE = reader.reconstruct(unique)
    place = {text: index for index, text in enumerate(unique)}
    rows = [
        as_row(key, text, Predictor.NEAREST_EXPLANATION, spec.split)
        for key, text in zip(keys, texts, strict=True)
    ]
    write_block(block_path(out, 0), rows, a_UE[[place[text] for text in texts]])
    return {"num_rows": len(rows), "num_distinct": len(set(found))}


def _nearest(
    asking: "KeyedRows",
    keys: Sequence["Key"],
    learned: "KeyedRows",
    explained: Mapping["Key", Sequence[str]],
    encoder: Artifact,
) -> list["Key"]:
    """The key of the nearest row that has an explanation, for every key."""
    from interlingua.core.geometry import has_direction, rescale
    from interlingua.core.moments import row_blocks
    from interlingua.core.nearest import nearest_rows
    from interlingua.store.maps import read_encoder

    mean_D = read_encoder(encoder.path).mean_D
    candidates = [key for key in learned.finite_keys() if key in explained]
    if not candidates:
        raise ValueError(f"{learned.host_tag}: no row of {Split.AV_SFT} has an explanation")

    def about_mean(h_ND: "np.ndarray") -> "np.ndarray":
        about_ND = rescale(h_ND) - mean_D
        about_ND[~has_direction(h_ND)] = 0  # not -mean_D, which would be near to something
        return about_ND

    def blocks() -> Iterator["np.ndarray"]:
        for part in row_blocks(len(candidates)):
            yield about_mean(learned.vectors(candidates[part]))

    return [candidates[at] for at in nearest_rows(about_mean(asking.vectors(keys)), blocks())]
