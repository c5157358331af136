"""Parts of the site that are made from the code: `python docs/tools/made.py FOLDER`.

A fragment is a markdown file; docs/tools/hooks.py puts it where a page names it. Opens no model.
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from interlingua.commands.entry import PROGRAM, SWEEPS, VERBS, Verb

REPOSITORY = Path(__file__).parents[2]
ITSELF = "The recipe itself"


def main(folder: Path) -> None:
    """Write every fragment."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FRAGMENTS.items():
        (folder / f"{name}.md").write_text(make())


def command_lines() -> str:
    """Every command with its arguments, from the parsers."""
    listed = ((f"[`{typed}`](#{slug(typed)})", verb.summary) for typed, verb in verbs())
    parts = [table(["command", "what it does"], listed)]
    for typed, verb in verbs():
        parser = parser_of(verb)
        summary, _, rest = (parser.description or "").strip().partition("\n\n")
        parts += [f"## `{typed}`", summary]
        if rest:
            parts.append(f"~~~text\n{rest}\n~~~")
        parts.append(table(["argument", "means"], map(_argument, _actions(parser))))
    return "\n\n".join(parts)


def verbs() -> list[tuple[str, Verb]]:
    """What is typed for each verb, ready sweeps among them."""
    sweeps = [(f"{PROGRAM} sweep {name}", verb) for name, verb in SWEEPS.items()]
    return [*((f"{PROGRAM} {name}", verb) for name, verb in VERBS.items()), *sweeps]


def parser_of(verb: Verb) -> argparse.ArgumentParser:
    """The arguments of a verb."""
    module = importlib.import_module(f"interlingua.commands.{verb.module}")
    return getattr(module, verb.parser)()


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return heading.replace(" ", "-")


def recipes() -> str:
    """Recipes and places by name, with the first line of their docstrings."""
    from interlingua.recipes.placements import PLACEMENTS
    from interlingua.recipes.registry import OWN, PUBLISHED, RECIPES

    titled = {
        "Recipes of the embedded world": RECIPES,
        "With what you have": OWN,
        "Published runs": PUBLISHED,
        "Places": PLACEMENTS,
    }
    return "\n\n".join(
        f"## {title}\n\n" + table(["name", "what it is"], map(_named, named.items()))
        for title, named in titled.items()
    )


def fields() -> str:
    """Every path of `--set` in the recipe `demo`, with its type and value."""
    from interlingua.recipes.registry import recipe_named
    from interlingua.specs.text.overrides import list_paths

    parts = []
    for head, rows in grouped(list_paths(recipe_named("demo"))):
        shown = ((f"`{path}`", code(kind), code(value)) for path, kind, value in rows)
        parts.append(f"## {head}\n\n" + table(["path", "may be", "in demo"], shown))
    return "\n\n".join(parts)


def grouped(rows: list[tuple[str, str, Any]]) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """Rows by the part of the recipe that they are in; of the hosts the first stands for all."""
    found: dict[str, list] = {}
    first_host = next(path.split(".")[1] for path, _, _ in rows if path.startswith("hosts."))
    for row in rows:
        head, *rest = row[0].split(".")
        if head != "hosts" or rest[0] == first_host:
            found.setdefault(f"`{head}`" if rest else ITSELF, []).append(row)
    yield from found.items()


def http_api() -> str:
    """The routes of the platform's own API with their fields, from its OpenAPI description."""
    from interlingua.serving.own.app import Settings, make_app

    described = make_app({}, Settings()).openapi()
    schemas = described["components"]["schemas"]
    parts = []
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            parts += [f"### `{method.upper()} {path}`", escaped(route["description"])]
            if asked := _schema_of(route.get("requestBody", {})):
                rows = _properties(schemas[asked])
                parts.append("Takes\n\n" + table(["field", "type", "means"], rows))
            if given := _schema_of(route["responses"]["200"]):
                rows = _properties(schemas[given])
                parts.append("Gives\n\n" + table(["field", "type", "means"], rows))
    return "\n\n".join(parts)


def pitch() -> str:
    """What the README says first, with its links as from docs/."""
    _, _, text = (REPOSITORY / "README.md").read_text().partition("\n")
    first, _, _ = text.partition("\n## ")

    def link(found: re.Match) -> str:
        path = found[1]
        if ":" in path:
            return found[0]
        return f"]({path.removeprefix('docs/') if path.startswith('docs/') else '../' + path})"

    return re.sub(r"\]\(([^)\s]+)\)", link, first)


def notebook() -> str:
    """The notebook as a page: its texts, its code, and what came out when it was run."""
    cells = json.loads((REPOSITORY / "docs" / "notebook.ipynb").read_text())["cells"]
    return "\n\n".join(part for cell in cells for part in _cell(cell))


FRAGMENTS: dict[str, Callable[[], str]] = {
    "command-line": command_lines,
    "recipes": recipes,
    "fields": fields,
    "http": http_api,
    "pitch": pitch,
    "notebook": notebook,
}


def table(head: list[str], rows: Iterator[tuple[str, ...]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Text for a cell or a paragraph: in one line, and nothing of it is markup."""
    return re.sub(r"([|*_<>\[\]\\#`])", r"\\\1", " ".join(text.split()))


def code(value: object) -> str:
    """A value as it is typed."""
    text = "none" if value is None else str(value)
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [one for one in parser._actions if one.help != argparse.SUPPRESS and one.dest != "help"]


def _argument(action: argparse.Action) -> tuple[str, str]:
    metavar = action.metavar or action.dest.upper()
    values = "" if action.nargs == 0 else f" {metavar}"
    names = [f"{name}{values}" for name in action.option_strings] or [str(metavar)]
    means = (action.help or "") % {**vars(action), "prog": ""} if action.help else ""
    if isinstance(action.choices, list | tuple) and "{" not in means:
        means = f"{means} ({', '.join(map(str, action.choices))})"
    return ", ".join(map(code, names)), escaped(means)


def _named(item: tuple[str, Callable]) -> tuple[str, str]:
    name, make = item
    return f"`{name}`", escaped((make.__doc__ or "").splitlines()[0])


def _schema_of(body: dict) -> str | None:
    reference = body.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref")
    return None if reference is None else reference.rpartition("/")[2]


def _properties(schema: dict) -> Iterator[tuple[str, str, str]]:
    needed = schema.get("required", [])
    for name, one in schema.get("properties", {}).items():
        means = one.get("description", "")
        yield (
            f"`{name}`" + (" (needed)" if name in needed else ""),
            code(_type(one)),
            escaped(means),
        )


def _type(schema: dict) -> str:
    if several := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " or ".join(map(repr, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return schema.get("type", "any")


def _cell(cell: dict) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
        return
    yield f"~~~python\n{text}\n~~~"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if output["output_type"] == "stream":
            yield f"~~~text\n{''.join(output['text']).rstrip()}\n~~~"
        elif "image/png" in data:
            yield f'<img alt="figure of this cell" src="data:image/png;base64,{data["image/png"]}">'
        elif "text/html" in data:
            # Blank lines would end the block.
            html = "".join(data["text/html"]).replace("\n\n", "\n")
            yield f'<div class="nla-cell">\n{html}\n</div>'
        elif "text/plain" in data:
            yield f"~~~text\n{''.join(data['text/plain'])}\n~~~"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
