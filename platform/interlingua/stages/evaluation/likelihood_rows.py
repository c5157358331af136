"""The rows of a likelihood: which texts of which activations are scored, and beside whose vectors.

h is a raw activation [D] of a host; texts are the teacher's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from interlingua.core.geometry import has_direction
from interlingua.core.metrics import derangement
from interlingua.specs.evaluation import LikelihoodSpec
from interlingua.specs.placement import VerbalizingPlacement
from interlingua.stages.evaluation.inputs import LikelihoodInputs
from interlingua.stages.evaluation.token_nll import (
    Asked,
    opened_learner,
    scored_texts,
    usable_texts,
)
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import keyed_choice, opened_rows
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, documents_of
from interlingua.store.rows.splits import SplitAccess

Part = tuple[int, Asked]  # the place of the first text, and texts from there on


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to score texts of one host."""

    spec: LikelihoodSpec
    inputs: LikelihoodInputs[Artifact]
    place: VerbalizingPlacement
    threads: int


class LikelihoodWorker:
    """A worker: opens the AV once, then scores part after part."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        spec, inputs = job.spec, job.inputs
        space = opened_space(inputs.encoders, anchor=spec.anchor, centring=spec.centring)
        self._place = job.place
        self._learner = opened_learner(inputs.writer, space, device=job.place.device)
        # Its ledger is not stored: `asked_texts` notes every passage before.
        self._rows = opened_rows(inputs.rows, [spec.split], SplitAccess({spec.split}))

    def __call__(self, part: Part) -> tuple[int, list[dict[str, Any]]]:
        """The place of the first text, and the losses of all in their order."""
        first, asked = part
        rows = scored_texts(
            self._learner,
            self._rows,
            asked,
            turn=0,
            batch_rows=self._place.batch_rows,
            device=self._place.device,
        )
        return first, rows


class AskedTexts(NamedTuple):
    """The texts of one host, with the sample that each is and the documents of their passages."""

    asked: Asked
    samples: Sequence[int]
    documents: Mapping[str, str]

    def named(self, scored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows of an evaluation, of the losses of all texts."""
        return [
            {
                "host": row["host"],
                "passage_id": row["passage_id"],
                "document_id": self.documents[row["passage_id"]],
                "position": row["position"],
                "sample": sample,
                "num_tokens": row["num_tokens"],
                "nll_own": row["nll_real"],
                "nll_shuffled": row["nll_shuffled"],
                "nll_zero": row["nll_zero"],
            }
            for row, sample in zip(scored, self.samples, strict=True)
        ]


def asked_texts(
    spec: LikelihoodSpec, inputs: LikelihoodInputs[Artifact], access: SplitAccess
) -> tuple[AskedTexts, dict[str, int]]:
    """Every usable text of every row that has a vector, and counts of what has none."""
    explained = read_explanations(inputs.explanations.path, {spec.split}, access)
    texts = usable_texts(inputs.writer, explained)
    rows = opened_rows(inputs.rows, [spec.split], access)
    finite = rows.finite_keys()
    chosen = finite if spec.rows is None else keyed_choice(finite, spec.rows, seed=spec.seed)
    is_good_K = has_direction(rows.vectors(chosen))
    good = [key for key, is_good in zip(chosen, is_good_K, strict=True) if is_good]
    drawn = [(key, sample) for key in good for sample in range(texts.num_samples(key))]
    if not drawn:
        raise ValueError(
            f"{spec.host_tag}: no row of {spec.split} has both a vector and an explanation that "
            "fits; explain more rows, or raise av.max_response_tokens"
        )
    keys = [key for key, _ in drawn]
    path, ids = inputs.passages.path / PASSAGES_NAME, [key[0] for key in keys]
    documents = documents_of(path, ids, spec.split, access)
    other_N = derangement(np.array([documents[one] for one in ids]), seed=spec.seed)
    asked = Asked(keys, [texts.ids_of(*one) for one in drawn], [keys[at] for at in other_N])
    counts = {
        "num_rows": len(drawn),
        "num_activations": len(chosen),
        # Zero among those chosen; not finite among all that have an explanation.
        "num_without_vector": len(chosen) - len(good) + len(explained.keys() - set(finite)),
        "num_without_text": sum(not texts.num_samples(key) for key in good),
    }
    return AskedTexts(asked, [sample for _, sample in drawn], documents), counts


def parts_of(asked: Asked, most: int) -> Iterator[Part]:
    """All texts, up to `most` at a time."""
    for first in range(0, len(asked.keys), most):
        part = slice(first, first + most)
        yield first, Asked(asked.keys[part], asked.ids[part], asked.others[part])
