"""What is named in the place of what is true."""

import numpy as np

from interlingua.report.tables.confusions import NONE, confusions_grid
from interlingua.store.rows.scored import Scored


def rows_of(*pairs, predictor="sampled"):
    columns = {
        "predictor": [predictor] * len(pairs),
        "said": [said for said, _ in pairs],
        "true": [true for _, true in pairs],
    }
    made = {}
    for name, values in columns.items():
        made[name] = np.empty(len(values), dtype=object)
        made[name][:] = values
    return Scored(made)


def test_the_commonest_mistake_is_first_with_its_share():
    rows = rows_of(
        (["topic=farm"], ["topic=market"]),
        (["topic=farm"], ["topic=market", "mood=sad"]),
        (["topic=market"], ["topic=market"]),
        (["mood=glad"], ["mood=sad"]),
        (["role=clerk"], ["mood=sad"]),
        (None, ["topic=market"]),
    )
    grid = confusions_grid(rows)
    found = [(row.labels[0], *(cell.text for cell in row.cells)) for row in grid.rows]
    assert found == [
        ("topic", "farm", "market", "2", "67%"),
        ("mood", "glad", "sad", "1", "100%"),
        ("role", "clerk", NONE, "1", "100%"),
    ]


def test_without_mistakes_or_facts_there_is_no_table():
    assert confusions_grid(rows_of((["topic=farm"], ["topic=farm"]))) is None
    assert confusions_grid(rows_of((None, None))) is None
    assert confusions_grid(rows_of((["topic=a"], ["topic=b"]), predictor="greedy")) is None
