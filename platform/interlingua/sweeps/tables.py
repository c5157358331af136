"""The tables of a sweep: on a terminal, on its page, and as files. Made from an Analysis alone."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.cell_scores import SCORES
from interlingua.core.contrasts import Effect
from interlingua.core.statistics import Estimate
from interlingua.report.numbers import Number
from interlingua.report.tables.grid import (
    NOTHING,
    Cell,
    Grid,
    Row,
    number_cell,
    value_cell,
    words_cell,
)
from interlingua.store.atomic import write_atomically
from interlingua.sweeps.analysis import PRIMARY, Analysis, CellResult

CELLS_NAME, EFFECTS_NAME = "cells.csv", "effects.csv"
MEASURES = ("nll", "fve", "retrieval_top1", "nll_shuffled_less_real", "unparsable")
DIGITS = 4
SIGNIFICANT = 0.05


def effects_grid(analysis: Analysis, score: str = PRIMARY) -> Grid:
    """Every contrast of one score, with both doubts beside each other."""
    rows = [
        Row(
            labels=(effect.name,),
            cells=(
                _estimate_cell(effect.name, f"{score}/over_seeds", effect.over_seeds),
                _estimate_cell(effect.name, f"{score}/over_rows", effect.over_rows),
                _estimate_cell(effect.name, f"{score}/over_both", effect.over_both),
                _p_cell(effect.name, score, effect.adjusted_p),
                _value_cell(effect.name, f"{score}/detectable", effect.detectable),
                words_cell(verdict(effect)),
            ),
        )
        for effect in analysis.effects.get(score, ())
    ]
    return Grid(
        title=f"Effects on the {SCORES[score].title}",
        caption=f"Positive is better; the dumbest system: {SCORES[score].trivial}. "
        f"{len(analysis.seeds)} seeds; {analysis.num_rows} rows of "
        f"{analysis.num_passages} passages, the same in every cell. Over seeds: Student's 95% "
        "interval of the paired differences, what another training would give. Over rows: passages "
        "resampled, these trainings alone. Over both: seeds and passages resampled; of few seeds "
        "too narrow. p: over seeds, adjusted by Holm for all contrasts. Detectable: the least "
        "effect that so many seeds of such a spread find 4 times out of 5.",
        labels=("contrast",),
        columns=("over seeds", "over rows", "over both", "p", "detectable", "verdict"),
        rows=tuple(rows),
    )


def settings_grid(analysis: Analysis) -> Grid:
    """Every setting: means over its seeds, with Student's intervals."""
    by_setting: dict[str, list[CellResult]] = {}
    for cell in analysis.cells:
        by_setting.setdefault(cell.setting, []).append(cell)
    rows = []
    for setting, cells in by_setting.items():
        means = {name: of_score[setting] for name, of_score in analysis.means.items()}
        nll = negated(means[PRIMARY])
        seconds = float(np.mean([cell.seconds for cell in cells]))
        rows.append(
            Row(
                labels=(setting,),
                cells=(
                    value_cell(f"{setting}||seeds|count", len(cells), text=str(len(cells))),
                    _estimate_cell(setting, "nll", nll),
                    _value_cell(setting, "perplexity", exp(nll.value), digits=3),
                    _estimate_cell(setting, "fve", means["fve"], digits=3),
                    _estimate_cell(setting, "retrieval_top1", means["retrieval_top1"], digits=3),
                    _value_cell(setting, "seconds", seconds, digits=0),
                ),
            )
        )
    shuffled = np.mean([cell.metrics["nll_shuffled_less_real"] for cell in analysis.cells])
    return Grid(
        title="Settings",
        caption="Means over seeds, 95% intervals by Student; one seed has none. NLL: nats a token "
        "of the teacher's explanation; with another passage's vector it is "
        f"{shuffled:.2f} higher. FVE of the mean vector: 0. Top-1 of a constant: "
        f"{1 / max(1, analysis.num_rows):.4f}. Seconds: of a cell's own stages.",
        labels=("setting",),
        columns=("seeds", "NLL", "perplexity", "FVE", "retrieval top-1", "seconds"),
        rows=tuple(rows),
    )


def negated(estimate: Estimate) -> Estimate:
    """Minus the number, with its interval turned round."""
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def affine_grid(analysis: Analysis) -> Grid | None:
    """How far the maps of the slots went: from the identity, and from each other."""
    rows = []
    for setting in dict.fromkeys(cell.setting for cell in analysis.cells):
        found = [c.affine for c in analysis.cells if c.setting == setting and c.affine]
        if not found:
            continue
        means = {
            name: float(np.mean([np.mean(one[f"affine/{name}"]) for one in found]))
            for name in ("from_identity", "from_mean", "bias_norm")
        }
        rows.append(
            Row(
                labels=(setting,),
                cells=tuple(_value_cell(setting, n, value, digits=3) for n, value in means.items()),
            )
        )
    if not rows:
        return None
    return Grid(
        title="How far the maps went",
        caption="Frobenius norms in units of that of the identity, means over slots and seeds: "
        "A - I, A - the mean of the slots' A, and the norm of the bias.",
        labels=("setting",),
        columns=("from identity", "from the mean slot", "bias"),
        rows=tuple(rows),
    )


