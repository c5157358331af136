"""Figures as files: the same bytes each time, in the colours of a light page, with named axes."""

import re
from importlib.resources import files
from xml.etree import ElementTree

import numpy as np

from interlingua.report.figures.files import write_figures
from interlingua.report.figures.plots import NAMES, PAGE, PRINT, Series, dot_plot, svg_file

SERIES = [
    Series(name=f"series {n}", colour=n, y_N=np.array([0.1 * n, 0.2]), low_N=np.zeros(2),
           high_N=np.ones(2))
    for n in range(len(PRINT.series))
]  # fmt: skip


def plot_of(title="FVE per host, & more"):
    return dot_plot(title, "", ["a", "b"], SERIES, label="fve_centred_own")


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        write_figures(folder, [plot_of()])
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "figures").iterdir()}
        for name in ("one", "two")
    )
    assert sorted(one) == ["fve-per-host-more.pdf", "fve-per-host-more.svg"] and one == two
    assert one["fve-per-host-more.pdf"].startswith(b"%PDF-")
    assert b"CreationDate" not in one["fve-per-host-more.pdf"]


def test_a_file_has_its_own_size_and_colours_and_names_its_axis():
    text = svg_file(plot_of())
    drawing = ElementTree.fromstring(text)
    assert drawing.get("width").endswith("pt") and drawing.get("font-family") == "sans-serif"
    assert "var(" not in text and ">fve_centred_own<" in text
    assert all(colour in text for colour in (PRINT.ink, *PRINT.series))
    assert not any(colour in text for colour in PAGE.all)


def test_the_colours_on_paper_are_those_of_the_page_where_it_is_light():
    style = files("interlingua.report.page").joinpath("template", "page.css").read_text()
    light = style[: style.index("@media")]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    assert {name: colours[name] for name in NAMES} == dict(zip(NAMES, PRINT.all, strict=True))
