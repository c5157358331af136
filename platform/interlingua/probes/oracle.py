"""Oracle of a host: the share of its activations that true facts could explain.

A ridge from facts to centred unit activations, fitted on some passages and scored on others. It
bounds what an explanation that lists these facts can give linearly; it reads no text. Beside it a
ridge from pairs of facts, and a small network from all: what facts mean together, which no sum over
them has.

N rows of `fit` and M held-out rows of width D, with F columns made of facts; u is h at length 1.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from interlingua.core.keyed import keyed_random
from interlingua.core.linear import fit_blocks
from interlingua.core.small_mlp import fitted_mlp
from interlingua.core.statistics import ratio_of_sums
from interlingua.sources.source import Truth
from interlingua.specs.maps import RidgeSpec

Known = Sequence[Mapping[str, str]]  # the facts of each row
Columns = Mapping[str, np.ndarray]  # per fact, [N, number of its values] of zeros and ones

TRIPLE = 3
RIDGE = 0.1
FOLDS = 5
OF_PAIRS = RidgeSpec(strengths=(1e-2, 1e-1, 1.0, 10.0, 100.0), num_folds=FOLDS)  # many columns


class Oracle:
    """Scores of facts on held-out rows of one host."""

    def __init__(
        self,
        truth: Truth,
        fit: Known,
        fit_h_ND: np.ndarray,
        held: Known,
        held_h_MD: np.ndarray,
    ) -> None:
        self._truth = truth
        self._fit, self._held = (_columns(facts, truth.values) for facts in (fit, held))
        self._fit_u_ND, self._held_u_MD = _unit(fit_h_ND), _unit(held_h_MD)
        self._mean_D = self._fit_u_ND.mean(0)
        # The variance around the held-out rows' own mean vector: a constant scores 0 at best.
        self._variance_M = _squares(self._held_u_MD - self._held_u_MD.mean(0))

    def metrics(self, seed: int) -> dict[str, float | str]:
        """All figures, each fve of predictions at length 1 (centred) and as they are (linear)."""
        names = tuple(self._truth.values)
        triples = list(combinations(names, TRIPLE))
        best = max(triples, key=self._fit_score)
        scored = {
            "all_facts": self._errors(names),
            "fact_pairs": self._pair_errors(names),
            "network": self._network_errors(names, seed),
            "language_topic": self._errors(self._truth.general),
            "best_triple": self._errors(best),
            "random_triple": self._random_triple_errors(seed),
            "constant": self._split_errors(np.tile(self._mean_D, (len(self._held_u_MD), 1))),
        }
        metrics: dict[str, float | str] = {"best_triple_facts": "+".join(best)}
        for name, errors in scored.items():
            for kind, errors_M in errors.items():
                metrics |= self._fve(f"{name}/{kind}", errors_M, seed)
        for kind in ("fve_centred", "fve_linear"):
            mean = np.mean([self._errors(triple)[kind] for triple in triples], axis=0)
            metrics |= self._fve(f"mean_triple/{kind}", mean, seed)
            metrics |= self._gaps(scored, kind, seed)
        return metrics

    def _gaps(
        self, scored: Mapping[str, Mapping[str, np.ndarray]], kind: str, seed: int
    ) -> dict[str, float]:
        """Paired differences on the same rows."""
        beyond = scored["language_topic"][kind] - scored["all_facts"][kind]
        choice = scored["random_triple"][kind] - scored["best_triple"][kind]
        # A ratio of sums, not a mean of ratios: rows whose variance is small would rule the mean.
        explained = [self._variance_M - scored[n][kind] for n in ("language_topic", "all_facts")]
        return {
            **self._ratio(f"beyond_language_topic/{kind}", beyond, self._variance_M, seed),
            **self._ratio(f"best_over_random_triple/{kind}", choice, self._variance_M, seed),
            **self._ratio(f"language_topic_share/{kind}", explained[0], explained[1], seed),
        }

    def _fve(self, name: str, errors_M: np.ndarray, seed: int) -> dict[str, float]:
        return self._ratio(name, self._variance_M - errors_M, self._variance_M, seed)

    def _ratio(self, name: str, top_M: np.ndarray, below_M: np.ndarray, seed: int) -> dict:
        return ratio_of_sums(top_M, below_M, seed=seed).as_metrics(name)

    def _errors(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        weights = self._weights(self._features(self._fit, names))
        held_MF = _with_one(self._features(self._held, names))
        return self._split_errors(held_MF @ weights + self._mean_D)

    def _random_triple_errors(self, seed: int) -> dict[str, np.ndarray]:
        weights = self._weights(_random_triples(self._fit, f"{seed}|fit"))
        held = _random_triples(self._held, f"{seed}|held")
        return self._split_errors(_with_one(held) @ weights + self._mean_D)

    def _pair_errors(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        features_NF, held_MF = (_pairs(columns, names) for columns in (self._fit, self._held))
        block = features_NF, self._fit_u_ND - self._mean_D, _folds(len(features_NF))
        return self._split_errors(fit_blocks([block], OF_PAIRS)(held_MF) + self._mean_D)

    def _network_errors(self, names: Sequence[str], seed: int) -> dict[str, np.ndarray]:
        """What a network adds to the ridge from all facts."""
        features_NF, held_MF = (
            self._features(columns, names) for columns in (self._fit, self._held)
        )
        weights = self._weights(features_NF)
        rest_ND = self._fit_u_ND - self._mean_D - _with_one(features_NF) @ weights
        scale = float(rest_ND.std())
        is_held_N = _folds(len(features_NF)) == 0
        network = fitted_mlp(features_NF, rest_ND / scale, is_held_N, seed=seed)
        linear_MD = _with_one(held_MF) @ weights + self._mean_D
        return self._split_errors(linear_MD + scale * network(held_MF))

    def _split_errors(self, predicted_MD: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "fve_centred": _squares(_unit(predicted_MD) - self._held_u_MD),
            "fve_linear": _squares(predicted_MD - self._held_u_MD),
        }

    def _features(self, columns: Columns, names: Sequence[str]) -> np.ndarray:
        """The columns of these facts; with the category known, every fact has its own in each."""
        plain = np.concatenate([columns[name] for name in names], axis=1)
        if self._truth.category not in names:
            return plain
        return np.concatenate([plain, plain * columns[self._truth.category][:, 1:]], axis=1)

    def _fit_score(self, names: Sequence[str]) -> float:
        """On the fit rows, so that choosing among triples leaves the held-out rows untouched."""
        features = self._features(self._fit, names)
        predicted = _with_one(features) @ self._weights(features) + self._mean_D
        return -float(_squares(_unit(predicted) - self._fit_u_ND).sum())

    def _weights(self, features_NF: np.ndarray) -> np.ndarray:
        # The one-hot columns of a fact add up to the constant column: without a ridge the system
        # would be singular. The targets are centred, so that the constant is small.
        x = _with_one(features_NF)
        gram = x.T @ x + RIDGE * np.eye(x.shape[1])
        return np.linalg.solve(gram, x.T @ (self._fit_u_ND - self._mean_D))


def _columns(known: Known, kinds: Mapping[str, tuple[str, ...]]) -> Columns:
    """Per fact, one column a value; a fact that a row's text does not mention has none of them."""
    return {
        name: np.array(
            [[facts.get(name) == value for value in values] for facts in known], dtype=float
        )
        for name, values in kinds.items()
    }