def verdict(effect: Effect) -> str:
    """What the interval over seeds says, in words."""
    if effect.over_seeds is None or effect.adjusted_p is None:
        return "one seed: no verdict"
    if effect.adjusted_p < SIGNIFICANT:
        return "better" if effect.value > 0 else "worse"
    return "not told apart from seed noise"


def summary(analysis: Analysis) -> str:
    """How many effects there are, and how many rows alone would have claimed."""
    found = [effect for effect in analysis.effects.get(PRIMARY, ()) if effect.over_seeds]
    if not found:
        return f"{len(analysis.cells)} cells; no contrast was asked for."
    told = [effect for effect in found if verdict(effect) in ("better", "worse")]
    named = "; ".join(f"{one.name} {verdict(one)} by {abs(one.value):.4f}" for one in told)
    others = [effect for effect in found if effect not in told and _excludes_zero(effect)]
    text = (
        f"Of {len(found)} contrasts {len(told)} {'is' if len(told) == 1 else 'are'} told apart "
        f"from seed noise{': ' + named if named else ''}."
    )
    if others:
        text += f" Rows alone would have called {len(others)} more an effect."
    return text


def _excludes_zero(effect: Effect) -> bool:
    return effect.over_rows.low > 0 or effect.over_rows.high < 0


def sentences(analysis: Analysis) -> Iterator[str]:
    """The verdict on every contrast in plain words, made from the numbers."""
    for effect in analysis.effects.get(PRIMARY, ()):
        interval = effect.over_seeds
        if interval is None:
            continue
        size = f"{effect.value:+.4f} nats a token [{interval.low:+.4f}, {interval.high:+.4f}]"
        said = verdict(effect)
        alone = effect.over_rows
        if said in ("better", "worse"):
            yield f"{effect.name}: {said}, {size} over {len(effect.by_seed)} seeds."
            continue
        text = (
            f"{effect.name}: {said}, {size}; an effect of {effect.detectable:.4f} would have been "
            "found 4 times out of 5."
        )
        if _excludes_zero(effect):
            text += (
                f" Rows alone [{alone.low:+.4f}, {alone.high:+.4f}] would have called it an effect."
            )
        yield text


def write_tables(folder: Path, analysis: Analysis) -> None:
    """Write every cell and every effect as tidy tables."""
    cells = [
        {
            "setting": cell.setting,
            "seed": cell.seed,
            **{name: cell.metrics[name] for name in _with_intervals(MEASURES)},
            "seconds": cell.seconds,
            "peak_bytes": cell.peak_bytes,
            "trial_id": cell.trial_id,
        }
        for cell in analysis.cells
    ]
    rows = [
        {
            "score": score,
            "contrast": effect.name,
            "mean": effect.value,
            **_interval("over_seeds", effect.over_seeds),
            **_interval("over_rows", effect.over_rows),
            **_interval("over_both", effect.over_both),
            "p": effect.p,
            "adjusted_p": effect.adjusted_p,
            "detectable": effect.detectable,
            **{f"seed_{s}": v for s, v in zip(analysis.seeds, effect.by_seed, strict=True)},
        }
        for score, of_score in analysis.effects.items()
        for effect in of_score
    ]
    _write_csv(folder / CELLS_NAME, cells)
    _write_csv(folder / EFFECTS_NAME, rows)


def _with_intervals(names: Sequence[str]) -> list[str]:
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def _interval(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    low, high = (None, None) if estimate is None else (estimate.low, estimate.high)
    return {f"{name}_low": low, f"{name}_high": high}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with write_atomically(path) as file:
        file.write(text.getvalue().encode())


def _estimate_cell(
    place: str, metric: str, estimate: Estimate | None, *, digits: int = DIGITS
) -> Cell:
    if estimate is None:
        return NOTHING
    number = Number(
        host=place,
        predictor="",
        metric=metric,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_units=estimate.num_units,
        covers="sweep",
    )
    return number_cell(number, digits=digits)


def _value_cell(place: str, metric: str, value: float | None, *, digits: int = DIGITS) -> Cell:
    if value is None or not isfinite(value):
        return NOTHING
    return value_cell(f"{place}||{metric}|sweep", value, text=f"{value:.{digits}f}")


def _p_cell(place: str, score: str, p: float | None) -> Cell:
    if p is None:
        return NOTHING
    text = "< .001" if p < 0.001 else f"{p:.3f}"
    return value_cell(f"{place}||{score}/p|sweep", p, text=text)
