"""RL runs side by side: ablations by name, seeds as units. Knows records only.

A run is called `<ablation>-<seed>`; claims about training are of seeds, not of passages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from interlingua.core.statistics import mean_of_units
from interlingua.report.numbers import (
    ALL,
    LESS,
    NUMBERS_NAME,
    START,
    Number,
    Numbers,
    read_numbers,
)
from interlingua.report.tables.columns import OWN
from interlingua.report.tables.grid import (
    BETWEEN,
    NOTHING,
    Cell,
    Grid,
    Row,
    number_cell,
    value_cell,
    words_cell,
)
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.record import Record

SEEDS = "seeds"
COLUMNS = {
    "gain": (Predictor.SAMPLED + LESS + START, OWN),
    "sampled (T=1)": (Predictor.SAMPLED, OWN),
    "distinct texts": (Predictor.SAMPLED, "unique_share"),
    "distinct words": (Predictor.SAMPLED, "distinct_word_share"),
    "in known wordings": (Predictor.SAMPLED, "worded_share"),
    "precision": (Predictor.SAMPLED, "precision/all"),
}
KL = "dev/kl_per_token"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RlRun:
    """A run of reinforcement learning, with the evaluation of the pair that came out of it."""

    run: Record
    evaluation: Record
    numbers: Numbers

    @property
    def ablation(self) -> str:
        """The run's name without its seed."""
        ablation, _, seed = self.run.label.rpartition("-")
        return ablation if seed.isdigit() else self.run.label

    @property
    def whole(self) -> str:
        """Host or group that its numbers are of: the mean of all hosts, or the only one."""
        return ALL if self.numbers.get(ALL, Predictor.SAMPLED, OWN) else self.numbers.all[0].host


def read_rl_run(evaluation: Artifact, upstream: Sequence[Artifact]) -> RlRun:
    """The run that an evaluation is of, which must be among what it came from."""
    [run] = [artifact.record for artifact in upstream if artifact.record.kind == "rl"]
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    return RlRun(run=run, evaluation=evaluation.record, numbers=numbers)


def rl_runs_grid(runs: Sequence[RlRun]) -> Grid:
    """Every run on the same rows, and the mean of every ablation with the seed as the unit."""
    rows: list[Row] = []
    for ablation in dict.fromkeys(run.ablation for run in runs):
        own = [run for run in runs if run.ablation == ablation]
        rows.extend(
            Row(labels=(run.run.label,), cells=_cells(run), starts_section=run is own[0])
            for run in own
        )
        # One seed gives no interval over seeds, and so no mean of the ablation.
        if len(own) > 1:
            means = tuple(_means(ablation, own))
            rows.append(Row(labels=(f"mean of {ablation}",), cells=means, is_mean=True))
    num_passages = runs[0].numbers[runs[0].whole, Predictor.SAMPLED, OWN].num_units
    return Grid(
        title="RL runs, each against the supervised pair on the same rows",
        caption=f"{OWN}, sampled (T=1), {runs[0].whole}, {num_passages} passages. 95% intervals: "
        "of a run over passages, of an ablation over seeds (Student). KL: nats/token from the "
        "supervised AV, on dev, at the best weights. Gates: those that its evaluation failed.",
        labels=("run",),
        columns=(*COLUMNS, "KL", "gates", "ended by"),
        rows=tuple(rows),
    )


def _cells(run: RlRun) -> tuple[Cell, ...]:
    kl = run.run.metrics[KL]
    failed = [gate["name"] for gate in run.evaluation.metrics["gates"] if not gate["is_passed"]]
    return (
        *(_named(run, run.numbers.get(run.whole, *column)) for column in COLUMNS.values()),
        value_cell(BETWEEN.join((run.run.label, "rl", KL, "record")), kl, text=f"{kl:.2f}"),
        words_cell(", ".join(failed) or "passed"),
        words_cell(str(run.run.metrics["stopped_by"]).split(",")[0] or "its last step"),
    )


def _means(ablation: str, runs: Sequence[RlRun]) -> Iterator[Cell]:
    for column in COLUMNS.values():
        found = [run.numbers.get(run.whole, *column) for run in runs]
        values = np.array([number.value if number else nan for number in found])
        yield _mean_cell(ablation, column[0], column[1], values)
    kl = np.array([run.run.metrics[KL] for run in runs])
    yield _mean_cell(ablation, "rl", KL, kl)
    yield from (words_cell(""), words_cell(""))


def _mean_cell(ablation: str, of: str, metric: str, values: np.ndarray) -> Cell:
    # A mean over fewer seeds than the ablation has would stand beside full ones unmarked.
    if not np.isfinite(values).all():
        return NOTHING
    mean = mean_of_units(values)
    number = Number(
        host=ablation,
        predictor=of,
        metric=metric,
        value=mean.value,
        low=mean.low,
        high=mean.high,
        num_units=mean.num_units,
        covers=SEEDS,
    )
    return number_cell(number, digits=3)


def _named(run: RlRun, number: Number | None) -> Cell:
    """The cell under the run's own name: `mean all` of one run is not that of another."""
    if number is None:
        return NOTHING
    return number_cell(replace(number, host=run.run.label), digits=3)
