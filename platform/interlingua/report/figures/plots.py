"""Plots as inline SVG whose colours are the page's own, so that they turn dark with it.

Every function takes columns of numbers and gives a `Plot`. Knows no file and no metric.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # half a second, which only drawing is worth
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that matplotlib accepts, and what the page calls them.
INK, FAINT, RULE = "#010101", "#020202", "#030303"
SERIES = ("#010301", "#010302", "#010303", "#010304", "#010305")
COLOURS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(SERIES, start=1)},
}
WIDTH_INCHES, ROW_INCHES = 5.4, 0.42
SPREAD = 0.72  # of the height of a line, over which its series are spread
MARKERS = "oDs^v"
FEW, NUM_BINS = 12, 40
STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "axes.unicode_minus": False,
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with what it shows in words."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers under a name, in the same colour (a place in SERIES) wherever the name appears."""

    name: str
    colour: int
    y_N: np.ndarray
    x_N: np.ndarray | None = None
    low_N: np.ndarray | None = None
    high_N: np.ndarray | None = None


def dot_plot(
    title: str,
    caption: str,
    lines: Sequence[str],
    series: Sequence[Series],
    *,
    marks_zero: bool = True,
) -> Plot:
    """Numbers beside each other, a line for every entry of `lines`, with their intervals."""
    with _axes(title, 1.1 + ROW_INCHES * len(lines)) as (figure, axes):
        if marks_zero:
            axes.axvline(0, color=FAINT, linewidth=0.8)
        places_N = np.arange(len(lines))[::-1]
        for number, one in enumerate(series):
            colour, form = SERIES[one.colour], MARKERS[one.colour]
            beside_N = places_N + SPREAD * (0.5 - (number + 0.5) / len(series))
            if one.low_N is not None and one.high_N is not None:
                axes.hlines(beside_N, one.low_N, one.high_N, color=colour, linewidth=1.6)
            axes.plot(one.y_N, beside_N, form, color=colour, label=one.name, markersize=4.5)
        axes.set_yticks(places_N, lines)
        axes.set_ylim(-0.6, len(lines) - 0.4)
        axes.grid(visible=False, axis="y")
        _legend(figure)
        return Plot(title=title, caption=caption, svg=_svg(figure, title))


def line_plot(
    title: str, caption: str, series: Sequence[Series], *, labels: tuple[str, str]
) -> Plot:
    """Lines of y against x, with a band where an interval is known."""
    with _axes(title, 2.9) as (figure, axes):
        for one in series:
            assert one.x_N is not None, f"{one.name} has no x"
            colour = SERIES[one.colour]
            marker = "o" if len(one.x_N) <= FEW else ""
            axes.plot(one.x_N, one.y_N, color=colour, label=one.name, marker=marker, markersize=3.5)
            if one.low_N is not None and one.high_N is not None:
                axes.fill_between(one.x_N, one.low_N, one.high_N, color=colour, alpha=0.18, lw=0)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        _legend(figure)
        return Plot(title=title, caption=caption, svg=_svg(figure, title))


def histogram(
    title: str, caption: str, series: Sequence[Series], *, label: str, low: float
) -> Plot:
    """Shares of rows by value up to 1; values below `low` count in the first bin."""
    edges = np.linspace(low, 1.0, NUM_BINS + 1)
    with _axes(title, 2.9) as (figure, axes):
        for one in series:
            counts_K, _ = np.histogram(np.clip(one.y_N, low, 1.0), bins=edges)
            shares_K = counts_K / max(1, len(one.y_N))
            axes.stairs(shares_K, edges, color=SERIES[one.colour], label=one.name, linewidth=1.4)
        axes.set_xlabel(label)
        axes.set_ylabel("share of rows")
        _legend(figure)
        return Plot(title=title, caption=caption, svg=_svg(figure, title))


@contextmanager
def _axes(name: str, height: float) -> Iterator[tuple["Figure", "Axes"]]:
    import matplotlib
    from matplotlib.figure import Figure

    # The salt makes ids differ between the drawings of a page, and not between two runs.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
        yield figure, figure.add_subplot()


def _legend(figure: "Figure") -> None:
    # Of the figure, not of the axes: long names of hosts leave these little of the width.
    figure.legend(
        loc="outside upper left",
        ncols=3,
        columnspacing=1.2,
        handlelength=1.4,
    )


def _svg(figure: "Figure", title: str) -> str:
    """The drawing as an element of a page: no prolog, no ids that nothing refers to."""
    # Without a date the same numbers give the same bytes.
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*; ", "", text)
    # Colours look like references, too; an id too many does no harm.
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
    for colour, variable in COLOURS.items():
        text = text.replace(colour, variable)
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    assert size is not None, "matplotlib writes its SVG in another way"
    return text.replace(f" {size[0]}", f' role="img" aria-label="{escape(title)}"', 1)
