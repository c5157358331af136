"""Facts that explanations name in the place of true ones, the commonest first. Knows no page."""

from collections import Counter

from interlingua.report.tables.grid import BETWEEN, Grid, Row, value_cell, words_cell
from interlingua.specs.evaluation import PLAIN, Predictor
from interlingua.store.rows.scored import Scored

MOST_SHOWN = 12
NONE = "none in the text"


def confusions_grid(rows: Scored, predictor: Predictor = Predictor.SAMPLED) -> Grid | None:
    """What is named wrongly most often, over all hosts; None where no fact is known or wrong."""
    own = rows.where(rows["predictor"] == predictor)
    named: Counter[tuple[str, str, str]] = Counter()  # kind, true value, named value
    for said, true in zip(own["said"].tolist(), own["true"].tolist(), strict=True):
        holds = dict(fact.split("=", 1) for fact in true or ())
        for kind, value in (fact.split("=", 1) for fact in said or ()):
            named[kind, holds.get(kind, NONE), value] += 1
    # Of texts that name a fact of the kind where this value holds: how often it is this one.
    totals: Counter[tuple[str, str]] = Counter()
    for (kind, true_value, _), count in named.items():
        totals[kind, true_value] += count
    wrong = [(key, count) for key, count in named.items() if key[1] != key[2]]
    wrong.sort(key=lambda entry: (-entry[1], entry[0]))
    if not wrong:
        return None
    found = []
    for (kind, true_value, value), count in wrong[:MOST_SHOWN]:
        name = BETWEEN.join(("all hosts", predictor, f"{kind}:{true_value}:{value}", "confusion"))
        share = count / totals[kind, true_value]
        cells = (
            words_cell(value),
            words_cell(true_value),
            value_cell(name, count, text=f"{count:,}"),
            value_cell(f"{name} share", share, text=f"{share:.0%}"),
        )
        found.append(Row(labels=(kind,), cells=cells))
    return Grid(
        title=f"Facts named wrongly most often, {PLAIN[predictor]}",
        caption="Texts of all hosts, every sample. share: of the texts that name a fact of the "
        "kind where this value holds.",
        labels=("kind of fact",),
        columns=("named", "true", "texts", "share"),
        rows=tuple(found),
    )
