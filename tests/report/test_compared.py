"""Two evaluations on common rows: the paired difference, what is left out, what is refused."""

import numpy as np
import pytest
from tests.report.known_rows import GOOD, recorded, rows_of

from interlingua.report.tables.compared import compared, csv_of, grids, headline, latex_of, words_of
from interlingua.store.rows.scored import Scored


def changed(rows: Scored, **columns: np.ndarray) -> Scored:
    return Scored({**rows.columns, **columns})


@pytest.fixture(scope="module")
def rows() -> Scored:
    found = rows_of({"a": GOOD, "b": GOOD, "c": GOOD})
    norms = {key: 1 + n / 100 for n, key in enumerate(sorted(set(found["passage_id"].tolist())))}
    return changed(found, raw_norm=np.array([norms[key] for key in found["passage_id"].tolist()]))


def test_a_difference_is_paired_and_has_its_direction(rows):
    better = changed(rows, nmse=rows["nmse"] - 0.1 * rows["own_variance"])
    found = compared(recorded(rows), recorded(better))
    for host in rows.hosts():
        apart = found.apart[host, "sampled", "fve_centred_own"]
        one, other = (n[host, "sampled", "fve_centred_own"] for n in (found.one, found.other))
        assert apart.value == pytest.approx(other.value - one.value)
        # Paired: the same in every draw, however far rows differ.
        assert (apart.low, apart.high) == pytest.approx((0.1, 0.1)) and one.high - one.low > 0.001
        assert words_of(apart).startswith("B is higher by .1")
    assert not found.left_out
    lines = headline(found)
    assert lines[0].startswith("FVE, mean all, sampled: ") and ": B is higher by .1" in lines[0]


def test_the_same_twice_is_no_difference(rows):
    found = compared(recorded(rows), recorded(rows))
    apart = found.apart[next(iter(rows.hosts())), "sampled", "fve_centred_own"]
    assert (apart.value, apart.low, apart.high) == (0, 0, 0)
    assert words_of(apart) == f"no difference measurable (n={apart.num_units})"


def test_rows_of_one_side_alone_are_counted_and_left_out(rows):
    gone = rows["passage_id"][0]
    fewer = rows.where(rows["passage_id"] != gone)
    found = compared(recorded(rows), recorded(fewer))
    host = next(iter(rows.hosts()))
    assert found.left_out[0].startswith(f"1 rows of {host} in A only")
    assert len(found.left_out) == len(rows.hosts())
    num_passages = len(set(rows["passage_id"].tolist()))
    assert found.apart[host, "sampled", "fve_centred_own"].num_units == num_passages - 1


def test_nothing_in_common_is_refused(rows):
    other = changed(rows, passage_id=np.array([f"{key}x" for key in rows["passage_id"]], object))
    with pytest.raises(ValueError, match="nothing is common"):
        compared(recorded(rows), recorded(other))


@pytest.mark.parametrize("column", ["raw_norm", "own_variance"])
def test_another_model_of_the_same_name_is_refused(column, rows):
    other = changed(rows, **{column: rows[column] * 1.1})
    with pytest.raises(ValueError, match=f"is not one model in both: the mean {column}"):
        compared(recorded(rows), recorded(other))


def test_tables_say_how_many_intervals_they_show(rows):
    found = compared(recorded(rows), recorded(rows))
    [sampled, greedy] = grids(found, ("before", "after"))
    assert sampled.caption.startswith(f"{len(sampled.rows)} intervals of B - A")
    assert latex_of(greedy).count("\\\\\n") == len(greedy.rows) + 1
    num_rows = len(sampled.rows) + len(greedy.rows)
    assert len(csv_of(found).splitlines()) == 1 + 3 * num_rows
