"""The AR's training: an explanation in, the vector that it explains out.

v [E] is a host's vector in the shared space, a [E] the AR's of a text, u(x) is x at the norm 1. The
AR does not know the host: it gives one a for the v of all hosts, and every host's error counts by
the share of its own variance. Knows neither who steps the weights nor on how many ranks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.geometry import unit
from interlingua.core.injection import scaled
from interlingua.core.metrics import mean_variance
from interlingua.core.shared_space import SharedSpace
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of, fresh_reconstructor
from interlingua.models.pair.prompts import ar_ids, right_padded
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import (
    KeyedRows,
    distinct,
    keyed_choice,
    opened_rows,
    shared_keys,
)
from interlingua.stages.sft.batches import Draws, Texts, of_like_length
from interlingua.stages.sft.engine import ParamGroup
from interlingua.stages.sft.job import LearningInputs, TrainingJob
from interlingua.stages.sft.loop import Placed, Rows, Share
from interlingua.store.artifact import Artifact
from interlingua.store.contract.check import verify_ar
from interlingua.store.hosts import opened_from
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess

ROWS_A_TURN = 64  # of a host, before the next host's, in the rows of an evaluation
VARIANCE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class ArBatch:
    """Explanations, and the directions they explain: `pull_BE` is their weighted sum over hosts.

    With a weight w of every host, pull = sum w u(v) and push = sum w, the loss of a row is
    sum w NMSE(a, v) = sum w 2 (1 - u(a) . u(v)) = 2 (push - u(a) . pull): the AR runs once for all
    hosts. `weight` makes the rows' sum a part of the mean over the global batch.
    """

    keys: tuple[Key, ...]
    ids_BT: Tensor
    mask_BT: Tensor
    pull_BE: Tensor
    push: float
    weight: float


class ArLearner(nn.Module):
    """The reconstructor with its loss."""

    def __init__(self, reconstructor: Reconstructor) -> None:
        super().__init__()
        self.reconstructor = reconstructor

    def forward(self, batch: ArBatch) -> Tensor:
        """The batch's part of the mean over rows and hosts of NMSE / Var_host."""
        a_BE = self.reconstructor(batch.ids_BT, batch.mask_BT)
        # Directions alone are compared: the norm of a gets no gradient, and n(a) drops it later.
        agreement_B = (scaled(a_BE, 1.0) * batch.pull_BE).sum(-1)
        return 2 * (batch.push - agreement_B).sum() * batch.weight


class Targets:
    """The vectors of all hosts, of the keys that every one of them has a finite row of."""

    def __init__(self, rows: Mapping[str, KeyedRows], space: SharedSpace, *, seed: int) -> None:
        self._rows, self._space, self._seed = rows, space, seed
        self.keys = shared_keys(list(rows.values()))

    def of(self, keys: Sequence[Key]) -> dict[str, np.ndarray]:
        """v of every host, [N, E]."""
        unique, places = distinct(keys)
        return {
            tag: self._space.v_of(tag, rows.vectors(unique))[places]
            for tag, rows in self._rows.items()
        }

    @cached_property
    def variances(self) -> dict[str, float]:
        """Var of every host's u(v), over VARIANCE_ROWS of the keys; read once."""
        v_of = self.of(keyed_choice(self.keys, VARIANCE_ROWS, seed=self._seed))
        return {tag: mean_variance(v_NE) for tag, v_NE in v_of.items()}

    def weights(self) -> dict[str, float]:
        """1 / (Var_host * number of hosts), so that a host that varies more does not count more."""
        count = len(self.variances)
        return {tag: 1 / (variance * count) for tag, variance in self.variances.items()}


def opened_targets(
    spec: ArTraining,
    inputs: LearningInputs[Artifact],
    split: Split,
    access: SplitAccess,
    *,
    tags: Sequence[str] = (),
) -> Targets:
    """The vectors of all learning hosts, or of some: of `dev`, or of the rows to learn from."""
    hosts = {tag: inputs.hosts[tag] for tag in tags or spec.host_tags}
    rows = {
        tag: opened_rows(host.dev if split is Split.DEV else host.rows, [split], access)
        for tag, host in hosts.items()
    }
    space = opened_space(inputs.encoders(), anchor=spec.anchor, centring=spec.centring)
    return Targets(rows, space, seed=spec.ar.seed)


