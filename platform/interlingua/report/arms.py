"""Runs of reinforcement learning side by side: arms by name, seeds as units. Knows records only.

A run is called `<arm>-<seed>`; claims about training are of seeds, not of passages.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from interlingua.core.statistics import mean_of_units
from interlingua.report.numbers import ALL, LESS, START, Numbers
from interlingua.specs.evaluation import Arm
from interlingua.store.record import Record

OWN = "fve_centred_own"
GAIN = Arm.SAMPLED + LESS + START


def arms_table(
    evaluated: Mapping[str, tuple[Record, Numbers]], runs: Mapping[str, Record]
) -> Table:
    """Every arm's runs, and the mean gain with the seed as the unit; both by the run's tag."""
    some = next(iter(evaluated.values()))[1][ALL, GAIN, OWN]
    table = Table(
        title="Arms of reinforcement learning: gain over the supervised pair, T=1, mean of hosts",
        caption=(
            f"{OWN} on {some.num_units} passages. In brackets behind a mean: 95%, over seeds "
            "(Student); every run's own gain stands beside it. KL: nats a token at the best look. "
            "Gates: those of the evaluation that failed; stopped: what ended the run before its end"
        ),
    )
    for name in ("arm", "mean gain", "gains", "FVE", "KL", "distinct", "failed gates", "stopped"):
        table.add_column(name)
    for arm, tags in _by_arm(list(evaluated)).items():
        numbers = [evaluated[tag][1] for tag in tags]
        gains = np.array([one[ALL, GAIN, OWN].value for one in numbers])
        failed = {name for tag in tags for name in _failed(evaluated[tag][0])}
        stopped = [str(runs[tag].metrics["stopped_by"]).split(",")[0] or "-" for tag in tags]
        table.add_row(
            arm,
            _mean(gains),
            _each(gains, "+.3f"),
            _each([one[ALL, Arm.SAMPLED, OWN].value for one in numbers]),
            _each([runs[tag].metrics["dev/kl_per_token"] for tag in tags]),
            _each([one[ALL, Arm.SAMPLED, "unique_share"].value for one in numbers]),
            ", ".join(sorted(failed)) or "none",
            "; ".join(stopped),
        )
    return table


def _by_arm(tags: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag in tags:
        arm, _, seed = tag.rpartition("-")
        found.setdefault(arm if seed.isdigit() else tag, []).append(tag)
    return found


def _failed(record: Record) -> list[str]:
    return [gate["name"] for gate in record.metrics["gates"] if not gate["is_passed"]]


def _mean(gains: np.ndarray) -> str:
    if len(gains) < 2:
        return f"{gains[0]:+.3f} (one seed)"
    mean = mean_of_units(gains)
    return f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]"


def _each(values: Sequence[float] | np.ndarray, form: str = ".3f") -> str:
    return " ".join(format(value, form) for value in values)
