"""The page of a sweep: one HTML file that needs nothing else. Made from an Analysis alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from interlingua.report.figures.plots import Plot, Series, dot_plot, line_plot
from interlingua.report.page.page import PAGE_NAME
from interlingua.report.page.rendering import SCRIPTS, assets, environment
from interlingua.specs.sweeps import SweepSpec
from interlingua.store.atomic import write_atomically
from interlingua.sweeps.analysis import Analysis
from interlingua.sweeps.curves import number_plots
from interlingua.sweeps.published import published_grid
from interlingua.sweeps.tables import affine_grid, effects_grid, sentences, settings_grid, summary

MOST_CURVES = 5


def write_sweep_page(folder: Path, spec: SweepSpec, analysis: Analysis) -> int:
    """Write the page; returns its bytes."""
    page = sweep_page(spec, analysis).encode()
    with write_atomically(folder / PAGE_NAME) as file:
        file.write(page)
    return len(page)


def sweep_page(spec: SweepSpec, analysis: Analysis) -> str:
    """The page as text."""
    templates = environment()
    grids = [effects_grid(analysis, score) for score in analysis.effects]
    others = [affine_grid(analysis), published_grid(analysis)]
    return templates.get_template("sweep.html").render(
        spec=spec,
        analysis=analysis,
        summary=summary(analysis),
        sentences=list(sentences(analysis)),
        effect_plots=effect_plots(analysis),
        effect_grids=grids,
        cell_plots=[*number_plots(spec, analysis), *cell_plots(analysis)],
        cell_grids=[settings_grid(analysis), *filter(None, others)],
        commands=analysis.commands,
        script=assets(templates, *SCRIPTS),
    )


def effect_plots(analysis: Analysis) -> list[Plot]:
    """Every contrast with its interval over seeds, and one point for every seed."""
    plots = []
    for score, found in analysis.effects.items():
        names = [effect.name for effect in found]
        series = []
        intervals = [effect.over_seeds or effect.over_rows for effect in found]
        series.append(
            Series(
                name="mean, interval over seeds",
                colour=0,
                y_N=np.array([effect.value for effect in found]),
                low_N=np.array([one.low for one in intervals]),
                high_N=np.array([one.high for one in intervals]),
            )
        )
        rows = [effect.over_rows for effect in found]
        series.append(
            Series(
                name="interval over rows alone",
                colour=2,
                y_N=np.array([effect.value for effect in found]),
                low_N=np.array([one.low for one in rows]),
                high_N=np.array([one.high for one in rows]),
            )
        )
        caption = (
            "Positive is better. An interval over rows says how well these trainings were "
            "measured; what another training would give is the interval over seeds."
        )
        plots.append(dot_plot(f"Effects on {score}", caption, names, series, label=score))
    return plots


def cell_plots(analysis: Analysis) -> list[Plot]:
    """One point for every seed of every setting, and how cells learned."""
    settings = list(dict.fromkeys(cell.setting for cell in analysis.cells))
    return [_scatter(analysis, settings), _curves(analysis, settings)]


def _scatter(analysis: Analysis, settings: Sequence[str]) -> Plot:
    found = {(cell.setting, cell.seed): cell.metrics["nll"] for cell in analysis.cells}
    seeds = sorted({seed for _, seed in found})
    points = [
        Series(
            name=f"seed {seed}",
            colour=number % MOST_CURVES,
            y_N=np.array([found.get((setting, seed), np.nan) for setting in settings]),
        )
        for number, seed in enumerate(seeds)
    ]
    caption = "NLL a token of the teacher's explanation on unseen rows, every seed by itself."
    # Without a line at zero: an NLL lies far from it, and the seeds close to each other.
    return dot_plot(
        "Every cell", caption, settings, points, label="NLL, nats a token", marks_zero=False
    )


def _curves(analysis: Analysis, settings: Sequence[str]) -> Plot:
    curves = []
    for number, setting in enumerate(settings[:MOST_CURVES]):
        own = [cell.dev_evals for cell in analysis.cells if cell.setting == setting]
        steps = [int(one["step"]) for one in own[0]]
        scores = [[one["score"] for one in evals] for evals in own if len(evals) == len(steps)]
        curves.append(
            Series(
                name=setting,
                colour=number,
                x_N=np.array(steps),
                y_N=np.mean(scores, axis=0),
                low_N=np.min(scores, axis=0),
                high_N=np.max(scores, axis=0),
            )
        )
    shown = f"the first {MOST_CURVES} settings" if len(settings) > MOST_CURVES else "all settings"
    return line_plot(
        "Learning curves",
        f"Score on dev (less is better), mean of the seeds, band from least to most; {shown}.",
        curves,
        labels=("step", "score on dev"),
    )
