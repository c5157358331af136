"""Explanations beside what they explain. Knows no model: recorded rows come in."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.passages import PASSAGES_NAME, Passage, read_passages
from interlingua.store.splits import SplitAccess
from interlingua.store.verbalized import Verbalized, read_verbalized

SHOWN_HOSTS, SHOWN_ROWS = 3, 2


def sample_panels(artifacts: Sequence[Artifact], manner: str) -> Iterator[Panel]:
    """The first explanations of `dev` of some hosts: the first, the middle and the last."""
    by_kind = {
        kind: [artifact for artifact in artifacts if artifact.record.kind == kind]
        for kind in ("passages", "verbalized")
    }
    verbalized = by_kind["verbalized"]
    if not verbalized or not by_kind["passages"]:
        return
    passages = _dev_passages(by_kind["passages"][0])
    places = sorted({round(n * (len(verbalized) - 1) / (SHOWN_HOSTS - 1)) for n in range(3)})
    for place in places:
        rebuilt = read_verbalized(
            verbalized[place].path, Split.DEV, manner, SplitAccess({Split.DEV})
        )
        for row in rebuilt.rows[:SHOWN_ROWS]:
            passage = passages[row.passage_id]
            title = f"{verbalized[place].record.label}, {_where(row)}"
            yield explained_panel(passage.text, row.text, row.explanation, passage.facts, title)


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


def _dev_passages(artifact: Artifact) -> dict[str, Passage]:
    access = SplitAccess({Split.DEV})
    path = artifact.path / PASSAGES_NAME
    return {passage.passage_id: passage for passage in read_passages(path, {Split.DEV}, access)}


def _where(row: Verbalized) -> str:
    return "pooled" if row.position < 0 else f"token {row.position}"
