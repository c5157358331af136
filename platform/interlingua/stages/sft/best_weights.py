"""The best weights of a training and their rows of `dev`, in a folder named after their step.

Whether an evaluation is the best so far is decided once and written into its line, so that it holds
after a resume.

A run resumes from its last checkpoint and forgets the evaluations behind it; the best one before it
must then still be here, and weights never without the rows that belong to them.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load, save
from torch import Tensor

from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.progress import read_dev_evals
from interlingua.store.reading import naming, read_parquet

BEST = "best"
WEIGHTS_NAME, ROWS_NAME = "weights.safetensors", "dev_rows.parquet"
AV_PREFIX, AR_PREFIX = "verbalizer.", "reconstructor."


def is_better(score: float, dev_evals: Sequence[Mapping[str, float]], *, min_delta: float) -> bool:
    """True where a score is below that of the best evaluation so far by more than the margin."""
    return all(
        score < dev_eval["score"] - min_delta for dev_eval in dev_evals if dev_eval["is_best"]
    )


def best_dev_eval(dev_evals: Sequence[dict[str, float]]) -> dict[str, float]:
    """The evaluation whose weights are stored: the last that was the best so far."""
    # By the flag, not by the least score: within `min_delta` a lower score is not better.
    return next(dev_eval for dev_eval in reversed(dev_evals) if dev_eval["is_best"])


def best_of(out: Path) -> tuple[dict[str, Tensor], dict[str, np.ndarray], dict[str, float]]:
    """The best weights of a finished run, their `dev` rows by column, and their evaluation."""
    dev_eval = best_dev_eval(read_dev_evals(out))
    folder = best_folder(out, int(dev_eval["step"]))
    with naming(folder / WEIGHTS_NAME):
        weights = load((folder / WEIGHTS_NAME).read_bytes())
    table = read_parquet(folder / ROWS_NAME)
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return weights, columns, dev_eval


def store_best(out: Path) -> None:
    """Copy the best weights of a finished run and their rows to where its artifact has them."""
    best = best_folder(out, int(best_dev_eval(read_dev_evals(out))["step"]))
    for name in (WEIGHTS_NAME, ROWS_NAME):
        shutil.copyfile(best / name, out / name)


def best_folder(out: Path, step: int) -> Path:
    """The folder with the weights and rows of the evaluation at this step."""
    return out / BEST / str(step)


def keep_best(out: Path, step: int, weights: Mapping[str, Tensor], rows: pa.Table) -> None:
    """Store both, whole or not at all, in place of what an earlier attempt left of the step."""
    target = best_folder(out, step)
    partial = target.with_name(f"{step}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in (out / BEST, partial):  # not their parents: who lost the lock has none
        folder.mkdir(exist_ok=True)
    with write_atomically(partial / WEIGHTS_NAME) as file:
        file.write(save(dict(weights)))
    with write_atomically(partial / ROWS_NAME) as file:
        pq.write_table(rows, file)
    # A rename needs an empty place; a crash here leaves an evaluation that is made again.
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def forget_best(out: Path, but: Iterable[int]) -> None:
    """Remove the weights and rows of all steps but these."""
    kept = {best_folder(out, step) for step in but}
    for path in (out / BEST).iterdir():
        if path not in kept:
            shutil.rmtree(path)


def weights_of(artifact: Artifact, prefix: str) -> dict[str, Tensor]:
    """The trained weights of a model by its own names, without the prefix."""
    path = artifact.path / WEIGHTS_NAME
    with naming(path):
        weights = load(path.read_bytes())
    # After reinforcement learning both models lie in one file, told apart by the prefix.
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
