"""Two evaluations on the rows that both have: which these are, and tables of what differs.

A row is an activation: host, passage, position. Knows rows and numbers; no folder and no model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from interlingua.report.from_rows import Recorded, side_by_side
from interlingua.report.numbers import ALL, HELD_OUT, LEARNED, LESS, NLL, TRAINED, Number, Numbers
from interlingua.report.tables.grid import Grid, Row, number_cell, words_cell
from interlingua.specs.evaluation import PLAIN, Predictor
from interlingua.store.rows.likelihood import Likelihood
from interlingua.store.rows.scored import Scored

METRICS = {  # and their words
    "fve_centred_own": "FVE",
    "fve_linear_own": "FVE, no rescaling",
    "cos": "cosine",
    NLL: "NLL/token of the teacher's text",
    "unique_share": "distinct texts",
    "tag_failure_share": "unparseable",
    "precision/all": "precision of facts",
    "recall/all": "recall of facts",
}
HEADLINE = ("fve_centred_own", NLL, "precision/all", "recall/all")
MOST_APART = 0.01  # relative: activations of one model, read on machines that round otherwise

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Numbers of both on common rows, and `B - A`; `left_out` has what only one of them has."""

    one: Numbers
    other: Numbers
    apart: Numbers
    hosts: Mapping[str, str]  # role by host
    num_common: Mapping[str, int]  # rows by host
    left_out: tuple[str, ...]


def compared(one: Recorded, other: Recorded, *, seed: int = 0) -> Compared:
    """Both evaluations on common rows; an error where nothing is common, or not the same."""
    ours, theirs = (set(_keys(recorded.rows)) for recorded in (one, other))
    common = ours & theirs
    if not common:
        raise ValueError(
            f"nothing is common: {_extent(one.rows)} in A, {_extent(other.rows)} in B; a row is a "
            "host, a passage and a position"
        )
    cut = [_cut(recorded, common) for recorded in (one, other)]
    _check_same_space(cut[0].rows, cut[1].rows)
    numbers = side_by_side(cut[0], cut[1], seed=seed)
    hosts = cut[0].rows.hosts()
    return Compared(
        one=numbers[0],
        other=numbers[1],
        apart=numbers[2],
        hosts=hosts,
        num_common={host: sum(key[0] == host for key in common) for host in hosts},
        left_out=(*_left_out("A", ours, theirs), *_left_out("B", theirs, ours)),
    )


def grids(found: Compared, names: tuple[str, str]) -> Iterator[Grid]:
    """A table for each of the AV's two ways to write: every host and group, A, B and B - A."""
    for predictor in LEARNED:
        rows = tuple(_rows(found, predictor))
        yield Grid(
            title=f"{PLAIN.get(predictor, str(predictor))}: {names[0]} (A) and {names[1]} (B)",
            caption=f"{len(rows)} intervals of B - A, each 95% over {found.apart.units}, paired; "
            f"of {len(rows)} such intervals {0.05 * len(rows):.1f} miss 0 by chance alone.",
            labels=("host", "metric"),
            columns=("A", "B", "B - A", "n", "in words"),
            rows=rows,
        )


def headline(found: Compared) -> list[str]:
    """A line for each of the first things that are asked, of sampled texts."""
    whole = ALL if len(found.hosts) > 1 else next(iter(found.hosts))
    lines = []
    for metric in HEADLINE:
        key = (whole, Predictor.SAMPLED, metric)
        if (apart := found.apart.get(*key)) is not None:
            one, other = (number_cell(numbers[key]) for numbers in (found.one, found.other))
            lines.append(
                f"{METRICS[metric]}, {whole}, sampled: {one.text} {one.doubt} in A, "
                f"{other.text} {other.doubt} in B: {words_of(apart)}"
            )
    return lines


def words_of(apart: Number) -> str:
    """The direction of a difference, or that none was measurable."""
    if not (apart.low > 0 or apart.high < 0):
        return f"no difference measurable (n={apart.num_units})"
    low, high = sorted((abs(apart.low), abs(apart.high)))
    side = "higher" if apart.value > 0 else "lower"
    return f"B is {side} by {_short(abs(apart.value))} [{_short(low)}, {_short(high)}]"


