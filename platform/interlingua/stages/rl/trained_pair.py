"""Both models of a run as one Checkpointed: a checkpoint holds them together, and the counts.

Saved apart, one model could be a step ahead of the other after a crash. Knows neither a reward nor
where the roles are.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from torch import Tensor

from interlingua.stages.rl.roles import Roles
from interlingua.store.atomic import write_atomically

STATE_NAME = "state.json"
AV_FOLDER, AR_FOLDER = "av", "ar"


class TrainedPair:
    """The AV and the AR, to `RunCheckpoints` (stages/sft/checkpoints.py) one Checkpointed."""

    def __init__(self, roles: Roles) -> None:
        self._av, self._ar = roles.av, roles.ar
        self.counts: Counter[str] = Counter()

    @property
    def rank(self) -> int:
        """The rank in the AV, whose ranks run the loop."""
        return self._av.rank

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks of the AV, in order."""
        return self._av.gathered(value)

    def trained_weights(self) -> dict[str, Tensor]:
        """The trained weights of both by name, in fp32 on the CPU."""
        # The names cannot meet: each model's begin with its own prefix (`nla/pair.py`).
        return {**self._av.weights(), **self._ar.weights()}

    def save(self, folder: Path) -> None:
        """Both models with their optimizers, and what was counted up to here."""
        for part in (folder / AV_FOLDER, folder / AR_FOLDER):
            part.mkdir(exist_ok=True)  # not its parent: who lost the lock has none
        self._av.save(folder / AV_FOLDER)
        self._ar.save(folder / AR_FOLDER)
        if self.rank == 0:
            with write_atomically(folder / STATE_NAME) as file:
                file.write(json.dumps({"counts": self.counts}).encode())

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self._av.load(folder / AV_FOLDER)
        self._ar.load(folder / AR_FOLDER)
        state = json.loads((folder / STATE_NAME).read_bytes())
        # Rank 0's, which wrote them: gates and errors that depend on counts come in all ranks.
        self.counts = Counter(self.gathered(state["counts"])[0])
