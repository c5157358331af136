"""A run's report: one HTML file that needs nothing else, and its numbers as a tidy table.

Made from recorded rows alone. Text is escaped by the template; only drawings are not.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from interlingua.report.headline.headline import headline
from interlingua.report.numbers import NUMBERS_NAME, write_numbers
from interlingua.report.page.browser import explanations
from interlingua.report.page.lineage import commands
from interlingua.report.page.sections import sections_of
from interlingua.report.tables.material import Material, accepted_gates, failed_gates
from interlingua.store.atomic import write_atomically

PAGE_NAME = "report.html"
TEMPLATES = "template"


def write_page(folder: Path, material: Material, *, shown_rows: int) -> int:
    """Write the page and the table beside it; returns the page's bytes."""
    page = page_of(material, shown_rows=shown_rows).encode()
    with write_atomically(folder / PAGE_NAME) as file:
        file.write(page)
    write_numbers(folder / NUMBERS_NAME, material.numbers)
    return len(page)


def page_of(material: Material, *, shown_rows: int) -> str:
    """The page as text."""
    # StrictUndefined: a misspelt name in the template would else be an empty place on the page.
    environment = Environment(
        loader=PackageLoader("interlingua.report.page", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # keys in our own order
    return environment.get_template("page.html").render(
        recipe=material.recipe,
        record=material.evaluation.record,
        sentences=headline(material),
        failed=failed_gates(material),
        accepted=accepted_gates(material),
        sections=sections_of(material),
        explanations=explanations(material, shown_rows),
        commands=list(commands(material)),
        style=_asset(environment, "page.css"),
        script=_asset(environment, "page.js"),
        drawn=Markup,
    )


def _asset(environment: Environment, name: str) -> Markup:
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source)
