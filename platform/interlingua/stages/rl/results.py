"""The metrics of a finished run of reinforcement learning. Opens no model."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from interlingua.core.statistics import clustered_ratio_of_sums
from interlingua.specs.placement import Single, ThreeGroups
from interlingua.specs.rl import RlSpec
from interlingua.stages.rl.loop import PHASES, START_ROWS_NAME
from interlingua.stages.sft.best_weights import ROWS_NAME, best_dev_eval
from interlingua.store.progress import numbers_of, read_dev_evals, read_metrics


def seconds(out: Path) -> dict[str, float]:
    """The mean seconds of a step, by phase."""
    steps = read_metrics(out)
    names = [f"seconds_{phase}" for phase in (*PHASES, "wait", "step")]
    return {name: float(np.mean([step[name] for step in steps])) for name in names}


def role_rows(place: Single | ThreeGroups) -> list[dict[str, str]]:
    """A row for each role with its workers and device, for people."""
    if isinstance(place, Single):
        where = {"workers": "the stage's own process", "device": place.device, "each": "-"}
        return [{"role": role, **where} for role in ("av", "av_init", "ar")]
    return [
        {
            "role": role,
            "workers": f"{one.workers.count}, in a placement group of their own",
            "device": one.device,
            "each": f"{one.workers.cpus:g} CPUs, {one.workers.gpus:g} GPUs",
        }
        for role, one in place.roles().items()
    ]


def log_ratios(out: Path) -> dict[str, float]:
    """The mean log ratio over the steps, and the largest 99th percentile, which the gate bounds."""
    steps = [step for step in read_metrics(out) if "log_ratio_p99" in step]
    if not steps:  # the AV stays as it is
        return {}
    return {
        "log_ratio_mean": float(np.mean([step["log_ratio_mean"] for step in steps])),
        "log_ratio_p99_max": float(np.max([step["log_ratio_p99"] for step in steps])),
    }


def gains(spec: RlSpec, out: Path) -> dict[str, float]:
    """The evaluations of start and best, and the share of the variance gained in between.

    The best was chosen on these rows, so that its gain here is biased upwards.
    """
    dev_evals = read_dev_evals(out)
    best = best_dev_eval(dev_evals)
    before, after = (
        pq.read_table(out / name, columns=["nmse", "own_variance", "passage_id"])
        for name in (START_ROWS_NAME, ROWS_NAME)
    )
    # Row by row: every evaluation has as many samples of the same rows, in one order.
    gained_N = before["nmse"].to_numpy() - after["nmse"].to_numpy()
    gain = clustered_ratio_of_sums(
        gained_N,
        after["own_variance"].to_numpy(),
        np.array(after["passage_id"].to_pylist()),
        seed=spec.seed,
    )
    return {
        "best_step": best["step"],
        **{f"start/{name}": value for name, value in numbers_of(dev_evals[0]).items()},
        **{f"dev/{name}": value for name, value in numbers_of(best).items()},
        **gain.as_metrics("dev/fve_centred_own_gain"),
    }
