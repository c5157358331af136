"""Explanations beside what they explain. Knows no model: recorded rows come in."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.scored import read_evaluated, read_scored

SHOWN_HOSTS, SHOWN_ROWS = 2, 1


def sample_panels(folder: Path, predictor: Predictor) -> Iterator[Panel]:
    """The first explanations of some evaluated hosts: of the first and the last."""
    rows = read_scored(folder)
    passages = {passage.passage_id: passage for passage in read_evaluated(folder)}
    hosts = list(rows.hosts())
    places = sorted({round(n * (len(hosts) - 1) / (SHOWN_HOSTS - 1)) for n in range(SHOWN_HOSTS)})
    for host in (hosts[place] for place in places):
        spoken = rows.of(host, predictor)
        first = spoken.where(spoken["sample"] == 0)
        names = ("passage_id", "position", "span_end", "text", "explanation", "true")
        columns = (first[name][:SHOWN_ROWS].tolist() for name in names)
        for passage_id, position, end, text, explanation, true in zip(*columns, strict=True):
            passage = passages[passage_id]
            shown, where, facts = passage.text, "whole passage", passage.facts
            if end >= 0:
                shown, where = passage.text[position:end], "one sentence of a passage"
                facts = dict(fact.split("=", 1) for fact in true or ())
            elif position >= 0:
                where = f"token {position}"
            yield explained_panel(shown, text, explanation, facts, f"{host}, {where}")


def explained_panel(
    text: str,
    generated: str,
    explanation: str | None,
    facts: Mapping[str, str],
    title: str,
) -> Panel:
    """One text and its explanation, in which what is true is green."""
    said = Text(generated if explanation is None else explanation)
    if explanation is None:
        said.append("  (no explanation between tags)", style="red")
    for value in facts.values():
        if value:
            said.highlight_words([value], "bold green", case_sensitive=False)
    parts = [Text(text, style="dim"), said]
    if facts:
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
        parts.append(Text(f"true: {told}", style="dim"))
    return Panel(Group(*parts), title=title, title_align="left")
