"""Runs of reinforcement learning as they were recorded: the curve, the phases, the roles.

And what it changed in what the AV says, from numbers. Knows no page.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.table import Table

from interlingua.core.truth import ALL_KINDS
from interlingua.report.measures import SAID
from interlingua.report.numbers import LESS, START, Number
from interlingua.report.tables.grid import BETWEEN, Cell, Grid, Row, value_cell, words_cell
from interlingua.report.tables.material import Material
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.progress import read_metrics
from interlingua.store.record import Record

BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 20
WORTH_SAYING = 0.05  # of a share


def reinforced_table(artifacts: Sequence[Artifact]) -> Table:
    """Reward of every run, its distance from the start, and the curve of its reward."""
    table = Table(
        title="Reinforcement learning: the reward of samples of dev, and how far the AV went",
        caption="reward: minus the squared error by the host's variance, -1 is about the mean "
        "vector; curve: of the steps' own samples, from the first step to the last, least to most; "
        "KL from the start at the weights that were kept; seconds: a step, the mean",
    )
    names = ("run", "steps", "kept", "reward", "curve", "KL a token", "a text", "failed", "seconds")
    for name in (*names, "ended by"):
        table.add_column(name)
    for artifact in artifacts:
        record = artifact.record.metrics
        table.add_row(
            artifact.record.label,
            str(record["num_steps"]),
            str(record["best_step"]),
            f"{record['start/reward']:.2f} -> {record['dev/reward']:.2f}",
            curve([step["reward"] for step in read_metrics(artifact.path)]),
            f"{record['dev/kl_per_token']:.2f}",
            f"{record['dev/kl_per_text']:.1f}",
            f"{record['num_failed'] / max(1, record['num_samples']):.1%}",
            f"{record['seconds_step']:.2f}",
            record["stopped_by"] or "its last step",
        )
    return table


def curve(values: Sequence[float]) -> str:
    """A line of bars, each the mean of as many values as the others."""
    parts = np.array_split(np.asarray(values, dtype=float), min(CURVE_WIDTH, len(values)))
    means = np.array([part.mean() for part in parts])
    spread = float(np.ptp(means))
    shares = (means - means.min()) / spread if spread else np.zeros(len(means))
    return "".join(BARS[round(share * (len(BARS) - 1))] for share in shares)


PHASES = {
    "sample": "the AV draws its samples",
    "judge": "the AR rebuilds, AV_init rates",
    "wait": "of that, waiting for roles",
    "learn_av": "the AV learns",
    "learn_ar": "the AR learns",
    "step": "the whole step",
}


def reinforcing_grids(artifacts: Sequence[Artifact]) -> Iterator[Grid]:
    """Seconds of every phase of a step, and the placement of the roles."""
    runs = [a.record for a in artifacts if a.record.kind == "rl"]
    if not runs:
        return
    yield Grid(
        title="A step of reinforcement learning",
        caption="Seconds, the mean of all steps.",
        labels=("phase",),
        columns=tuple(record.label for record in runs),
        rows=tuple(
            Row(
                labels=(words,),
                cells=tuple(_phase_cell(record, f"seconds_{phase}") for record in runs),
            )
            for phase, words in PHASES.items()
        ),
    )
    yield Grid(
        title="RL placement",
        caption="Placement does not affect results.",
        labels=("run", "role"),
        columns=("workers", "each", "device"),
        rows=tuple(
            Row(
                labels=(record.label, role["role"]),
                cells=tuple(words_cell(role[name]) for name in ("workers", "each", "device")),
            )
            for record in runs
            for role in record.metrics["roles"]
        ),
    )


def _phase_cell(record: Record, name: str) -> Cell:
    seconds = record.metrics[name]
    place = BETWEEN.join((record.label, "rl", name, "record"))
    return value_cell(place, seconds, text=f"{seconds:.2f}")


def learned(material: Material) -> Iterator[tuple[str, ...]]:
    """Changes by RL: the facts that are named more or less often, and those named more truly."""
    names = [n.metric for n in material.numbers.all if n.metric.startswith(f"{SAID}/")]
    kinds = [name.removeprefix(f"{SAID}/") for name in dict.fromkeys(names)]
    moved: dict[tuple[str, int], list[str]] = {}
    for kind in kinds:
        for measure in (SAID, "precision"):
            predictor = f"{Predictor.SAMPLED}{LESS}{START}"
            change = material.numbers.get(material.whole, predictor, f"{measure}/{kind}")
            if change is not None and kind != ALL_KINDS and abs(change.value) >= WORTH_SAYING:
                moved.setdefault((measure, sign_of(change)), []).append(kind)
    if not moved:
        return
    more, less = (", ".join(moved.get((SAID, sign), ["nothing"])) for sign in (1, -1))
    if more == less:
        words = "It names the same facts as often as before."
    else:
        words = f"It learned which facts to name: more often {more}; less often {less}."
    read = moved.get(("precision", 1), [])
    blurred = moved.get(("precision", -1), [])
    if read:
        words += f" It also reads better: what it says of {', '.join(read)} is truer than before."
    else:
        words += (
            " It did not learn to read more of them: what it says of any kind is no truer than "
            "before."
        )
    if blurred:
        words += (
            f" What it says of {', '.join(blurred)} is less true than before: such words may carry "
            "something else than they mean."
        )
    yield (words,)


def sign_of(number: Number) -> int:
    """1 or -1 where the whole interval is on that side of 0."""
    return int(number.low > 0) - int(number.high < 0)
