"""The rows of every predictor: predictions of one host's activations, and their errors.

h is a raw activation [D], u(h) and n(h) the same at the norms 1 and sqrt(D), a [E] the AR's vector
of a text, h^ [D] the decoder's of a; K activations are scored, N predictions made of them. A text
that could not be parsed predicts nothing: its NMSE is 2. What is fitted is fitted on `fit`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, norms, rescale, unit
from interlingua.core.maps import Decoder
from interlingua.core.metrics import (
    best_constant,
    category_variance,
    mean_variance,
    retrieval_ranks,
    score_rows,
)
from interlingua.core.spans import sentence_at
from interlingua.core.word_readers import Read
from interlingua.sources.source import Truth, nameable, truth_of
from interlingua.specs.evaluation import Predictor, ScoreSpec
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.controls import fit_documents, of_other_rows, texts_of_no_av
from interlingua.stages.evaluation.inputs import ScoreInputs
from interlingua.stages.evaluation.ridges import encoder_ridge, word_readers
from interlingua.stages.rows.keyed import opened_rows
from interlingua.store.artifact import Artifact
from interlingua.store.maps import read_decoder, read_encoder
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import SPAN, Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Rebuilt, Verbalized, read_verbalized


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """The activations that are scored, each with its place and what is known to hold of it."""

    place: Mapping[Key, int]
    h_KD: np.ndarray
    truth: Truth | None
    facts: Mapping[Key, Mapping[str, str]]  # none without a truth
    documents: Mapping[str, str]  # of every passage
    ends: Mapping[Key, int]  # where a row is a sentence: the character at which it ends

    @classmethod
    def of(
        cls,
        asked: Sequence[Key],
        spec: ScoreSpec,
        inputs: ScoreInputs[Artifact],
        access: SplitAccess,
    ) -> "Targets":
        """The targets of the asked rows, without those that have no direction."""
        rows = opened_rows(inputs.rows, [spec.split], access)
        h_KD = rows.vectors(asked)
        is_good_K = has_direction(h_KD)
        kept = [key for key, is_good in zip(asked, is_good_K, strict=True) if is_good]
        path = inputs.passages.path / PASSAGES_NAME
        passages = {p.passage_id: p for p in read_passages(path, {spec.split}, access)}
        is_span = rows.header.read_mode == SPAN
        truth = truth_of(inputs.passages)
        facts = {}
        if truth is not None:
            facts = {key: truth.of_row(passages[key[0]], key[1], is_span=is_span) for key in kept}
        ends = {}
        if is_span:
            ends = {key: sentence_at(passages[key[0]].text, key[1])[1] for key in kept}
        place = {key: index for index, key in enumerate(kept)}
        documents = {key[0]: passages[key[0]].document_id for key in kept}
        return cls(
            place=place,
            h_KD=h_KD[is_good_K],
            truth=truth,
            facts=facts,
            documents=documents,
            ends=ends,
        )

    def categories(self) -> np.ndarray | None:
        """[K]: the group of every row, where a truth says it."""
        if self.truth is None:
            return None
        return np.array([self.facts[key].get(self.truth.category, "") for key in self.place])

    def checked(self, key_of_rows: Sequence[Key], texts: Sequence[str]) -> dict[str, Any]:
        """What texts state, and what they could truly name; nothing where no truth is known."""
        if self.truth is None:
            return {}
        stated = [self.truth.asserted(text) for text in texts]
        known = [nameable(self.truth, self.facts[key]) for key in key_of_rows]
        return {
            "said": [[f"{fact}={value}" for fact, value in one.facts] for one in stated],
            "num_clauses": np.array([one.num_clauses for one in stated]),
            "num_worded": np.array([one.num_known_clauses for one in stated]),
            "true": [[f"{kind}={value}" for kind, value in facts.items()] for facts in known],
        }


def rows_of_predictors(
    targets: Targets,
    spoken: Mapping[Predictor, Rebuilt],
    spec: ScoreSpec,
    inputs: ScoreInputs[Artifact],
    access: SplitAccess,
) -> Iterator[Mapping[str, Any]]:
    """Yield the columns of every predictor's rows; of `spoken` the AV wrote the texts."""
    decoder = read_decoder(inputs.decoder.path)
    encoder = read_encoder(inputs.encoders[spec.host_tag].path)
    fit = opened_rows(inputs.fit, [Split.FIT], access)
    said = read_verbalized(inputs.fit_texts.path, Split.FIT, Predictor.SAMPLED, access)
    fit_ND = fit.vectors(said.keys)
    scorer = _Scorer(targets, spec, mean_D=encoder.mean_D, train_variance=mean_variance(fit_ND))

    for predictor, rebuilt in {**spoken, **texts_of_no_av(spec, inputs, access)}.items():
        if rebuilt.keys:
            yield scorer.of_texts(predictor, rebuilt, decoder)
    sampled = _only(spoken[Predictor.SAMPLED], targets)
    for predictor, rebuilt in of_other_rows(sampled, targets.documents, seed=spec.seed).items():
        predicted_ND = _decoded(rebuilt.a_NE, decoder)
        yield scorer.of(predictor, rebuilt.keys, predicted_ND, rebuilt.rows)
    documents = fit_documents(said, inputs, access)
    for predictor, read in word_readers(said, documents, fit_ND, spec).items():
        yield scorer.of(predictor, sampled.keys, _read(sampled, read), sampled.rows)
    unique = list(targets.place)
    there_and_back = encoder_ridge(documents, fit_ND, spec, inputs.encoders)
    yield scorer.of(Predictor.ENCODER, unique, there_and_back(targets.h_KD))
    # The one vector of the AR that suits `fit` best: as far as saying one thing always gets.
    best_D = best_constant(_decoded(said.a_NE, decoder), fit_ND)
    for predictor, constant_D in (
        (Predictor.CONSTANT_EXPLANATION, best_D),
        (Predictor.CONSTANT_VECTOR, encoder.mean_D),
    ):
        yield scorer.of(predictor, unique, np.broadcast_to(constant_D, targets.h_KD.shape))


