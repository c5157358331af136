"""The templates of pages, with what all of them share. Knows no report."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from interlingua.report.figures.files import slug
from interlingua.report.page.terms import terms_by_group, terms_in

STYLES = ("page.css", "tables.css")
SCRIPTS = ("tables.js", "terms.js")  # of every page with tables


def environment() -> Environment:
    """The templates with their filters; text is escaped, and a name that is not given fails."""
    # StrictUndefined: a misspelt name in the template would else be an empty place on the page.
    made = Environment(
        loader=PackageLoader("interlingua.report.page", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"allow_nan": False}  # keys in our own order
    made.filters["linked"] = linked
    made.filters["slug"] = slug
    made.globals["glossary"] = terms_by_group()
    made.globals["drawn"] = Markup
    made.globals["style"] = assets(made, *STYLES)
    return made


def assets(made: Environment, *names: str) -> Markup:
    """Files beside the templates, as they are, one after another."""
    assert made.loader is not None
    return Markup("\n").join(Markup(made.loader.get_source(made, name)[0]) for name in names)


def linked(text: str, seen: list[str]) -> Markup:
    """The text, every term of art in it a link to its meaning, the first time that it is seen."""
    parts = []
    for piece, term in terms_in(text):
        if term is None or term.name in seen:
            parts.append(escape(piece))
        else:
            seen.append(term.name)
            parts.append(Markup('<a class="term" href="#{}">{}</a>').format(term.key, piece))
    return Markup("").join(parts)