class ArProgram:
    """The batches that an AR learns from, by step, and its evaluation on `dev`."""

    def __init__(self, job: TrainingJob) -> None:
        spec: ArTraining = job.spec
        self._spec, self._tags, self._device = spec.ar, spec.host_tags, job.device
        self.num_steps, self.batch_rows = spec.ar.num_steps, spec.ar.batch_rows
        self.optim, self.watch, self.seed = spec.ar.optim, spec.ar.watch, spec.ar.seed
        access = SplitAccess({Split.AR_SFT, Split.DEV})
        source, revision = opened_from(job.inputs.trunk)
        tokenizer = load_tokenizer(source, revision=revision)
        self.module = ArLearner(
            fresh_reconstructor(source, spec.ar, revision=revision, device=job.device)
        )
        contract = contract_of(tokenizer, self.module.reconstructor.width, ar=spec.ar)
        verify_ar(contract, tokenizer)  # not first when the bundle is opened, after the training
        # Padding is masked: any id will do where the tokenizer has none.
        self._pad = tokenizer.pad_token_id or 0
        self._texts, self._dev_texts = (
            Texts(
                read_explanations(artifact.path, {split}, access),
                # With the prompt around the text: its tokens count towards `max_tokens`.
                lambda text: ar_ids(contract, tokenizer, [text])[0],
                spec.ar.max_tokens,
            )
            for artifact, split in (
                (job.inputs.explanations, Split.AR_SFT),
                (job.inputs.dev_explanations, Split.DEV),
            )
        )
        self._targets = opened_targets(spec, job.inputs, Split.AR_SFT, access)
        dev = opened_targets(spec, job.inputs, Split.DEV, access)
        # Every host has a row of these keys: one text is learned for all of them at once.
        keys = [key for key in self._targets.keys if key in self._texts]
        self._draws = Draws(keys, seed=self.seed, name="ar")
        self._weights = self._targets.weights()
        self._dev = self._dev_batches(dev, job.micro_batch_rows)

    def groups(self) -> list[ParamGroup]:
        """All trained weights, at one rate."""
        weights = [w for w in self.module.parameters() if w.requires_grad]
        return [ParamGroup(weights, self.optim.learning_rate)]

    def micro_batches(self, step: int, share: Share) -> list[ArBatch]:
        """The rows of a step, texts of like length together."""
        size = self.batch_rows
        # On from where the step before ended: every key comes once before one comes twice.
        drawn = self._draws.draw(step * size, size)
        rows = [(key, self._texts.ids_of(key, epoch)) for key, epoch in drawn]
        # Dealt out first, then sorted: every rank has as many rows, whatever their lengths.
        mine = sorted(rows[share.rank :: share.world_size], key=lambda row: len(row[1]))
        starts = range(0, len(mine), share.micro_batch_rows)
        # A mean over the rows of all ranks, times world_size: engines take the mean over ranks.
        weight = share.world_size / size
        return [
            self._batch(mine[start : start + share.micro_batch_rows], self._targets, weight)
            for start in starts
        ]

    def dev_batches(self) -> list["DevBatch"]:
        """The teacher's explanations of `dev`, with the vectors of every host."""
        return self._dev

    def dev_rows(self, batch: "DevBatch") -> Placed:
        """The error of every host's vector, and what there was to explain."""
        a_BE = self.module.reconstructor(batch.inputs.ids_BT, batch.inputs.mask_BT)
        # fp64: 1 - cos of a good prediction is a small difference of numbers near 1.
        direction_BE = scaled(a_BE, 1.0).double().cpu().numpy()
        return [
            (
                (place // ROWS_A_TURN, turn, place),
                {
                    "host": tag,
                    "passage_id": key[0],
                    "position": key[1],
                    "nmse": float(2 * (1 - direction_BE[row] @ batch.target_BE[tag][row])),
                    "own_variance": float(batch.variance_B[tag][row]),
                },
            )
            for turn, tag in enumerate(self._tags)
            for row, (key, place) in enumerate(zip(batch.inputs.keys, batch.places, strict=True))
        ]

    def summarized(self, rows: Rows) -> dict[str, float]:
        """The share of the variance that is explained, as the mean over hosts."""
        # A ratio of sums for each host, then their mean: in one sum over all hosts those that
        # vary more would decide.
        unexplained = [
            sum(row["nmse"] for row in of_host) / sum(row["own_variance"] for row in of_host)
            for of_host in ([row for row in rows if row["host"] == tag] for tag in self._tags)
        ]
        score = sum(unexplained) / len(unexplained)
        return {"score": score, "fve_centred_own": 1 - score}

    def counts(self) -> dict[str, int]:
        """Counts of the explanations, and of those that could not be used."""
        return dict(self._texts.counts)

    def _batch(
        self, rows: Sequence[tuple[Key, Sequence[int]]], targets: Targets, weight: float
    ) -> ArBatch:
        keys = tuple(key for key, _ in rows)
        pull_BE = sum(
            self._weights[tag] * scaled(torch.from_numpy(v_BE), 1.0)
            for tag, v_BE in targets.of(keys).items()
        )
        assert isinstance(pull_BE, Tensor)
        lengths_B1 = torch.tensor([[len(ids)] for _, ids in rows])
        ids_BT = right_padded([ids for _, ids in rows], self._pad)
        return ArBatch(
            keys=keys,
            ids_BT=ids_BT.to(self._device),
            mask_BT=(torch.arange(ids_BT.shape[1]) < lengths_B1).long().to(self._device),
            pull_BE=pull_BE.to(self._device),
            push=sum(self._weights.values()),
            weight=weight,
        )

    def _dev_batches(self, dev: Targets, most_rows: int) -> list["DevBatch"]:
        keys = keyed_choice(
            [key for key in dev.keys if key in self._dev_texts],
            self.watch.dev_rows,
            seed=self.watch.seed,
        )
        target_BE = {tag: unit(v_NE) for tag, v_NE in dev.of(keys).items()}
        # About the mean of these very rows: predicting that mean is an FVE of 0.
        variance = {tag: ((u_NE - u_NE.mean(0)) ** 2).sum(1) for tag, u_NE in target_BE.items()}
        rows = [(key, self._dev_texts.ids_of(key, 0)) for key in keys]
        return [
            DevBatch(
                tuple(part),
                self._batch([rows[place] for place in part], dev, 1.0),
                {tag: u_NE[part] for tag, u_NE in target_BE.items()},
                {tag: var_N[part] for tag, var_N in variance.items()},
            )
            for part in of_like_length([len(ids) for _, ids in rows], most_rows)
        ]


@dataclass(frozen=True, slots=True)
class DevBatch:
    """Explanations of `dev`; of each host the true directions and their squares about the mean.

    `places` are those of the explanations among all that are evaluated.
    """

    places: tuple[int, ...]
    inputs: ArBatch
    target_BE: Mapping[str, np.ndarray]
    variance_B: Mapping[str, np.ndarray]
