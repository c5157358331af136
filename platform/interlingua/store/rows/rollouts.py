"""The samples of every evaluation on `dev` in a run of reinforcement learning, by step.

One file a step; a row is a sample, of the same activations at every step. Knows no model.
"""

from pathlib import Path
from typing import Any

from interlingua.store.reading import read_parquet

ROLLOUTS_FOLDER = "rollouts"


def rollouts_name(step: int) -> str:
    """The path of the samples of one step, in the folder of the run."""
    return f"{ROLLOUTS_FOLDER}/{step}.parquet"


def read_rollouts(out: Path) -> dict[int, list[dict[str, Any]]]:
    """The samples by step, in the order of the steps."""
    paths = {int(path.stem): path for path in (out / ROLLOUTS_FOLDER).glob("*.parquet")}
    return {step: read_parquet(paths[step]).to_pylist() for step in sorted(paths)}