def csv_of(found: Compared) -> str:
    """All numbers that the tables have, at full precision."""
    lines = ["host,predictor,metric,side,value,low,high,num_units,covers"]
    sides = {"A": found.one, "B": found.other, "B - A": found.apart}
    for host, predictor, metric in _names(found):
        for side, numbers in sides.items():
            n = numbers[host, predictor, metric]
            values = (n.value, n.low, n.high, n.num_units)
            lines.append(",".join(map(str, (host, predictor, metric, side, *values, n.covers))))
    return "\n".join(lines) + "\n"


def latex_of(grid: Grid) -> str:
    """A table for a paper, with rules of booktabs."""
    head = " & ".join([*grid.labels, *grid.columns])
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(grid.labels)}{'r' * len(grid.columns)}}}",
        r"\toprule",
    ]
    lines += [rf"{_escaped(head)} \\", r"\midrule"]
    for row in grid.rows:
        cells = [f"{cell.text} {cell.doubt}".strip() for cell in row.cells]
        lines.append(rf"{_escaped(' & '.join([*row.labels, *cells]))} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _rows(found: Compared, predictor: Predictor) -> Iterator[Row]:
    before = ""
    for host, own, metric in _names(found):
        if own != predictor:
            continue
        one, other, apart = (n[host, own, metric] for n in (found.one, found.other, found.apart))
        yield Row(
            labels=(host, METRICS[metric]),
            cells=(
                number_cell(one),
                number_cell(other),
                # Named as a difference: else its interval would end where the metric does.
                number_cell(replace(apart, predictor=f"{own}{LESS}A")),
                words_cell(apart.num_units),
                words_cell(words_of(apart)),
            ),
            starts_section=host != before,
            is_mean=host in (TRAINED, HELD_OUT, ALL),
        )
        before = host


def _names(found: Compared) -> Iterator[tuple[str, str, str]]:
    for host in (*found.hosts, TRAINED, HELD_OUT, ALL):
        for predictor in LEARNED:
            for metric in METRICS:
                if found.apart.get(host, predictor, metric) is not None:
                    yield host, str(predictor), metric


def _keys(rows: Scored | Likelihood) -> list[Key]:
    columns = (rows[name].tolist() for name in ("host", "passage_id", "position"))
    return list(zip(*columns, strict=True))


def _cut(recorded: Recorded, common: set[Key]) -> Recorded:
    rows, likelihood = recorded.rows, recorded.likelihood
    is_in_N = np.array([key in common for key in _keys(rows)])
    if likelihood is not None:
        is_there_N = np.array([key in common for key in _keys(likelihood)], dtype=bool)
        likelihood = likelihood.where(is_there_N)
    return Recorded(rows=rows.where(is_in_N), likelihood=likelihood)


def _check_same_space(one: Scored, other: Scored) -> None:
    """Refuse where a host of one name is another model: its variances would be others."""
    for host in one.hosts():
        sides = [
            {(key, place): pair for key, place, pair in _of_activations(rows, host)}
            for rows in (one, other)
        ]
        for place, name in enumerate(("raw_norm", "own_variance")):
            ours, theirs = (
                float(np.mean([values[place] for values in side.values()])) for side in sides
            )
            if not np.isclose(ours, theirs, rtol=MOST_APART):
                raise ValueError(
                    f"{host} is not one model in both: the mean {name} of common rows is "
                    f"{ours:.4g} in A and {theirs:.4g} in B, so that an FVE of one is not divided "
                    "by what that of the other is"
                )


def _of_activations(rows: Scored, host: str) -> Iterator[tuple[str, int, tuple[float, float]]]:
    of_host = rows.of(host, Predictor.SAMPLED)
    names = ("passage_id", "position", "raw_norm", "own_variance")
    for passage, position, norm, variance in zip(
        *(of_host[name].tolist() for name in names), strict=True
    ):
        yield passage, position, (norm, variance)


def _left_out(side: str, own: set[Key], other: set[Key]) -> Iterator[str]:
    """What only one side has, and why."""
    missing, hosts = own - other, {host for host, _, _ in other}
    for host in sorted({key[0] for key in missing}):
        number = sum(key[0] == host for key in missing)
        why = "not these passages or positions" if host in hosts else "no such host"
        yield f"{number} rows of {host} in {side} only: the other has {why}"


def _extent(rows: Scored) -> str:
    num_passages = len(set(rows["passage_id"].tolist()))
    return f"{num_passages} passages of {', '.join(rows.hosts())}"


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if value >= 0.005 else f"{value:.1g}"


def _escaped(text: str) -> str:
    return text.replace("%", r"\%").replace("_", r"\_")
