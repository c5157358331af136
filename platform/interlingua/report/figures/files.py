"""Figures as files for papers: SVG and PDF, the same bytes for the same numbers."""

import re
from collections.abc import Iterable
from pathlib import Path

from interlingua.report.figures.plots import Plot, svg_file
from interlingua.store.atomic import write_atomically

FIGURES_FOLDER = "figures"


def write_figures(folder: Path, plots: Iterable[Plot]) -> None:
    """Write every plot under the name of its title, in a folder of its own."""
    (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
    for plot in plots:
        for ending, content in (("svg", svg_file(plot).encode()), ("pdf", plot.pdf())):
            with write_atomically(folder / FIGURES_FOLDER / f"{slug(plot.title)}.{ending}") as file:
                file.write(content)


def slug(title: str) -> str:
    """A title as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
