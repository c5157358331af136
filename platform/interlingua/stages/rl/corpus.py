"""The activations that reinforcement learning asks about, by step. Knows no model.

One host a step: every host once a round, in an order of its own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from interlingua.core.metrics import mean_variance
from interlingua.specs.rl import RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rl.job import RlInputs
from interlingua.stages.rl.roles import Asked
from interlingua.stages.rows.keyed import KeyedRows, distinct, keyed_choice, opened_rows
from interlingua.stages.sft.batches import Draws
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess

VARIANCE_ROWS = 2000


class RlCorpus:
    """Rows of split `rl` to learn from, of `dev` to look at, of `fit` for the variance."""

    def __init__(self, spec: RlTraining, inputs: RlInputs[Artifact], access: SplitAccess) -> None:
        self._spec, self._tags = spec.rl, spec.host_tags
        centring = spec.av.injection.centring
        encoders = {tag: host.encoder for tag, host in inputs.hosts.items()}
        self._space = opened_space(encoders, anchor=spec.anchor, centring=centring)
        hosts = inputs.hosts.items()
        self._rows = {tag: opened_rows(host.rows, [Split.RL], access) for tag, host in hosts}
        self._draws = {
            tag: Draws(rows.finite_keys(), seed=spec.rl.seed, name=tag)
            for tag, rows in self._rows.items()
        }
        fit = {tag: opened_rows(host.fit, [Split.FIT], access) for tag, host in hosts}
        self.variances = {tag: self._variance(tag, rows) for tag, rows in fit.items()}
        dev = {tag: opened_rows(host.dev, [Split.DEV], access) for tag, host in hosts}
        self.dev = tuple(self._dev_asked(tag, rows) for tag, rows in dev.items())
        self.truth: Mapping[str, Mapping[str, str]] | None = None
        if inputs.passages is not None:
            path = inputs.passages.path / PASSAGES_NAME
            passages = read_passages(path, {Split.DEV}, access)
            self.truth = {passage.passage_id: passage.facts for passage in passages}

    def asked(self, step: int) -> Asked:
        """The next activations of the host whose turn it is."""
        turn, place = divmod(step, len(self._tags))
        order = np.random.default_rng([self._spec.seed, turn]).permutation(len(self._tags))
        tag, size = self._tags[order[place]], self._spec.activations_per_step
        keys = [key for key, _ in self._draws[tag].draw(turn * size, size)]
        return _named(tag, keys, self._v(tag, self._rows[tag], keys), f"{step}|")

    def _dev_asked(self, tag: str, rows: KeyedRows) -> Asked:
        count, seed = self._spec.watch.dev_rows, self._spec.seed
        keys = keyed_choice(rows.finite_keys(), count, seed=seed)
        return _named(tag, keys, self._v(tag, rows, keys), "dev|")

    def _variance(self, tag: str, rows: KeyedRows) -> float:
        keys = keyed_choice(rows.finite_keys(), VARIANCE_ROWS, seed=self._spec.seed)
        return mean_variance(self._v(tag, rows, keys))

    def _v(self, tag: str, rows: KeyedRows, keys: Sequence[Key]) -> np.ndarray:
        unique, places = distinct(keys)
        return self._space.v_of(tag, rows.vectors(unique))[places]


def _named(tag: str, keys: Sequence[Key], v_BE: np.ndarray, prefix: str) -> Asked:
    # The place, too: a key that comes twice in a step has samples of its own each time.
    names = (f"{prefix}{place}|{tag}|{key[0]}|{key[1]}" for place, key in enumerate(keys))
    return Asked(tag, tuple(keys), tuple(names), v_BE)
