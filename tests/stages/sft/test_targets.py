"""The vectors that an AR learns to rebuild: their variances are taken once, whoever asks."""

import numpy as np
import pytest

from interlingua.stages.rows import keyed
from interlingua.stages.sft.ar import Targets

KEYS = [(f"{number:016}", -1) for number in range(6)]


class Rows:
    """Vectors of one host, and how often they were read."""

    header = None

    def __init__(self, stretch):
        rng = np.random.default_rng(0)
        self._vectors = stretch * rng.normal(size=(len(KEYS), 4)).astype(np.float32)
        self.num_reads = 0

    def finite_keys(self):
        """All."""
        return KEYS

    def vectors(self, keys):
        """In the order of the keys."""
        self.num_reads += 1
        return self._vectors[[KEYS.index(key) for key in keys]]


class Space:
    """The host's own."""

    def v_of(self, tag, h_ND):
        """As they are."""
        return h_ND


def test_variances_and_weights_read_the_vectors_once(monkeypatch):
    monkeypatch.setattr(keyed, "_check_joinable", lambda *_: None)
    rows = {"a": Rows(1.0), "b": Rows(np.arange(1, 5))}
    targets = Targets(rows, Space(), seed=0)
    weights, variances = targets.weights(), targets.variances
    assert targets.weights() == weights
    assert [host.num_reads for host in rows.values()] == [1, 1]
    assert {tag: 1 / (2 * weight) for tag, weight in weights.items()} == pytest.approx(variances)
