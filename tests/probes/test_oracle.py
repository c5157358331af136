"""The oracle on activations that were built from known facts: its figures are what they must be."""

from collections.abc import Iterable

import numpy as np
import pytest

from interlingua.core import small_mlp
from interlingua.core.keyed import keyed_random
from interlingua.probes.oracle import Oracle
from interlingua.world.facts import SAYABLE
from interlingua.world.truth import WorldTruth

NUM_FIT, NUM_HELD, WIDTH = 1500, 300, 32
KINDS = ("fve_centred", "fve_linear")


@pytest.fixture(autouse=True)
def patience(request, monkeypatch):
    """That of the network itself only where it is what is asked about."""
    if "network" not in request.node.name and "nothing_more" not in request.node.name:
        monkeypatch.setattr(small_mlp, "PATIENCE", 100)


def truth(num_rows: int, key: str) -> list[dict[str, str]]:
    """Facts of rows, drawn independently of each other."""
    rng = keyed_random(key)
    return [{n: rng.choice(values) for n, values in SAYABLE.items()} for _ in range(num_rows)]


FIT, HELD = truth(NUM_FIT, "fit"), truth(NUM_HELD, "held")


class Activations:
    """h = a large mean + the vectors of some facts' values + noise of a given size."""

    def __init__(self, facts: Iterable[str], noise: float) -> None:
        self._facts, self._noise = tuple(facts), noise
        rng = np.random.default_rng(0)
        # Far from the origin, so that normalising to unit length is nearly a linear map.
        self._mean_D = np.full(WIDTH, 20.0)
        self._vectors = {(n, v): rng.normal(size=WIDTH) for n in SAYABLE for v in SAYABLE[n]}

    def signal(self, rows: list[dict[str, str]]) -> np.ndarray:
        told = [sum(self._vectors[n, row[n]] for n in self._facts) for row in rows]
        return np.array(told).reshape(len(rows), -1) * np.ones(WIDTH)

    def of(self, rows: list[dict[str, str]], seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=(len(rows), WIDTH))
        return self._mean_D + self.signal(rows) + self._noise * noise


def metrics_of(activations: Activations) -> dict:
    oracle = Oracle(WorldTruth(), FIT, activations.of(FIT, 1), HELD, activations.of(HELD, 2))
    return oracle.metrics(seed=0)


def share_of(activations: Activations, noise: float) -> float:
    """The share of the variance that is signal."""
    signal = activations.signal(HELD)
    variance = ((signal - signal.mean(0)) ** 2).sum(1).mean()
    return variance / (variance + noise**2 * WIDTH)


@pytest.mark.parametrize("noise", [0.5, 1.5, 3.0])
def test_all_facts_explain_what_is_not_noise(noise) -> None:
    activations = Activations(SAYABLE, noise)
    metrics = metrics_of(activations)
    expected = share_of(activations, noise)
    for kind in KINDS:
        assert metrics[f"all_facts/{kind}"] == pytest.approx(expected, abs=0.04)
    low, high = metrics["all_facts/fve_linear_low"], metrics["all_facts/fve_linear_high"]
    assert low < metrics["all_facts/fve_linear"] < high
    assert metrics["all_facts/fve_linear_n"] == NUM_HELD


def test_some_facts_explain_their_own_part() -> None:
    signals = {name: Activations([name], 0.0).signal(HELD) for name in SAYABLE}
    parts = {name: ((signal - signal.mean(0)) ** 2).sum() for name, signal in signals.items()}
    metrics = metrics_of(Activations(SAYABLE, 0.1))
    general = (parts["language"] + parts["topic"]) / sum(parts.values())
    assert metrics["language_topic/fve_linear"] == pytest.approx(general, abs=0.04)
    assert metrics["mean_triple/fve_linear"] == pytest.approx(3 / 7, abs=0.05)
    assert metrics["language_topic_share/fve_linear"] == pytest.approx(general, abs=0.04)


def test_noise_is_not_explained() -> None:
    metrics = metrics_of(Activations([], 1.0))
    for name in ("all_facts", "language_topic", "best_triple", "random_triple", "mean_triple"):
        assert -0.12 < metrics[f"{name}/fve_linear"] <= 0.01, name


def test_the_best_triple_is_the_one_that_is_there() -> None:
    metrics = metrics_of(Activations(["topic", "mood", "object"], 0.3))
    assert metrics["best_triple_facts"] == "topic+mood+object"
    assert metrics["best_triple/fve_linear"] == pytest.approx(
        metrics["all_facts/fve_linear"], abs=0.02
    )
    assert metrics["best_over_random_triple/fve_linear_low"] > 0.3
    assert metrics["beyond_language_topic/fve_linear_low"] > 0.5


