"""A run's report: one HTML file that needs nothing else, its numbers as a tidy table, its figures.

Made from recorded rows alone. Text is escaped by the template; only drawings are not.
"""

from pathlib import Path

from interlingua.report.figures.files import write_figures
from interlingua.report.headline.headline import headline
from interlingua.report.headline.verdict import QUESTION, text_counts, verdict, verdict_grid
from interlingua.report.numbers import NUMBERS_NAME, write_numbers
from interlingua.report.page.browser import explanations
from interlingua.report.page.examples import examples_of
from interlingua.report.page.lineage import commands
from interlingua.report.page.rendering import SCRIPTS, assets, environment
from interlingua.report.page.sections import Section, sections_of
from interlingua.report.tables.material import Material, accepted_gates, failed_gates
from interlingua.store.atomic import write_atomically

PAGE_NAME = "report.html"


def write_page(folder: Path, material: Material, *, shown_rows: int) -> int:
    """Write the page, the table and the figures beside it; returns the page's bytes."""
    sections = sections_of(material)
    page = page_of(material, sections, shown_rows=shown_rows).encode()
    with write_atomically(folder / PAGE_NAME) as file:
        file.write(page)
    write_numbers(folder / NUMBERS_NAME, material.numbers)
    write_figures(folder, [plot for section in sections for plot in section.plots])
    return len(page)


def page_of(material: Material, sections: list[Section], *, shown_rows: int) -> str:
    """The page as text."""
    templates = environment()
    numbers, roles = material.numbers, material.roles
    return templates.get_template("page.html").render(
        recipe=material.recipe,
        record=material.evaluation.record,
        question=QUESTION,
        verdict=verdict(numbers, roles, text_counts(material.rows)),
        verdict_grid=verdict_grid(numbers, roles),
        groups=headline(material),
        examples=examples_of(material),
        failed=failed_gates(material),
        accepted=accepted_gates(material),
        sections=sections,
        explanations=explanations(material, shown_rows),
        commands=list(commands(material)),
        script=assets(templates, "page.js", *SCRIPTS),
    )
