"""How a sweep's NLL goes with a number: one curve for every setting of the other axes."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from interlingua.report.figures.plots import Plot, Series, line_plot
from interlingua.specs.sweeps import SweepSpec
from interlingua.sweeps.analysis import PRIMARY, Analysis
from interlingua.sweeps.tables import negated

MOST_CURVES = 5


def number_plots(spec: SweepSpec, analysis: Analysis) -> Iterator[Plot]:
    """A plot for every axis whose values end in numbers."""
    labels = {name: of_axes for name, *of_axes in spec.settings if name in analysis.means[PRIMARY]}
    for place, axis in enumerate(spec.axes):
        numbers = {name: _number(of_axes[place]) for name, of_axes in labels.items()}
        known = {name: number for name, number in numbers.items() if number is not None}
        if len(set(known.values())) > 1:
            yield _plot(axis, place, labels, known, analysis)


def _plot(
    axis: str,
    place: int,
    labels: Mapping[str, list[str]],
    numbers: Mapping[str, int],
    analysis: Analysis,
) -> Plot:
    groups: dict[str, list[str]] = {}
    for name in sorted(numbers, key=numbers.__getitem__):
        others = [label for at, label in enumerate(labels[name]) if at != place]
        groups.setdefault(", ".join(others) or "all", []).append(name)
    series = []
    for colour, (title, names) in enumerate(list(groups.items())[:MOST_CURVES]):
        estimates = [negated(analysis.means[PRIMARY][name]) for name in names]
        series.append(
            Series(
                name=title,
                colour=colour,
                x_N=np.array([numbers[name] for name in names]),
                y_N=np.array([one.value for one in estimates]),
                low_N=np.array([one.low for one in estimates]),
                high_N=np.array([one.high for one in estimates]),
            )
        )
    shown = f"; the first {MOST_CURVES} of {len(groups)}" if len(groups) > MOST_CURVES else ""
    return line_plot(
        f"NLL by {axis}",
        f"NLL a token of the teacher's explanation on unseen rows, means over seeds; bands: 95% by "
        f"Student, none with one seed{shown}.",
        series,
        labels=(axis, "NLL a token"),
    )


def _number(label: str) -> int | None:
    found = re.search(r"(\d+)$", label)
    return int(found[1]) if found else None
