"""The universal table: every host beside what its NLA must beat, and what it may not reach.

Data first (`universal_grids`), then tables for a terminal. Knows numbers and roles only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich.table import Table

from interlingua.published.results import PAPER_BASELINE, PUBLISHED_V6
from interlingua.report.numbers import (
    ALL,
    AT_START,
    GAP,
    HELD_OUT,
    HOSTS,
    LESS,
    NLL,
    START,
    TRAINED,
    Numbers,
)
from interlingua.report.tables.columns import (
    BLIND,
    LIKELIHOOD,
    MAIN,
    OTHERS,
    OWN,
    REFERENCES,
    SIMPLE,
    SUMMARY,
    UNCENTRED,
    Column,
)
from interlingua.report.tables.grid import (
    BETWEEN,
    NOTHING,
    Cell,
    Grid,
    Row,
    number_cell,
    rich_tables,
    value_cell,
    without_empty_columns,
)
from interlingua.specs.evaluation import Predictor
from interlingua.specs.hosts import TOY

GROUPS = (TRAINED, HELD_OUT, ALL, GAP)
PUBLISHED_AS = "published as FVE_pipeline_meannorm"
THEIRS = (
    "v6: greedy, on passages that it was trained on; baseline: a per-model NLA, centred, which is "
    "another statistic."
)


def intervals(numbers: Numbers) -> str:
    """What the intervals cover, in words."""
    over = f"95%, over {numbers.units}; 'over hosts': the host as the unit"
    return f"Intervals: {over}, of fewer than five n alone. One trained pair."


def universal_grids(numbers: Numbers, roles: Mapping[str, str]) -> list[Grid]:
    """All parts of the table, for the hosts of these roles and for their groups."""
    parts = {
        "Round trip: FVE per host": (MAIN, "fve_centred_own unless said."),
        "Controls: predictors that read nothing of the row": (
            BLIND,
            "fve_centred_own. shuffled, analytic: expected of independent pairs.",
        ),
        "Baselines: simple readers": (
            SIMPLE,
            "fve_centred_own. bag of words, word pairs, network: from the words of the sampled "
            "explanations. same document: the text of another row of it, of the rows that have "
            "one. nearest explanation: the teacher's, of the nearest row that a learning host has.",
        ),
        "References": (
            _with_ceilings(numbers, roles),
            "fve_centred_own. What lies above the NLA on the same rows, so that chance does not "
            "explain it, is named a ceiling.",
        ),
        "Texts and retrieval": (OTHERS, ""),
    }
    covered = intervals(numbers)
    ours = [
        _grid(numbers, roles, columns, title=title, caption=f"{caption} {covered}".strip())
        for title, (columns, caption) in parts.items()
    ]
    grids = [*ours, *_likelihood(numbers, roles)]
    return [*map(without_empty_columns, grids), _uncentred(numbers, roles)]


def is_ceiling(numbers: Numbers, host: str, predictor: str) -> bool:
    """Whether this predictor lies above the NLA, by the paired difference."""
    less = numbers.get(host, f"{Predictor.SAMPLED}{LESS}{predictor}", OWN)
    return less is not None and less.high < 0


def are_toys(roles: Mapping[str, str]) -> bool:
    """Whether these are the small models of a world, which nothing published is of."""
    return any(host.startswith(TOY) for host in roles)


def universal_tables(numbers: Numbers, roles: Mapping[str, str], *, width: int) -> Iterator[Table]:
    """The universal table and that of the reward training for a terminal of this width."""
    grids = universal_grids(numbers, roles)
    trained = training_grid(numbers, roles)
    for grid in grids if trained is None else [*grids, trained]:
        yield from rich_tables(grid, width)


def summary_grid(numbers: Numbers, roles: Mapping[str, str]) -> Grid:
    """The headline of every host beside what it must beat: what fits on a screen."""
    caption = f"{OWN}; gain: paired differences. {intervals(numbers)}"
    grid = _grid(numbers, roles, SUMMARY, title="FVE per host, with baselines", caption=caption)
    return without_empty_columns(grid)


def training_grid(numbers: Numbers, roles: Mapping[str, str]) -> Grid | None:
    """From supervised to reward training, on the same rows; None where nothing was compared."""
    predictors = [
        predictor
        for predictor in (Predictor.SAMPLED, Predictor.GREEDY)
        if _is_compared(numbers, roles, predictor)
    ]
    if not predictors:
        return None
    names = {Predictor.SAMPLED: "sampled", Predictor.GREEDY: "greedy"}
    columns = [f"{names[a]}: {w}" for a in predictors for w in ("before RL", "after RL", "gain")]
    rows = [
        Row(
            labels=labels,
            cells=tuple(
                cell
                for predictor in predictors
                for cell in _before_and_after(numbers, host, predictor, covers)
            ),
            starts_section=is_first,
            is_mean=host in GROUPS,
        )
        for labels, host, covers, is_first in _places(numbers, roles)
    ]
    return Grid(
        title="FVE before and after RL (paired)",
        caption=f"fve_centred_own; gain: paired differences. {intervals(numbers)}",
        labels=("host", "role"),
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _likelihood(numbers: Numbers, roles: Mapping[str, str]) -> Iterator[Grid]:
    """How likely the teacher's explanations are to the AV; nothing where it was not asked."""
    if any(numbers.get(host, Predictor.SAMPLED, NLL) for host in roles):
        yield _grid(
            numbers,
            roles,
            LIKELIHOOD,
            title="Loss of the teacher's explanations",
            caption="NLL in nats/token, a ratio of sums over tokens, given the row's own vector, "
            f"one of another document, or none; differences are paired. {intervals(numbers)}",
        )