def _pairs(columns: Columns, names: Sequence[str]) -> np.ndarray:
    """The columns of these facts, and of every two values that hold together."""
    products = [
        (columns[one][:, :, None] * columns[other][:, None, :]).reshape(len(columns[one]), -1)
        for one, other in combinations(names, 2)
    ]
    return np.concatenate([columns[name] for name in names] + products, axis=1)


def _folds(num_rows: int) -> np.ndarray:
    """Contiguous: rows of one passage stand beside each other."""
    return np.arange(num_rows) * FOLDS // max(1, num_rows)


def _random_triples(columns: Columns, key: str) -> np.ndarray:
    """Features of three facts a row, drawn anew for each row, as a teacher states them."""
    num_rows, num_facts = len(next(iter(columns.values()))), len(columns)
    said_NF = np.zeros((num_rows, num_facts))
    for row in range(num_rows):
        said_NF[row, keyed_random("triple", key, row).sample(range(num_facts), TRIPLE)] = 1.0
    told = [column * said_NF[:, [i]] for i, column in enumerate(columns.values())]
    return np.concatenate([*told, said_NF], axis=1)


def _with_one(features_NF: np.ndarray) -> np.ndarray:
    return np.concatenate([features_NF, np.ones((len(features_NF), 1))], axis=1)


def _unit(h_ND: np.ndarray) -> np.ndarray:
    h_ND = h_ND.astype(np.float64)
    return h_ND / np.maximum(np.linalg.norm(h_ND, axis=1, keepdims=True), 1e-12)


def _squares(x_ND: np.ndarray) -> np.ndarray:
    return np.asarray((x_ND**2).sum(1))
