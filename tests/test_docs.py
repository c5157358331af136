"""The pages of docs/ say what the code says. Building the site: tests/full/test_site.py."""

import ast
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from interlingua.commands.entry import PROGRAM, SWEEPS, VERBS

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
GAP = "\0"  # where a message has a value


@cache
def messages() -> list[str]:
    """Every string of the product, with a gap for every value in it."""
    found = []
    for path in (REPOSITORY / "platform" / "interlingua").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (one.value if isinstance(one, ast.Constant) else GAP for one in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def is_in_source(message: str) -> bool:
    """Whether the parts of a quoted message between its values stand in one string, in order."""
    pattern = ".*".join(map(re.escape, message.split("...")))
    return any(re.search(pattern, one, re.S) for one in messages())


def quoted() -> list[str]:
    return re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.M)


def test_troubleshooting_has_the_messages_that_people_meet():
    assert len(quoted()) >= 25 and len(set(quoted())) == len(quoted())


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_stands_in_the_source(message):
    constant = max(message.split("..."), key=len)
    assert len(constant) > 12, "nothing to find it by"
    assert is_in_source(message), message


def test_a_message_that_was_reworded_is_found_out():
    assert not is_in_source("no recipe ...; there were: ...")


def commands() -> list[str]:
    """Every command line of `interlingua` in a block of code of a page."""
    blocks = (one[0] for page in PAGES for one in FENCED.finditer(page.read_text()))
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    return sorted({line.strip() for line in lines if line.startswith(f"{PROGRAM} ")})


@pytest.mark.parametrize("line", commands())
def test_a_command_line_of_the_docs_is_one(line, capsys):
    _, verb, *words = shlex.split(line, comments=True)
    found = VERBS[verb]
    if verb == "sweep" and words[0] in SWEEPS:
        found = SWEEPS[words.pop(0)]
    module = import_module(f"interlingua.commands.{found.module}")
    getattr(module, found.parser)().parse_args(words)


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", one).strip().lower()) for one in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_of_a_page_lead_somewhere(page):
    for path, anchor in LINK.findall(FENCED.sub("", page.read_text())):
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor and not made_at_build(target):
            assert anchor in slugs(target.read_text()), f"{path}#{anchor}"


def made_at_build(page: Path) -> bool:
    """Whether headings of a page are made from the code when the site is built."""
    return "<!-- made:" in page.read_text()


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": ([\w/-]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(), re.M))
    assert {str(page.relative_to(DOCS)) for page in PAGES} | {"notebook.md"} == listed
