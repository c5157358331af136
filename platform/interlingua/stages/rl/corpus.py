"""The activations that reinforcement learning asks about, by step. Knows no model.

One host a step: every host once a round, in an order that is drawn for the round.
"""

from collections.abc import Sequence

import numpy as np

from interlingua.core.metrics import mean_variance
from interlingua.sources.source import truth_of
from interlingua.specs.rl import RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rl.job import RlInputs
from interlingua.stages.rl.roles import Asked, KnownFacts
from interlingua.stages.rows.keyed import KeyedRows, distinct, keyed_choice, opened_rows
from interlingua.stages.sft.batches import Draws
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import SPAN, Key
from interlingua.store.rows.splits import SplitAccess

VARIANCE_ROWS = 2000


class RlKeys:
    """The keys of all that a run reads: rows are opened, and no vector is read."""

    def __init__(self, spec: RlTraining, inputs: RlInputs[Artifact], access: SplitAccess) -> None:
        self._spec, self._tags = spec.rl, spec.host_tags
        hosts = [(tag, inputs.hosts[tag]) for tag in spec.host_tags]
        self.rows = {tag: opened_rows(host.rows, [Split.RL], access) for tag, host in hosts}
        self._draws = {
            tag: Draws(rows.finite_keys(), seed=spec.rl.seed, name=tag)
            for tag, rows in self.rows.items()
        }
        self.fit = {tag: opened_rows(host.fit, [Split.FIT], access) for tag, host in hosts}
        self.dev = {tag: opened_rows(host.dev, [Split.DEV], access) for tag, host in hosts}
        self.known = self._known(inputs.passages, access)

    def asked(self, step: int) -> tuple[str, list[Key]]:
        """The host of a step, and the keys that it is asked about."""
        turn, place = divmod(step, len(self._tags))
        # Keyed by the round: a resumed run, and every rank, finds the same order.
        order = np.random.default_rng([self._spec.seed, turn]).permutation(len(self._tags))
        # Draws count a host's own turns, so that no key is skipped while others have theirs.
        tag, size = self._tags[order[place]], self._spec.activations_per_step
        return tag, [key for key, _ in self._draws[tag].draw(turn * size, size)]

    def of_fit(self, tag: str) -> list[Key]:
        """The keys of `fit` over which a host's variance is taken."""
        return keyed_choice(self.fit[tag].finite_keys(), VARIANCE_ROWS, seed=self._spec.seed)

    def of_dev(self, tag: str) -> list[Key]:
        """The keys of `dev` on which the run is evaluated."""
        watch = self._spec.watch
        return keyed_choice(self.dev[tag].finite_keys(), watch.dev_rows, seed=watch.seed)

    def _known(self, passages: Artifact | None, access: SplitAccess) -> KnownFacts | None:
        """The facts of the rows of `dev`, where a corpus knows them; passages are consumed."""
        if passages is None or (truth := truth_of(passages)) is None:
            return None
        found = read_passages(passages.path / PASSAGES_NAME, {Split.DEV}, access)
        by_id = {passage.passage_id: passage for passage in found}
        facts = {
            key: truth.of_row(by_id[key[0]], key[1], is_span=rows.header.read_mode == SPAN)
            for tag, rows in self.dev.items()
            for key in self.of_dev(tag)
        }
        return KnownFacts(truth, facts)

    def consume(self, num_steps: int) -> None:
        """Note as consumed all that a run of `num_steps` steps reads."""
        for tag in self._tags:
            self.fit[tag].consume(self.of_fit(tag))
            self.dev[tag].consume(self.of_dev(tag))
        # Asked again, not recorded: what the ranks read is a function of the step's number.
        for step in range(num_steps):
            tag, keys = self.asked(step)
            self.rows[tag].consume(keys)


class RlCorpus:
    """Rows of split `rl` to learn from, of `dev` to evaluate on, of `fit` for the variance."""

    def __init__(self, spec: RlTraining, inputs: RlInputs[Artifact], access: SplitAccess) -> None:
        self._keys = keys = RlKeys(spec, inputs, access)
        encoders = {tag: host.encoder for tag, host in inputs.hosts.items()}
        centring = spec.av.injection.centring
        self._space = opened_space(encoders, anchor=spec.anchor, centring=centring)
        # Of `fit`, once for the run: a host's rewards have the same scale at every step.
        self.variances = {
            tag: mean_variance(self._v(tag, rows, keys.of_fit(tag)))
            for tag, rows in keys.fit.items()
        }
        self.dev = tuple(
            self._asked(tag, rows, keys.of_dev(tag), "dev|") for tag, rows in keys.dev.items()
        )
        self.known = keys.known

    def asked(self, step: int) -> Asked:
        """The activations of a step; their names are keyed by the step, and so are the draws."""
        tag, keys = self._keys.asked(step)
        return self._asked(tag, self._keys.rows[tag], keys, f"{step}|")

    def _asked(self, tag: str, rows: KeyedRows, keys: Sequence[Key], prefix: str) -> Asked:
        # The place, too: a key that comes twice in a step has samples of its own each time.
        names = (f"{prefix}{place}|{tag}|{key[0]}|{key[1]}" for place, key in enumerate(keys))
        return Asked(tag, tuple(keys), tuple(names), self._v(tag, rows, keys))

    def _v(self, tag: str, rows: KeyedRows, keys: Sequence[Key]) -> np.ndarray:
        unique, places = distinct(keys)
        return self._space.v_of(tag, rows.vectors(unique))[places]
