"""Made-up hosts: rows that are linear in what a passage is about, and the encoders between them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from interlingua.cluster.local import local_context
from interlingua.recipes.parts import WORLD_FITTING
from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.maps.encoder import Encoded, HostRows, anchor_encoder_stage, encoder_stage
from interlingua.store.artifact import Stage, build
from interlingua.store.rows.shards import (
    ShardHeader,
    block_folder,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.rows.splits import passage_id, recorded_access

BLOCK = 1
LATENT = 6
ROWS_PER_SHARD = 30
WIDTHS = {"anchor": 12, "left": 10, "right": 16, "late": 9, "wide": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSpec:
    """Made-up rows: far from the origin, with noise."""

    host_tag: str
    block_indices: tuple[int, ...]
    splits: tuple[Split, ...]
    num_passages: int
    order_seed: int = 0
    first_is_nan: int = 0
    last_is_zero: int = 0

    @property
    def ids(self):
        """The passages, by number."""
        [split] = self.splits
        return [passage_id(f"{split} {number}") for number in range(self.num_passages)]

    @property
    def vectors_ND(self):
        """The row of every passage, each by its passage alone."""
        width = WIDTHS[self.host_tag]
        host = np.random.default_rng(width)
        mix, mean = host.normal(size=(LATENT, width)), 3 * host.normal(size=width)
        keys = [int(identity, 16) for identity in self.ids]
        latents = np.array([np.random.default_rng(key).normal(size=LATENT) for key in keys])
        noise = np.array([np.random.default_rng([width, key]).normal(size=width) for key in keys])
        h_ND = latents @ mix + mean + 0.3 * noise
        h_ND[: self.first_is_nan] = np.nan
        h_ND[len(keys) - self.last_is_zero :] = 0.0
        return h_ND.astype(np.float32)


class MadeUp:
    """A run root, the rows of the hosts, and the stages of an anchor and of two trained hosts."""

    def __init__(self, root):
        self.root, self.widths = root, WIDTHS
        self.rows = {tag: self.host_rows(tag) for tag in WIDTHS}
        self.anchor = self.anchored(self.rows["anchor"])
        self.trained = {
            tag: Encoded(self.rows[tag], self.to_anchor(self.rows[tag]))
            for tag in ("left", "right")
        }

    def host_rows(self, tag, num_fit=200, **changes):
        """The rows of one host; changes are for its `fit` rows."""
        dev = RowsSpec(host_tag=tag, block_indices=(BLOCK,), splits=(Split.DEV,), num_passages=40)
        fit = replace(dev, splits=(Split.FIT,), num_passages=num_fit, **changes)
        return HostRows(fit=rows_stage(fit), dev=rows_stage(dev))

    def anchored(self, rows):
        """The anchor with these rows."""
        return Encoded(rows, anchor_encoder_stage(WORLD_FITTING, rows))

    def to_anchor(self, rows, anchor=None):
        """The stage of an encoder from these rows to the anchor's space."""
        target = anchor or self.anchor
        return encoder_stage(WORLD_FITTING, rows, {"anchor": target}, target)

    def built(self, stage):
        """The artifact, after all that it needs."""
        for upstream in stage.upstream.values():
            self.built(upstream)
        return build(stage, self.root, local_context(world_mini().placement))


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    """The made-up hosts in a run root of their own."""
    return MadeUp(tmp_path_factory.mktemp("encoders"))


def rows_stage(spec):
    label = "-".join([spec.host_tag, *spec.splits])
    return Stage(kind="activations", label=label, spec=spec, run=write_rows, inputs={}, revision=1)


def write_rows(spec, inputs, out, context):
    """An artifact as an extraction leaves it, in small shards, shuffled."""
    [split] = spec.splits
    ids, h_ND = spec.ids, spec.vectors_ND
    order = np.random.default_rng(spec.order_seed).permutation(len(ids))
    header = ShardHeader(
        host_tag=spec.host_tag,
        host_revision="",
        tokenizer_hash="hash",
        block_index=BLOCK,
        read_mode="pooled",
        dtype="float32",
        max_length=9,
    )
    block_folder(out, BLOCK).mkdir(exist_ok=True)
    for index, start in enumerate(range(0, len(ids), ROWS_PER_SHARD)):
        chosen = order[start : start + ROWS_PER_SHARD]
        columns = ([ids[i] for i in chosen], [-1] * len(chosen), [9] * len(chosen), h_ND[chosen])
        write_shard(shard_path(block_folder(out, BLOCK), index), header, shard_rows(*columns))
    with recorded_access(spec.splits, out) as access:
        for identity in ids:
            access.consume(identity, split)
    return {}
