"""The end of a run, on a screen: the verdict, a small table, three explanations, where the rest is.

Reads finished artifacts; the page has all of it.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from interlingua.commands.command_line import table_console
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact, lineage
from interlingua.tracking.database import URI_VARIABLE, is_served, tracking_uri

if TYPE_CHECKING:
    from interlingua.report.tables.grid import Grid
    from interlingua.store.rows.scored import Scored

COLUMNS = ("sampled (T=1)", "gain of RL", "teacher", "bag of words", "constant")
SHOWN_EXPLANATIONS = 3
MOST_LETTERS = 300  # of a passage
DEFAULT_ROOT = "runs"


def show_results(roles: Mapping[str, str], artifacts: Sequence[Artifact], root: Path) -> None:
    """Print the results. Without an evaluation, print all tables."""
    from interlingua.report.page.page import PAGE_NAME
    from interlingua.report.terminal.tables import tables_of

    console = table_console()
    evaluations = [artifact for artifact in artifacts if artifact.record.kind == "evaluation"]
    if not evaluations:
        for table in tables_of([artifact.record for artifact in artifacts], roles):
            console.print(table)
    if len(evaluations) > 2:  # the supervised pair's, and those of several runs
        _show_rl_runs(console, evaluations[1:])
    elif evaluations:
        _show_evaluation(console, evaluations[-1], roles)  # it is beside its start, if it has one
    console.print()
    for artifact in artifacts:
        if artifact.record.kind == "report":
            _line(console, f"report:    {artifact.path / PAGE_NAME}")
    _line(console, f"all runs:  {runs_command(root)}")


def runs_command(root: Path) -> str:
    """The command that shows all runs of a root, as people type it here."""
    if is_served(tracking_uri(root)):
        return f"the server that {URI_VARIABLE} names has a page of its own"
    if root != Path(DEFAULT_ROOT).absolute():
        return shlex.join(["interlingua", "ui", "--root", str(root)])
    return "make ui" if Path("Makefile").is_file() else "interlingua ui"


def _show_evaluation(console: Console, evaluation: Artifact, roles: Mapping[str, str]) -> None:
    from interlingua.report.gates.gates import gate_line
    from interlingua.report.headline.verdict import printed_verdict
    from interlingua.report.numbers import NUMBERS_NAME, read_numbers
    from interlingua.report.tables.grid import rich_tables
    from interlingua.report.tables.universal import summary_grid
    from interlingua.report.terminal.documented import RECIPE, beside_documented

    console.print()
    for sentence in printed_verdict(evaluation):
        _line(console, sentence)
    for gate in evaluation.record.metrics["gates"]:
        if not gate["is_passed"]:
            _line(console, f"  {gate_line(gate)}")
    console.print()
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    for table in rich_tables(_small(summary_grid(numbers, roles)), console.width):
        console.print(table)
    if evaluation.record.label == f"{RECIPE}-rl":
        for words in beside_documented(numbers):
            _line(console, words)
    console.print()
    for line in explanation_lines(evaluation.path):
        console.print(line, soft_wrap=not console.is_terminal, highlight=False)


def _show_rl_runs(console: Console, evaluations: Sequence[Artifact]) -> None:
    from interlingua.report.tables.grid import rich_tables
    from interlingua.report.tables.rl_runs import read_rl_run, rl_runs_grid

    runs = [read_rl_run(one, lineage(one, one.path.parent.parent)) for one in evaluations]
    for table in rich_tables(rl_runs_grid(runs), console.width):
        console.print(table)


def _small(grid: "Grid") -> "Grid":
    """The columns that a verdict is made of; the page has the others."""
    shown = [place for place, name in enumerate(grid.columns) if name in COLUMNS]
    rows = [
        replace(row, cells=tuple(row.cells[place] for place in shown))
        for row in grid.rows
        if "over hosts" not in row.labels
    ]
    columns = tuple(grid.columns[place] for place in shown)
    return replace(grid, columns=columns, rows=tuple(rows), caption="")


def explanation_lines(folder: Path) -> Iterator[Text]:
    """Sampled explanations of several hosts and passages, with what is true and false in them."""
    from interlingua.store.rows.scored import read_evaluated, read_scored

    rows = read_scored(folder)
    passages = {passage.passage_id: passage for passage in read_evaluated(folder)}
    hosts = list(rows.hosts())
    for number in range(SHOWN_EXPLANATIONS):
        own = rows.of(hosts[number % len(hosts)], Predictor.SAMPLED)
        first = own.where(own["sample"] == 0)
        # Another passage for every host: the same one three times would show less.
        if number < len(first):
            row = _row(first, number)
            passage = passages[row["passage_id"]]
            yield from _explained(hosts[number % len(hosts)], row, passage.text)


def _row(rows: "Scored", number: int) -> dict[str, Any]:
    names = ("passage_id", "position", "span_end", "text", "explanation", "said", "true")
    return {name: rows[name][number] for name in names}


def _explained(host: str, row: Mapping[str, Any], text: str) -> Iterator[Text]:
    where = "whole passage"
    if row["span_end"] >= 0:
        text, where = text[row["position"] : row["span_end"]], "one sentence"
    elif row["position"] >= 0:
        where = f"token {row['position']}"
    shown = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
    yield Text.assemble((f"{host}, {where}: ", "bold"), " ".join(shown.split()))
    if row["explanation"] is None:
        yield Text(f"  AV: {row['text']}  (no explanation between tags)", style="red")
        return
    yield Text(f"  AV: {row['explanation']}")
    true = {str(fact) for fact in (() if row["true"] is None else row["true"])}
    said = [str(fact) for fact in (() if row["said"] is None else row["said"])]
    if said:
        right = ", ".join(_words(fact) for fact in said if fact in true) or "nothing"
        wrong = ", ".join(_words(fact) for fact in said if fact not in true) or "nothing"
        yield Text.assemble("  true: ", (right, "green"), "; false: ", (wrong, "red"))


def _words(fact: str) -> str:
    return fact.replace("=", " ", 1)


def _line(console: Console, line: str) -> None:
    # A log has a line a sentence; a terminal breaks between words.
    console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
