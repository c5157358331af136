"""The universal table: every host beside its ceilings, its controls and what others published.

Data first (`universal_grids`), then tables for a terminal. Knows numbers and roles only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.table import Table

from interlingua.published.results import PAPER_BASELINE, PUBLISHED_V6
from interlingua.report.measures import ALL_TRUE, NLL, PERPLEXITY
from interlingua.report.numbers import (
    ALL,
    AT_START,
    GAP,
    HELD_OUT,
    HOSTS,
    LESS,
    START,
    TRAINED,
    Numbers,
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
OWN, LINEAR = "fve_centred_own", "fve_linear_own"
PUBLISHED_AS = "published as FVE_pipeline_meannorm"


@dataclass(frozen=True, slots=True)
class Column:
    """One number of every host."""

    title: str
    predictor: str
    metric: str = OWN
    digits: int = 2


MAIN = (
    Column("sampled (T=1)", Predictor.SAMPLED),
    Column("greedy", Predictor.GREEDY),
    Column("teacher's explanations", Predictor.TEACHER),
    Column("encoder, no words", Predictor.ENCODER),
    Column("sampled, no rescaling", Predictor.SAMPLED, LINEAR),
    Column("sampled, within language", Predictor.SAMPLED, "fve_centred_category"),
    Column("sampled, over mean direction", Predictor.SAMPLED, "fve_mean_direction"),
)
CONTROLS = (
    Column("constant vector", Predictor.CONSTANT_VECTOR),
    Column("constant explanation", Predictor.CONSTANT_EXPLANATION),
    Column("shuffled explanations", Predictor.SHUFFLED_EXPLANATIONS),
    Column("shuffled, analytic", Predictor.SAMPLED, "shuffled_fve_centred_own"),
    Column("shuffled vectors", Predictor.SHUFFLED_VECTORS),
    Column("zero vector", Predictor.ZERO_VECTOR),
    Column("same document", Predictor.SAME_DOCUMENT),
    Column("nearest explanation", Predictor.NEAREST_EXPLANATION),
    Column("the text itself", Predictor.PASSAGE_TEXT),
    Column("untrained AV", Predictor.UNTRAINED),
    Column("bag of words", Predictor.BAG_OF_WORDS),
    Column("network on words", Predictor.WORD_NETWORK),
    Column("word pairs", Predictor.WORD_PAIRS),
    Column("language+topic", Predictor.GENERAL_FACTS),
    Column("all facts", Predictor.ALL_FACTS),
)
OTHERS = (
    Column("top-1, sampled", Predictor.SAMPLED, "retrieval_top1", 3),
    Column("top-1, greedy", Predictor.GREEDY, "retrieval_top1", 3),
    Column("unparseable, sampled", Predictor.SAMPLED, "tag_failure_share", 3),
    Column("distinct, sampled", Predictor.SAMPLED, "unique_share"),
    Column("in known wordings, sampled", Predictor.SAMPLED, "worded_share"),
    Column("distinct, greedy", Predictor.GREEDY, "unique_share"),
    Column("all that is named true, sampled", Predictor.SAMPLED, ALL_TRUE),
    Column("all that is named true, greedy", Predictor.GREEDY, ALL_TRUE),
)
LIKELIHOOD = (
    Column("NLL, own vector", Predictor.SAMPLED, NLL, 3),
    Column("shuffled vector", Predictor.SHUFFLED_VECTORS, NLL, 3),
    Column("zero vector", Predictor.ZERO_VECTOR, NLL, 3),
    Column("own - shuffled", f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}", NLL, 3),
    Column("own - zero", f"{Predictor.SAMPLED}{LESS}{Predictor.ZERO_VECTOR}", NLL, 3),
    Column("perplexity, own", Predictor.SAMPLED, PERPLEXITY),
    Column("perplexity, shuffled", Predictor.SHUFFLED_VECTORS, PERPLEXITY),
    Column("perplexity, zero", Predictor.ZERO_VECTOR, PERPLEXITY),
)
SUMMARY = (
    Column("sampled (T=1)", Predictor.SAMPLED),
    Column("gain of RL", f"{Predictor.SAMPLED}{LESS}{START}"),
    Column("teacher", Predictor.TEACHER),
    Column("bag of words", Predictor.BAG_OF_WORDS),
    Column("network on words", Predictor.WORD_NETWORK),
    Column("word pairs", Predictor.WORD_PAIRS),
    Column("constant", Predictor.CONSTANT_VECTOR),
)
# A constant scores about 2 R - 1 here, R = ||mean u(g)||: it must stand beside every number.
UNCENTRED = (
    Column("sampled (T=1)", Predictor.SAMPLED, "fve_uncentred", 3),
    Column("greedy", Predictor.GREEDY, "fve_uncentred", 3),
    Column("constant predictor", Predictor.CONSTANT_VECTOR, "fve_uncentred", 3),
)


def intervals(numbers: Numbers) -> str:
    """What the intervals cover, in words."""
    over = f"95%, over {numbers.units}; 'over hosts': the host as the unit"
    return f"Intervals: {over}. One trained pair."


def universal_grids(numbers: Numbers, roles: Mapping[str, str]) -> list[Grid]:
    """All parts of the table, for the hosts of these roles and for their groups."""
    covered = intervals(numbers)
    ours = [
        _grid(
            numbers,
            roles,
            MAIN,
            title="Round trip: FVE per host",
            caption=f"fve_centred_own unless said. {covered}",
        ),
        _grid(
            numbers,
            roles,
            CONTROLS,
            title="Controls and baselines",
            caption="fve_centred_own. shuffled, analytic: expected of independent pairs. same "
            "document: the text of another row of it, of the rows that have one. nearest "
            f"explanation: the teacher's, of the nearest row that a learning host has. {covered}",
        ),
        _grid(numbers, roles, OTHERS, title="Texts and retrieval", caption=covered),
        *_likelihood(numbers, roles),
    ]
    return [*map(without_empty_columns, ours), _published(numbers, roles)]


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


def _published(numbers: Numbers, roles: Mapping[str, str]) -> Grid:
    """The uncentred number, never without the constant predictor, beside the published ones."""
    grid = _grid(
        numbers,
        roles,
        UNCENTRED,
        title=f"The uncentred number, {PUBLISHED_AS}",
        caption="About 2 x mean cosine - 1: a constant predictor scores high on it, so that "
        "neither stands without the other. v6: greedy, the released host of the same name, on "
        "passages that it was trained on; baseline: a per-model NLA, centred, which is another "
        f"statistic. Neither is of these hosts. {intervals(numbers)}",
    )
    known = {host: published_v6(host) for host in roles}
    rows = tuple(
        replace(row, cells=(*row.cells, known.get(row.labels[0], NOTHING), _baseline(row)))
        for row in grid.rows
    )
    columns = (*grid.columns, "published: v6", "published: baseline")
    return replace(grid, columns=columns, rows=rows)


def published_v6(host: str) -> Cell:
    """Number that the universal project published for this host, or for the toy's original."""
    value = PUBLISHED_V6.get(host.removeprefix(TOY))
    if value is None:
        return NOTHING
    name = BETWEEN.join((host, "published v6", "fve_uncentred", "published"))
    return value_cell(name, value, text=f"{value:.3f}")


def _baseline(row: Row) -> Cell:
    if row.is_mean:
        return NOTHING
    name = BETWEEN.join((row.labels[0], "published baseline", OWN, "published"))
    return value_cell(name, PAPER_BASELINE, text=f"{PAPER_BASELINE:.2f}")
