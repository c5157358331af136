"""The fit of a host's familiarity on split `fit`, and the host's rows of texts from outside."""

from collections.abc import Iterator, Mapping

import numpy as np

from interlingua.core.familiarity import Familiarity, fit_familiarity
from interlingua.core.geometry import has_direction, rescale
from interlingua.core.moments import Block, folds_of
from interlingua.models.hosts.activations import Reader
from interlingua.sources.outside import KINDS, outside_texts
from interlingua.specs.extraction import Spans, recorded_reading
from interlingua.specs.maps import FamiliaritySpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.artifact import Artifact
from interlingua.store.hosts import opened_from

BATCH_TOKENS = 8192
RANDOM = "random_vector"


def fitted(rows: KeyedRows, spec: FamiliaritySpec) -> Familiarity | None:
    """How far every row of `fit` is from the others; None where there are too few to say."""

    def blocks() -> Iterator[Block]:
        keys = rows.finite_keys()
        for start in range(0, len(keys), spec.block_rows):
            block_keys = keys[start : start + spec.block_rows]
            h_ND = rows.vectors(block_keys)
            is_good_N = has_direction(h_ND)
            n_ND = rescale(h_ND[is_good_N])
            fold_N = folds_of((key[0] for key in block_keys), spec.num_folds)[is_good_N]
            if len(n_ND):  # nothing is predicted: y is one column of zeros
                yield n_ND, np.zeros((len(n_ND), 1)), fold_N

    return fit_familiarity(blocks, num_folds=spec.num_folds)


def some_of(rows: KeyedRows, count: int) -> np.ndarray:
    """[K, D]: activations of so many passages, or of all where there are fewer."""
    # Ids are hashes of texts, so that every so-manieth of them in their order is as good as drawn.
    first = {passage_id: (passage_id, place) for passage_id, place in reversed(rows.finite_keys())}
    keys = sorted(first.values())
    h_KD = rows.vectors(keys[:: max(1, len(keys) // count)][:count])
    return h_KD[has_direction(h_KD)]


def outside_rows(spec: FamiliaritySpec, host: Artifact, rows: Artifact) -> Mapping[str, np.ndarray]:
    """The host's raw activations [N, D] of texts of every kind, read as `rows` are; and noise."""
    read = recorded_reading(rows.record.spec)
    source, revision = opened_from(host)
    reader = Reader(source, read, revision=revision, device="cpu", batch_tokens=BATCH_TOKENS)
    found = {}
    for kind in KINDS:
        texts = outside_texts(kind, spec.num_outside, seed=spec.seed)
        if isinstance(read.read, Spans):  # what is a sentence of code? all of a text is read
            found[kind] = reader.over(texts, [(0, len(text)) for text in texts])
        else:
            keyed = [(f"{number:016x}", text) for number, text in enumerate(texts)]
            # Each is a document of its own, where positions are drawn by documents.
            read_rows = reader.rows(keyed, [key for key, _ in keyed])
            found[kind] = read_rows.vectors_by_block[spec.block_index]
    rng = np.random.default_rng(spec.seed)
    found[RANDOM] = rng.normal(size=(spec.num_outside, reader.width)).astype(np.float32)
    return found
