"""Rows of an evaluation whose truth is known: systems that are good, and bad in one way each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlingua.core.geometry import rescale, unit
from interlingua.core.metrics import category_variance, derangement, retrieval_ranks, score_rows
from interlingua.report.from_rows import Recorded
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.likelihood import Likelihood
from interlingua.store.rows.scored import Scored, joined

WIDTH, TRAIN_VARIANCE = 16, 0.5
COPIED, NUM_TEXTS = ("host", "passage_id", "document_id", "position"), 2
TOPICS = ("farm", "harbour", "school", "market")


def own_text(row: int, sample: int) -> str | None:
    """Words of the row that both samples share, and one that they do not."""
    return f"of {TOPICS[row % 4]} one{row} two{row} three{row} and sample{sample}"


@dataclass(frozen=True, kw_only=True)
class System:
    """What the AV, AR and decoder of one host do together."""

    kept: float = 0.7  # of what varies between activations
    noise: float = 0.15
    text: Callable[[int, int], str | None] = own_text
    reads_vector: bool = True
    reads_text: bool = True
    samples: int = 2


GOOD = System()


def recorded(rows: Scored, likelihood: Likelihood | None = None) -> Recorded:
    """Rows as numbers are made of them."""
    return Recorded(rows=rows, likelihood=likelihood)


def likelihood_of(rows: Scored, *, gain: float = 0.3, seed: int = 1) -> Likelihood:
    """Two texts of every activation, of unlike lengths and unlike difficulty."""
    rng = np.random.default_rng(seed)
    own = rows.where(rows["predictor"] == Predictor.GREEDY)
    columns = {name: np.repeat(own[name], NUM_TEXTS) for name in COPIED}
    tokens_N = rng.integers(3, 40, size=len(own) * NUM_TEXTS)
    hard_N = tokens_N * rng.gamma(9.0, 0.2, size=len(tokens_N))
    return Likelihood(
        {
            **columns,
            "sample": np.tile(np.arange(NUM_TEXTS), len(own)),
            "num_tokens": tokens_N,
            "nll_own": hard_N,
            "nll_shuffled": hard_N + gain * tokens_N + 0.01 * rng.normal(size=len(tokens_N)),
            "nll_zero": hard_N + gain / 2 * tokens_N,
        }
    )


def rows_of(
    systems: Mapping[str, System],
    *,
    roles: Mapping[str, str] | None = None,
    num_passages: int = 60,
    positions: int = 1,
    seed: int = 0,
) -> Scored:
    """The rows of all hosts on the same passages."""
    parts = []
    for number, (host, system) in enumerate(systems.items()):
        role = (roles or {}).get(host, "trained")
        made = _Host(host, role, system, (num_passages, positions), seed + 7 * number)
        parts += [part for predictor in _PREDICTORS for part in made.parts(predictor)]
    return joined(parts)


_PREDICTORS = (
    Predictor.SAMPLED, Predictor.GREEDY, Predictor.TEACHER, Predictor.SHUFFLED_VECTORS,
    Predictor.SHUFFLED_EXPLANATIONS, Predictor.CONSTANT_VECTOR,
)  # fmt: skip


class _Host:
    def __init__(
        self, host: str, role: str, system: System, sizes: tuple[int, int], seed: int
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._host, self._role, self._system = host, role, system
        num_passages, positions = sizes
        num = num_passages * positions
        self._ids = [f"{row // positions:016x}" for row in range(num)]
        self._position_N = np.arange(num) % positions if positions > 1 else np.full(num, -1)
        mean_D = 0.8 * self._rng.normal(size=WIDTH)
        self._target_ND = rescale(mean_D + self._rng.normal(size=(num, WIDTH)))
        self._other_N = derangement(np.array(self._ids), seed=seed)

    def parts(self, predictor: Predictor) -> list[dict[str, Any]]:
        """The rows of a predictor, sample by sample."""
        is_sampled = predictor in (Predictor.SAMPLED, Predictor.SHUFFLED_EXPLANATIONS)
        samples = self._system.samples if is_sampled else 1
        return [self._part(predictor, sample) for sample in range(samples)]

    def _part(self, predictor: Predictor, sample: int) -> dict[str, Any]:
        place_N = np.arange(len(self._ids))
        is_wrong = predictor is Predictor.SHUFFLED_EXPLANATIONS
        if is_wrong or (predictor is Predictor.SHUFFLED_VECTORS and self._system.reads_vector):
            place_N = self._other_N
        texts = self._texts(predictor, sample, place_N)
        predicted_ND = self._predicted(predictor, place_N)
        predicted_ND[[text is None for text in texts]] = 0
        facts = [[f"topic={TOPICS[row % 4]}"] for row in range(len(self._ids))]
        part = {
            **score_rows(predicted_ND, self._target_ND)._asdict(),
            "host": self._host, "role": self._role, "predictor": predictor.value, "split": "test",
            "passage_id": self._ids, "document_id": self._ids,
            "position": self._position_N, "sample": sample,
            "is_failed": [text is None for text in texts],
            "train_variance": TRAIN_VARIANCE, "raw_norm": 1.0,
            "category_variance": category_variance(self._target_ND, np.arange(len(facts)) % 4),
            "rank": retrieval_ranks(predicted_ND, self._target_ND), "num_rivals": len(self._ids),
        }  # fmt: skip
        if predictor in (Predictor.SHUFFLED_EXPLANATIONS, Predictor.CONSTANT_VECTOR):
            return part
        mean_cos_N = unit(predicted_ND) @ unit(self._target_ND).mean(axis=0)
        return part | {
            "text": [text or "cut off" for text in texts],
            "explanation": texts,
            "said": [[f"topic={name}" for name in TOPICS if name in (t or "")] for t in texts],
            "true": facts,
            "num_tokens": np.array([len((text or "").split()) for text in texts]),
            "shuffled_nmse": 2 * (1 - mean_cos_N),
        }

    def _texts(self, predictor: Predictor, sample: int, place_N: np.ndarray) -> list[str | None]:
        say = own_text if predictor is Predictor.TEACHER else self._system.text
        return [say(int(place), sample) for place in place_N]

    def _predicted(self, predictor: Predictor, place_N: np.ndarray) -> np.ndarray:
        mean_D, system = self._target_ND.mean(axis=0), self._system
        if predictor is Predictor.CONSTANT_VECTOR or not system.reads_text:
            return np.tile(mean_D, (len(place_N), 1))
        about_ND = self._target_ND[place_N] - mean_D
        noise_ND = system.noise * self._rng.normal(size=about_ND.shape)
        return np.asarray(mean_D + system.kept * about_ND + noise_ND)
