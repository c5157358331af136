"""Explanations beside what they explain. Knows no model: rows of text come in."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text


def explained_panel(row: Mapping[str, Any]) -> Panel:
    """One text, its explanation with true and false words marked, and how much came back."""
    explanation = row["explanation"]
    said = Text(row["generated"] if explanation is None else explanation)
    if explanation is None:
        said.append("  (no closing tag)", style="red")
    _mark(said, row["facts"])
    parts: list[Text] = [Text(row["text"], style="dim"), said]
    if row["facts"]:
        facts = ", ".join(f"{name} {value}" for name, value in row["facts"].items() if value)
        parts.append(Text(f"true: {facts}", style="dim"))
    return Panel(Group(*parts), title=row["host"], subtitle=f"cosine {row['cosine']:.3f}")


def _mark(said: Text, facts: Mapping[str, str]) -> None:
    for value in facts.values():
        if value:
            said.highlight_words([value], "bold green", case_sensitive=False)
