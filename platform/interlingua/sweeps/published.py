"""The published table of the 16-slot experiment, with a sweep's numbers beside it."""

from math import exp

import numpy as np

from interlingua.core.statistics import Estimate
from interlingua.published.results import (
    SLOTS_AFFINE_NLL,
    SLOTS_CONTROL_NLL,
    SLOTS_FROM_IDENTITY,
    SLOTS_GAIN,
    SLOTS_GAIN_OVER_ROWS,
)
from interlingua.report.tables.grid import Cell, Grid, Row, words_cell
from interlingua.sweeps.analysis import PRIMARY, Analysis

CONTROL, AFFINE = "slots1-none", "slots16-full"


def published_grid(analysis: Analysis) -> Grid | None:
    """Control, 16 slots with maps, and their difference; None where a sweep has not both."""
    means = analysis.means[PRIMARY]
    if CONTROL not in means or AFFINE not in means:
        return None
    maps = [cell.affine for cell in analysis.cells if cell.setting == AFFINE and cell.affine]
    gains = [effect for effect in analysis.effects.get(PRIMARY, ()) if "published" in effect.name]
    rows = [
        _row("1 slot, no maps: NLL, perplexity", _nll(SLOTS_CONTROL_NLL), _of(means[CONTROL])),
        _row("16 slots, a full map each", _nll(SLOTS_AFFINE_NLL), _of(means[AFFINE])),
    ]
    low, high = SLOTS_GAIN_OVER_ROWS
    for gain in gains:
        theirs = f"{SLOTS_GAIN:+.4f}, rows [{low:+.4f}, {high:+.4f}]"
        rows_alone = gain.over_rows
        ours = f"{gain.value:+.4f}, rows [{rows_alone.low:+.4f}, {rows_alone.high:+.4f}]"
        if gain.over_seeds is not None:
            ours += f", seeds [{gain.over_seeds.low:+.4f}, {gain.over_seeds.high:+.4f}]"
        rows.append(_row("gain, nats a token", theirs, ours))
    if maps:
        moved, apart = (
            float(np.mean([np.mean(one[f"affine/{name}"]) for one in maps]))
            for name in ("from_identity", "from_mean")
        )
        rows.append(_row("maps from the identity", SLOTS_FROM_IDENTITY, f"{moved:.1%}"))
        rows.append(_row("maps from their mean", "nearly as far", f"{apart:.1%}"))
    return Grid(
        title="As published, with ours beside it",
        caption="Published: Qwen3-8B, block 24, one seed, 832 rows; an interval over rows alone. "
        f"Here: {analysis.num_rows} rows, {len(analysis.seeds)} seeds. Another model, other texts: "
        "only signs and intervals compare.",
        labels=("",),
        columns=("published", "here"),
        rows=tuple(rows),
    )


def _row(label: str, theirs: str, ours: str) -> Row:
    cells: tuple[Cell, ...] = (words_cell(theirs), words_cell(ours))
    return Row(labels=(label,), cells=cells)


def _nll(value: float) -> str:
    return f"{value:.4f}, {exp(value):.3f}"


def _of(likelihood: Estimate) -> str:
    return _nll(-likelihood.value)
