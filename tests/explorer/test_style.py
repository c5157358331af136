"""How the page's own code reads: text stays text, nothing is asked of others, files stay short."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "serve" / "explorer"
MOST_LINES, MOST_COLUMNS = 300, 120
# What makes markup of a string, or a program of one.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|srcdoc|\beval\(|new Function|setHTMLUnsafe|javascript:"
)
IMPORTED = re.compile(r'^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|\bimport\("([^"]+)"\)', re.M)
ADDRESS = re.compile(r"https?://([\w.-]+)")
NAMESPACES = {"www.w3.org"}  # a name, not an address that is asked
OURS = {"127.0.0.1", "localhost"}  # in the lines that people copy


def sources(*endings: str) -> dict[str, str]:
    found = {
        str(path.relative_to(PAGE)): path.read_text()
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in endings
    }
    assert found
    return found


def test_no_string_becomes_markup_or_a_program() -> None:
    for name, text in sources(".js").items():
        assert not MARKUP.findall(text), name
    assert MARKUP.search("element.innerHTML = text")


def test_no_styles_and_no_listeners_stand_in_markup() -> None:
    page = (PAGE / "index.html").read_text()
    assert not re.findall(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\bsrc=)", page)


def test_modules_import_their_neighbours_alone_and_all_are_there() -> None:
    for name, text in sources(".js").items():
        for first, second in IMPORTED.findall(text):
            target = first or second
            assert target.startswith("./"), (name, target)
            assert ((PAGE / name).parent / target).is_file(), (name, target)


def test_nothing_is_asked_of_another_server() -> None:
    for name, text in sources(".js", ".css", ".html", ".svg").items():
        assert set(ADDRESS.findall(text)) <= NAMESPACES | OURS, name


def test_files_and_lines_are_short() -> None:
    for name, text in sources(".js", ".css").items():
        lines = text.splitlines()
        assert len(lines) <= MOST_LINES, name
        longest = max(map(len, lines))
        assert longest <= MOST_COLUMNS or name.endswith(".css"), (name, longest)


def test_a_module_says_what_it_is() -> None:
    for name, text in sources(".js").items():
        assert text.startswith("// "), name