def _is_compared(numbers: Numbers, roles: Mapping[str, str], predictor: str) -> bool:
    return any(numbers.get(host, predictor + LESS + START, OWN) for host in roles)


def _before_and_after(numbers: Numbers, host: str, predictor: str, covers: str) -> tuple[Cell, ...]:
    after = numbers.get(host, predictor, OWN, covers)
    gain = numbers.get(host, predictor + LESS + START, OWN, covers)
    if after is None or gain is None:
        return NOTHING, number_cell(after), number_cell(gain)
    before = numbers.get(host, predictor + AT_START, OWN, covers)
    return number_cell(before), number_cell(after), number_cell(gain)


def _with_ceilings(numbers: Numbers, roles: Mapping[str, str]) -> tuple[Column, ...]:
    whole = ALL if numbers.get(ALL, Predictor.SAMPLED, OWN) else next(iter(roles))
    return tuple(
        replace(one, title=f"{one.title} (ceiling)")
        if is_ceiling(numbers, whole, one.predictor)
        else one
        for one in REFERENCES
    )


def _grid(
    numbers: Numbers,
    roles: Mapping[str, str],
    columns: Sequence[Column],
    *,
    title: str,
    caption: str,
) -> Grid:
    rows = [
        Row(
            labels=labels,
            cells=tuple(
                number_cell(numbers.get(host, c.predictor, c.metric, covers), digits=c.digits)
                for c in columns
            ),
            starts_section=is_first,
            is_mean=host in GROUPS,
        )
        for labels, host, covers, is_first in _places(numbers, roles)
    ]
    return Grid(
        title=title,
        caption=caption,
        labels=("host", "role"),
        columns=tuple(column.title for column in columns),
        rows=tuple(rows),
    )


def _places(
    numbers: Numbers, roles: Mapping[str, str]
) -> Iterator[tuple[tuple[str, str], str, str, bool]]:
    """Labels, host or group, what its interval covers, and whether a section starts."""
    for host, role in roles.items():
        yield (host, role), host, numbers.units, False
    is_first = True
    for group in GROUPS:
        # Over passages the hosts are given; over hosts they are a sample of all hosts.
        for covers, words in ((numbers.units, f"over {numbers.units}"), (HOSTS, "over hosts")):
            if numbers.get(group, Predictor.SAMPLED, OWN, covers) is not None:
                yield (group, words), group, covers, is_first
                is_first = False


def _uncentred(numbers: Numbers, roles: Mapping[str, str]) -> Grid:
    """The uncentred number, never without the constant; of real hosts, beside published ones."""
    about = (
        "About 2 x mean cosine - 1: a constant predictor scores high on it, so that neither "
        "stands without the other."
    )
    toys = are_toys(roles)
    grid = _grid(
        numbers,
        roles,
        UNCENTRED,
        title="The uncentred FVE" if toys else f"The uncentred number, {PUBLISHED_AS}",
        caption=f"{about} {intervals(numbers)}"
        if toys
        else f"{about} {THEIRS} {intervals(numbers)}",
    )
    if toys:
        return grid
    known = {host: published_v6(host) for host in roles}
    rows = tuple(
        replace(row, cells=(*row.cells, known.get(row.labels[0], NOTHING), _baseline(row)))
        for row in grid.rows
    )
    columns = (*grid.columns, "published: v6", "published: baseline")
    return replace(grid, columns=columns, rows=rows)


def published_v6(host: str) -> Cell:
    """Number that the universal project published for this host."""
    value = PUBLISHED_V6.get(host)
    if value is None:
        return NOTHING
    name = BETWEEN.join((host, "published v6", "fve_uncentred", "published"))
    return value_cell(name, value, text=f"{value:.3f}")


def _baseline(row: Row) -> Cell:
    if row.is_mean:
        return NOTHING
    name = BETWEEN.join((row.labels[0], "published baseline", OWN, "published"))
    return value_cell(name, PAPER_BASELINE, text=f"{PAPER_BASELINE:.2f}")
