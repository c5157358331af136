"""Stage `room`: what an oracle that knows the true facts explains of one host's activations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interlingua.models.hosts import Host, load_host, load_tokenizer, read_block
from interlingua.specs.splits import Split
from interlingua.specs.world import RoomSpec
from interlingua.stages.backend import Context
from interlingua.stages.passages import PASSAGES_NAME
from interlingua.store.artifact import Artifact
from interlingua.store.passages import Passage, read_passages
from interlingua.store.splits import recorded_access
from interlingua.world.oracle import Oracle

BATCH_SIZE = 64


def run(
    spec: RoomSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the oracle on split `fit` and score it on `dev`."""
    torch.set_num_threads(context.placement.threads_per_worker)
    path = inputs["passages"].path / PASSAGES_NAME
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        fit = list(read_passages(path, {Split.FIT}, access))
        dev = list(read_passages(path, {Split.DEV}, access))
    source = str(inputs["host"].path)
    host = load_host(source, dtype="float32", up_to_block=spec.block_index)
    tokenizer = load_tokenizer(source)
    oracle = Oracle(
        [passage.facts for passage in fit],
        pooled_activations(host, tokenizer, fit, spec.block_index),
        [passage.facts for passage in dev],
        pooled_activations(host, tokenizer, dev, spec.block_index),
    )
    return oracle.metrics(spec.seed)


def pooled_activations(
    host: Host, tokenizer: Any, passages: Sequence[Passage], block_index: int
) -> np.ndarray:
    """[N, D]: the fp32 mean over all tokens of a passage but the first, an attention sink."""
    pooled_ND = np.zeros((len(passages), host.width), dtype=np.float32)
    by_length = sorted(range(len(passages)), key=lambda row: len(passages[row].text))
    for start in range(0, len(by_length), BATCH_SIZE):
        rows = by_length[start : start + BATCH_SIZE]
        texts = [passages[row].text for row in rows]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
        ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
        h_BTD = read_block(host, ids_BT, mask_BT, block_index).float()
        kept_BT1 = mask_BT[..., None].float()
        kept_BT1[:, 0] = 0
        pooled_ND[rows] = ((h_BTD * kept_BT1).sum(1) / kept_BT1.sum(1)).numpy()
    return pooled_ND