def _read(spoken: Rebuilt, read: Read) -> np.ndarray:
    """The prediction of a reader of words; zero where a text failed, as for the AR."""
    is_read_N1 = has_direction(spoken.a_NE)[:, None]
    return np.where(is_read_N1, read([row.explanation or "" for row in spoken.rows]), 0)


class _Scorer:
    """Makes the rows of a predictor from its predictions, which are in the units of n(h)."""

    def __init__(
        self, targets: Targets, spec: ScoreSpec, *, mean_D: np.ndarray, train_variance: float
    ) -> None:
        self._targets, self._spec = targets, spec
        self._mean_D, self._train_variance = mean_D, train_variance
        direction_KD = unit(targets.h_KD)
        self._target_mean_D = direction_KD.mean(axis=0)
        # Denominators of `fve_centred_category`: what is left where the group's mean is known.
        groups = targets.categories()
        self._category_K = np.full(len(targets.place), np.nan)
        if groups is not None:
            self._category_K = category_variance(targets.h_KD, groups)
        # For ranks: about the mean, which all activations share and which tells none apart.
        self._about_KD = direction_KD - self._target_mean_D

    def of_texts(
        self, predictor: Predictor, rebuilt: Rebuilt, decoder: Decoder
    ) -> Mapping[str, Any]:
        """The rows of a predictor that goes through texts, the AR and the decoder."""
        mine = _only(rebuilt, self._targets)
        predicted_ND = _decoded(mine.a_NE, decoder)
        # The mean cosine to all targets in one product: what the prediction scores on a random one.
        cos_N = unit(predicted_ND) @ self._target_mean_D
        checked = self._targets.checked(mine.keys, [row.explanation or "" for row in mine.rows])
        columns = dict(self.of(predictor, mine.keys, predicted_ND, mine.rows)) | checked
        return columns | {
            "text": [row.text for row in mine.rows],
            "explanation": [row.explanation for row in mine.rows],
            "num_tokens": np.array([row.num_tokens for row in mine.rows]),
            "log_prob": np.array([row.log_prob for row in mine.rows]),
            "shuffled_nmse": 2 * (1 - cos_N),
        }

    def of(
        self,
        predictor: Predictor,
        keys: Sequence[Key],
        predicted_ND: np.ndarray,
        texts: Sequence[Verbalized] | None = None,
    ) -> Mapping[str, Any]:
        """The rows of a predictor; `texts` give the sample of each row, and whether it failed."""
        places_N = np.array([self._targets.place[key] for key in keys])
        target_ND = self._targets.h_KD[places_N]
        sample_N = np.array([row.sample for row in texts] if texts else [0] * len(keys))
        is_failed_N = np.array(
            # A predictor without texts cannot fail.
            [row.explanation is None for row in texts or ()] or [False] * len(keys)
        )
        return {
            **score_rows(predicted_ND, target_ND)._asdict(),
            "host": self._spec.host_tag,
            "role": self._spec.role,
            "predictor": predictor.value,
            "split": self._spec.split.value,
            "passage_id": [passage_id for passage_id, _ in keys],
            "document_id": [self._targets.documents[passage_id] for passage_id, _ in keys],
            "position": np.array([position for _, position in keys]),
            "span_end": np.array([self._targets.ends.get(key, -1) for key in keys]),
            "sample": sample_N,
            "is_failed": is_failed_N,
            "train_variance": self._train_variance,
            "category_variance": self._category_K[places_N],
            "raw_norm": norms(target_ND),
            "rank": self._ranks(predicted_ND, places_N, sample_N),
            # A rank means nothing without the number that it is among.
            "num_rivals": np.full(len(keys), len(set(keys))),
        }

    def _ranks(
        self, predicted_ND: np.ndarray, places_N: np.ndarray, sample_N: np.ndarray
    ) -> np.ndarray:
        """The rank of every prediction's own target, by the cosine of directions about the mean."""
        # A zero is no prediction: less the mean it would be a direction, and the same for all.
        about_ND = np.where(
            predicted_ND.any(axis=1, keepdims=True), predicted_ND - self._mean_D, 0.0
        )
        ranks_N = np.empty(len(places_N), int)
        # Sample by sample, so that every activation stands once among the targets of a ranking.
        for sample in np.unique(sample_N):
            mine = np.flatnonzero(sample_N == sample)
            ranks_N[mine] = retrieval_ranks(about_ND[mine], self._about_KD[places_N[mine]])
        return ranks_N


def _decoded(a_NE: np.ndarray, decoder: Decoder) -> np.ndarray:
    """h^ of every row; zero, which points nowhere, where there was no text to read."""
    is_read_N = has_direction(a_NE)
    predicted_ND = np.zeros((len(a_NE), len(decoder.mean_D)))
    if is_read_N.any():
        # Read rows alone: `rescale` raises on the NaN of a text that failed.
        predicted_ND[is_read_N] = decoder(rescale(a_NE[is_read_N]))
    return predicted_ND


def _only(rebuilt: Rebuilt, targets: Targets) -> Rebuilt:
    """The rows whose activations are scored."""
    places = [place for place, key in enumerate(rebuilt.keys) if key in targets.place]
    return Rebuilt(
        [rebuilt.keys[place] for place in places],
        [rebuilt.rows[place] for place in places],
        rebuilt.a_NE[places],
    )