def test_the_best_triple_is_chosen_without_the_held_rows() -> None:
    there, elsewhere = (
        Activations(["topic", "mood", "object"], 0.3),
        Activations(["style", "role", "weather"], 0.3),
    )
    oracle = Oracle(WorldTruth(), FIT, there.of(FIT, 1), HELD, elsewhere.of(HELD, 2))
    metrics = oracle.metrics(seed=0)
    assert metrics["best_triple_facts"] == "topic+mood+object"
    assert metrics["best_triple/fve_linear"] < 0


@pytest.mark.parametrize("facts", [[], ["language"], list(SAYABLE)])
def test_a_constant_explains_nothing(facts) -> None:
    metrics = metrics_of(Activations(facts, 1.0))
    for kind in KINDS:
        assert -0.1 < metrics[f"constant/{kind}"] <= 0


def test_facts_may_have_another_place_in_each_language() -> None:
    """With the language known, a topic's vector may be one in English and another in Ruska."""
    rng = np.random.default_rng(0)
    vectors = {
        (language, topic): rng.normal(size=WIDTH)
        for language in SAYABLE["language"]
        for topic in SAYABLE["topic"]
    }

    def activations(rows):
        return 20.0 + np.array([vectors[row["language"], row["topic"]] for row in rows])

    metrics = Oracle(WorldTruth(), FIT, activations(FIT), HELD, activations(HELD)).metrics(seed=0)
    assert metrics["language_topic/fve_linear"] > 0.97


def test_gaps_are_differences_of_the_figures() -> None:
    metrics = metrics_of(Activations(SAYABLE, 1.0))
    for kind in KINDS:
        value = {name: metrics[f"{name}/{kind}"] for name in ("all_facts", "language_topic")}
        choice = metrics[f"best_triple/{kind}"] - metrics[f"random_triple/{kind}"]
        assert metrics[f"beyond_language_topic/{kind}"] == pytest.approx(
            value["all_facts"] - value["language_topic"]
        )
        assert metrics[f"best_over_random_triple/{kind}"] == pytest.approx(choice)
        assert metrics[f"language_topic_share/{kind}"] == pytest.approx(
            value["language_topic"] / value["all_facts"]
        )


def test_random_triples_explain_about_as_much_as_triples_on_average() -> None:
    metrics = metrics_of(Activations(SAYABLE, 0.5))
    assert metrics["random_triple/fve_linear"] == pytest.approx(
        metrics["mean_triple/fve_linear"], abs=0.06
    )


def test_the_scale_of_a_row_does_not_matter() -> None:
    activations = Activations(SAYABLE, 1.0)
    scale_N1 = np.random.default_rng(3).uniform(0.1, 10, size=(NUM_HELD, 1))
    fit_h, held_h = activations.of(FIT, 1), activations.of(HELD, 2)
    plain = Oracle(WorldTruth(), FIT, fit_h, HELD, held_h).metrics(seed=0)
    scaled = Oracle(WorldTruth(), FIT, fit_h, HELD, held_h * scale_N1).metrics(seed=0)
    assert scaled.pop("best_triple_facts") == plain.pop("best_triple_facts")
    assert scaled == pytest.approx(plain)


def test_the_figures_are_the_same_every_time() -> None:
    activations = Activations(SAYABLE, 1.0)
    assert metrics_of(activations) == metrics_of(activations)


class Together(Activations):
    """What a topic and a mood mean together is no sum of what each means."""

    def signal(self, rows: list[dict[str, str]]) -> np.ndarray:
        rng = np.random.default_rng(7)
        vectors = {
            (t, m): rng.normal(size=WIDTH) for t in SAYABLE["topic"] for m in SAYABLE["mood"]
        }
        return np.array([vectors[row["topic"], row["mood"]] for row in rows])


def test_what_facts_mean_together_takes_pairs_or_a_network() -> None:
    metrics = metrics_of(Together((), noise=0.3))
    for kind in KINDS:
        assert metrics[f"all_facts/{kind}"] < 0.5
        assert metrics[f"fact_pairs/{kind}"] > 0.8
        assert metrics[f"network/{kind}"] > 0.7


def test_where_facts_only_add_up_nothing_more_is_found_in_pairs() -> None:
    metrics = metrics_of(Activations(SAYABLE, noise=1.5))
    for kind in KINDS:
        assert metrics[f"fact_pairs/{kind}"] <= metrics[f"all_facts/{kind}"] + 0.01
        assert metrics[f"network/{kind}"] == pytest.approx(metrics[f"all_facts/{kind}"], abs=0.03)
