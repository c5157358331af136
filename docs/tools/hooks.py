"""What the site has and docs/ does not: pages of linked files, and tables made from the code.

MkDocs calls `on_files` before it reads any page. docs/ stays markdown that reads well elsewhere: a
link to a file of the repository becomes one to a page with that file, a comment `<!-- made: X -->`
the fragment X of build/docs (docs/tools/made.py), and docs/notebook.ipynb a page.
"""

import logging
import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
MADE = REPOSITORY / "build" / "docs"
SHOWN = "files"  # where pages of the repository's files are
LINK = re.compile(r"\]\(([^)#\s]+)((?:#[^)\s]*)?)\)")
SUFFIXES = {".ipynb": ".md"}  # what is a page of its own
COMMENT = re.compile(r"<!-- made: ([\w-]+) -->")
CELL = re.compile(r"<t[dh]\b.*?</t[dh]>", re.S)
CODE = re.compile(r"(<code>)(.*?)(</code>)", re.S)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".js": "js"}

log = logging.getLogger("mkdocs.hooks")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The files of docs/, the notebook as a page, and every file that a page links to."""
    files.append(_generated(config, "notebook.md", _fragment("notebook")))
    if notebook := files.get_file_from_path("notebook.ipynb"):
        notebook.inclusion = InclusionLevel.EXCLUDED
    waiting = [one.src_uri for one in files.documentation_pages()]
    while waiting:
        uri = waiting.pop()
        for path in _linked(files, uri):
            shown = shown_at(path)
            if files.get_file_from_path(shown) is None:
                files.append(_generated(config, shown, _page_of(path)))
                waiting.append(shown)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its fragments, and with links to where files of the repository are shown."""
    whole = COMMENT.sub(lambda found: _fragment(found[1]), markdown)
    return rewritten(whole, page.file.src_uri)


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with code in its tables that breaks between the parts of a name alone."""
    return CELL.sub(lambda cell: CODE.sub(_breakable, cell[0]), html)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """The page with a name for the dialog of the search, which the theme leaves without."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def _breakable(code: re.Match) -> str:
    # A pipe in a cell is written `\\|`, which GitHub shows as a pipe.
    text = code[2].replace("\\|", "|")
    return code[1] + re.sub(r"([_./=,|-])(?=\w)", r"\1<wbr>", text) + code[3]


def rewritten(markdown: str, uri: str) -> str:
    """A page whose links out of docs/ lead to pages of the site."""

    def link(found: re.Match) -> str:
        path = _target(found[1], uri)
        if path is None:
            return found[0]
        goal = "index.md" if path == REPOSITORY / "README.md" else shown_at(path)
        return f"]({_relative(goal, uri)}{found[2]})"

    return LINK.sub(link, markdown)


def shown_at(path: Path) -> str:
    """Where the site shows a file of the repository; files of docs/ are where they are."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).with_suffix(SUFFIXES.get(path.suffix, path.suffix)).as_posix()
    named = path.relative_to(REPOSITORY).as_posix()
    return f"{SHOWN}/{named}" if path.suffix == ".md" else f"{SHOWN}/{named}.md"


def _linked(files: Files, uri: str) -> list[Path]:
    """Files of the repository, outside docs/, that a page links to."""
    text = COMMENT.sub(
        lambda found: _fragment(found[1]), files.get_file_from_path(uri).content_string
    )
    found = [_target(one[1], uri) for one in LINK.finditer(text)]
    readme = REPOSITORY / "README.md"
    return [path for path in found if path and path != readme and not path.is_relative_to(DOCS)]


def _target(link: str, uri: str) -> Path | None:
    """The file of the repository that a link of a page means; None: of another place."""
    if ":" in link or link.startswith("/"):
        return None
    origin = DOCS / uri
    if uri.startswith(f"{SHOWN}/"):
        origin = REPOSITORY / uri.removeprefix(f"{SHOWN}/")
    path = Path(os.path.normpath(origin.parent / link))
    if not path.is_relative_to(REPOSITORY):
        return None
    if not path.exists() and not path.is_relative_to(DOCS):
        log.warning("%s links to %s, which is not there", uri, link)
        return None
    return path if path.exists() else None


def _relative(goal: str, uri: str) -> str:
    return os.path.relpath(goal, os.path.dirname(uri) or ".")


def _page_of(path: Path) -> str:
    """A page that shows a file, or lists a folder."""
    named = path.relative_to(REPOSITORY).as_posix()
    if path.is_dir():
        names = sorted(one.name for one in path.iterdir() if not one.name.startswith(("_", ".")))
        return "\n".join([f"# `{named}/`\n", *(f"- `{name}`" for name in names)])
    text = path.read_text()
    if path.suffix == ".md":
        return text
    fence = "~~~~"
    return f"# `{named}`\n\n{fence}{LANGUAGES.get(path.suffix, 'text')}\n{text}{fence}\n"


def _fragment(name: str) -> str:
    path = MADE / f"{name}.md"
    if not path.exists():
        raise PluginError(f"{path} is not there: `make docs` makes it before it builds the site")
    return path.read_text()


def _generated(config: MkDocsConfig, uri: str, content: str) -> File:
    made = File.generated(config, uri, content=content)
    if uri.startswith(f"{SHOWN}/"):
        made.inclusion = InclusionLevel.NOT_IN_NAV
    return made
