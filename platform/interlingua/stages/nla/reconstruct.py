"""Stage `reconstructed`: what the AR makes of texts that no AV wrote, once for all hosts.

The teacher's explanations give the ceiling that imitation of it could reach; lists of true facts
what a better choice of words could.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.evaluation import Arm
from interlingua.specs.generation import ReconstructSpec
from interlingua.stages.nla.pair import opened_reconstructor_of
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import Key, read_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.store.rows.splits import SplitAccess, recorded_access
from interlingua.store.rows.verbalized import VERBALIZED, Verbalized, block_path, write_block
from interlingua.world.facts import SAYABLE, keyed_random
from interlingua.world.teacher import explanation_from

FACTS = {Arm.GENERAL_FACTS: ["language", "topic"], Arm.ALL_FACTS: list(SAYABLE)}


def run(
    spec: ReconstructSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Hear every text of every arm, an arm a block."""
    import torch

    torch.set_num_threads(context.placement.threads_per_worker)
    place = context.placement.verbalizing
    reconstructor = opened_reconstructor_of(
        inputs, device=place.device, batch_rows=place.batch_rows
    )
    (out / VERBALIZED).mkdir(exist_ok=True)
    num_rows = 0
    with recorded_access({spec.split}, out) as access:
        for index, arm in enumerate(spec.arms):
            texts = dict(_texts(arm, spec, inputs, access))
            rows = [_as_row(key, text, arm, spec) for key, text in texts.items()]
            a_NE = reconstructor.reconstruct([row.explanation for row in rows])
            write_block(block_path(out, index), rows, a_NE)
            num_rows += len(rows)
    return {"num_rows": num_rows}


def _texts(
    arm: Arm, spec: ReconstructSpec, inputs: Mapping[str, Artifact], access: SplitAccess
) -> Iterator[tuple[Key, str]]:
    if arm is Arm.GOLD:
        explained = read_explanations(inputs["explanations"].path, {spec.split}, access)
        for key, samples in explained.items():
            yield key, samples[0]
        return
    path = inputs["passages"].path / PASSAGES_NAME
    for passage in read_passages(path, {spec.split}, access):
        rng = keyed_random("told", passage.passage_id)
        text = explanation_from(FACTS[arm], passage.facts, rng, spec.max_words)
        yield (passage.passage_id, POOLED_POSITION), text


def _as_row(key: Key, text: str, arm: Arm, spec: ReconstructSpec) -> Verbalized:
    passage_id, position = key
    return Verbalized(
        passage_id=passage_id,
        position=position,
        split=spec.split,
        arm=arm,
        sample=0,
        text=text,
        explanation=text,
        num_tokens=-1,
        log_prob=float("nan"),
    )
