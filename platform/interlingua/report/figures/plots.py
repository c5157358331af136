"""Plots as inline SVG whose colours are the page's own, so that they turn dark with it.

Every function takes columns of numbers and gives a `Plot`. Knows no file and no metric.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # half a second, which only drawing is worth
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of text, of what is faint, of rules, and of the series in their order."""

    ink: str
    faint: str
    rule: str
    series: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, in the order of NAMES."""
        return (self.ink, self.faint, self.rule, *self.series)


# Stand-ins that matplotlib accepts, and what the page calls them.
PAGE = Palette("#010101", "#020202", "#030303", tuple(f"#01030{n}" for n in range(1, 7)))
# On paper: the page's own colours where it is light.
PRINT = Palette(
    "#1f2328", "#5d6470", "#e3e0d8",
    ("#0b6f7c", "#5f9ea0", "#b26b00", "#6a5aa8", "#8a8f98", "#9a3f6b"),
)  # fmt: skip
NAMES = ("ink", "faint", "rule", *(f"series-{n}" for n in range(1, 7)))


WIDTH_INCHES, ROW_INCHES = 5.4, 0.42
SPREAD = 0.72  # of the height of a line, over which its series are spread
MARKERS = "oDs^vP"
FEW, NUM_BINS = 12, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with what it shows in words."""

    title: str
    caption: str
    svg: str
    pdf: Callable[[], bytes]  # drawn when asked: few readers do


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
    label: str = "",
    marks_zero: bool = True,
) -> Plot:
    """Numbers beside each other, a line for every entry of `lines`, with their intervals."""

    def draw(axes: "Axes", palette: Palette) -> None:
        if marks_zero:
            axes.axvline(0, color=palette.faint, linewidth=0.8)
        places_N = np.arange(len(lines))[::-1]
        for number, one in enumerate(series):
            colour, form = palette.series[one.colour], MARKERS[one.colour]
            beside_N = places_N + SPREAD * (0.5 - (number + 0.5) / len(series))
            if one.low_N is not None and one.high_N is not None:
                axes.hlines(beside_N, one.low_N, one.high_N, color=colour, linewidth=1.6)
            axes.plot(one.y_N, beside_N, form, color=colour, label=one.name, markersize=4.5)
        axes.set_yticks(places_N, lines)
        axes.set_ylim(-0.6, len(lines) - 0.4)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)

    return _plot(title, caption, 1.3 + ROW_INCHES * len(lines), draw)


def line_plot(
    title: str, caption: str, series: Sequence[Series], *, labels: tuple[str, str]
) -> Plot:
    """Lines of y against x, with a band where an interval is known."""

    def draw(axes: "Axes", palette: Palette) -> None:
        for one in series:
            assert one.x_N is not None, f"{one.name} has no x"
            colour = palette.series[one.colour]
            marker = "o" if len(one.x_N) <= FEW else ""
            axes.plot(one.x_N, one.y_N, color=colour, label=one.name, marker=marker, markersize=3.5)
            if one.low_N is not None and one.high_N is not None:
                axes.fill_between(one.x_N, one.low_N, one.high_N, color=colour, alpha=0.18, lw=0)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])

    return _plot(title, caption, 2.9, draw)


def histogram(
    title: str, caption: str, series: Sequence[Series], *, label: str, low: float
) -> Plot:
    """Shares of rows by value up to 1; values below `low` count in the first bin."""

    def draw(axes: "Axes", palette: Palette) -> None:
        edges = np.linspace(low, 1.0, NUM_BINS + 1)
        for one in series:
            counts_K, _ = np.histogram(np.clip(one.y_N, low, 1.0), bins=edges)
            shares_K, colour = counts_K / max(1, len(one.y_N)), palette.series[one.colour]
            axes.stairs(shares_K, edges, color=colour, label=one.name, linewidth=1.4)
        axes.set_xlabel(label)
        axes.set_ylabel("share of rows")

    return _plot(title, caption, 2.9, draw)


def svg_file(plot: Plot) -> str:
    """The drawing as a file of its own, on paper."""
    text = plot.svg
    for name, colour in zip(NAMES, PRINT.all, strict=True):
        text = text.replace(f"var(--{name})", colour)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert size is not None, "matplotlib writes its SVG in another way"
    own = f'<svg width="{size[1]}pt" height="{size[2]}pt" font-family="sans-serif"'
    return text.replace("<svg", own, 1)


def _plot(title: str, caption: str, height: float, draw: Callable[["Axes", Palette], None]) -> Plot:
    def saved(palette: Palette, kind: str, metadata: Mapping[str, None]) -> bytes:
        buffer = io.BytesIO()
        with _axes(title, height, palette) as (figure, axes):
            draw(axes, palette)
            # Of the figure, not of the axes: long names of hosts leave these little of the width.
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=1.4)
            figure.savefig(buffer, format=kind, transparent=True, metadata=dict(metadata))
        return buffer.getvalue()

    # Without a date the same numbers give the same bytes.
    svg = saved(PAGE, "svg", {"Date": None}).decode()
    pdf = partial(saved, PRINT, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})
    return Plot(title=title, caption=caption, svg=_element(svg, title), pdf=pdf)


def _style(palette: Palette) -> Mapping[Any, Any]:
    return {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9.0,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.rule,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": palette.rule,
        "grid.linewidth": 0.6,
        "xtick.color": palette.faint,
        "ytick.color": palette.faint,
        "xtick.labelcolor": palette.ink,
        "ytick.labelcolor": palette.ink,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "axes.unicode_minus": False,
        "text.parse_math": False,
        "pdf.fonttype": 42,
    }


@contextmanager
def _axes(name: str, height: float, palette: Palette) -> Iterator[tuple["Figure", "Axes"]]:
    import matplotlib
    from matplotlib.figure import Figure

    # The salt makes ids differ between the drawings of a page, and not between two runs.
    with matplotlib.rc_context({**_style(palette), "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
        yield figure, figure.add_subplot()


def _element(text: str, title: str) -> str:
    """The drawing as an element of a page: no prolog, no ids that nothing refers to."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*; ", "", text)
    # Colours look like references, too; an id too many does no harm.
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
    for name, colour in zip(NAMES, PAGE.all, strict=True):
        text = text.replace(colour, f"var(--{name})")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    assert size is not None, "matplotlib writes its SVG in another way"
    return text.replace(f" {size[0]}", f' role="img" aria-label="{escape(title)}"', 1)
