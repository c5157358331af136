"""Systems that are bad in one way each: none of them has both a good number and all gates."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from tests.report.known_rows import GOOD, System, own_text, recorded, rows_of

from interlingua.core.statistics import Estimate
from interlingua.report.from_rows import numbers_of
from interlingua.report.gates.evidence import Evidence
from interlingua.report.gates.gates import failed, gate_line, gates_of
from interlingua.report.numbers import ALL, Numbers
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.store.rows.scored import Scored

pytestmark = pytest.mark.slow

FVE = "fve_centred_own"
HOSTS = ("x", "y", "z")
NUM_DRAWS = 200
GAINS = [("z", "sampled - shuffled_vectors", FVE), (ALL, "sampled", "similarity_gap")]


def evidence(rows, start=None, **changes):
    began = None if start is None else recorded(start)
    numbers = numbers_of(recorded(rows), seed=0, start=began, num_draws=NUM_DRAWS)
    same = Estimate(value=0.0, low=0.0, high=0.0, num_units=60)
    counts = {"num_asked": 180, "num_dropped": 0, "num_checked": 9, "decoder_gain": same}
    return Evidence(rows=rows, numbers=numbers, start=start, **{**counts, **changes})


def all_hosts(system):
    return rows_of(dict.fromkeys(HOSTS, system))


def one_host(system):
    return rows_of({"x": GOOD, "y": system, "z": GOOD})


def failing(looked_at):
    """The gates that fail, after their numbers were found fit for a record."""
    gates = gates_of(looked_at, ())
    assert [gate.name for gate in gates] == list(GateName)
    assert all(np.isfinite([gate.value, gate.bound]).all() for gate in gates)
    return set(failed(gates))


def headline(looked_at):
    return looked_at.numbers["y", Predictor.SAMPLED, FVE].value


def changed(rows, is_taken_N, **values):
    columns = dict(rows.columns)
    for name, value in values.items():
        column_N = columns[name].copy()
        if column_N.dtype == object:
            column_N[np.flatnonzero(is_taken_N)] = value
        else:
            column_N[is_taken_N] = value
        columns[name] = column_N
    return Scored(columns)


@pytest.fixture(scope="module")
def good_rows():
    return all_hosts(GOOD)


@pytest.fixture(scope="module")
def good(good_rows):
    return evidence(good_rows)


def test_a_good_system_passes_everything(good, good_rows):
    assert failing(good) == set() and headline(good) > 0.5
    assert failing(evidence(good_rows, start=good_rows)) == set()


@pytest.mark.parametrize("spoil", [all_hosts, one_host])
def test_a_constant_predictor_scores_nothing_and_is_caught(spoil):
    """Its texts are fine, and nobody reads them."""
    looked_at = evidence(spoil(System(reads_text=False)))
    assert headline(looked_at) <= 0
    assert failing(looked_at) >= {"ignores_vector"}


@pytest.mark.parametrize("spoil", [all_hosts, one_host])
def test_a_predictor_that_ignores_the_explanation_scores_nothing(spoil):
    looked_at = evidence(spoil(System(kept=0.0, noise=0.5)))
    assert headline(looked_at) <= 0
    assert failing(looked_at) >= {"ignores_vector"}


@pytest.mark.parametrize("spoil", [all_hosts, one_host])
def test_a_verbalizer_with_one_text_scores_nothing_and_is_caught(spoil):
    system = System(text=lambda row, sample: "of the farm", reads_text=False, reads_vector=False)
    looked_at = evidence(spoil(system))
    assert headline(looked_at) <= 0
    assert failing(looked_at) >= {"collapsed_texts", "ignores_vector"}


def few(row, sample):
    return own_text(row % 30, sample)


def code(row, sample):
    return f"code{row % 36} is all that stands here"


def stuttered(row, sample):
    return f"word{row} Word{row} WORD{row} other{row} sample{sample}"


@pytest.mark.parametrize("text", [few, code, stuttered])
@pytest.mark.parametrize("spoil", [all_hosts, one_host])
@pytest.mark.parametrize("has_start", [False, True])
def test_texts_that_collapsed_are_caught_whatever_they_score(text, spoil, has_start, good_rows):
    """A private code may keep all that the AR needs."""
    looked_at = evidence(spoil(System(text=text)), good_rows if has_start else None)
    assert headline(looked_at) > 0.5
    assert failing(looked_at) == {"collapsed_texts"}


@pytest.mark.parametrize("spoil", [all_hosts, one_host])
def test_greedy_texts_that_are_few_are_caught_with_what_they_never_name(spoil):
    """Sampled texts may differ by chance alone while the likeliest text is hardly ever another."""
    rows = spoil(System(text=lambda row, sample: f"text{row % 29}"))
    is_greedy_N = rows["predictor"] == Predictor.GREEDY
    good = all_hosts(GOOD)
    columns = {
        name: np.where(is_greedy_N, column, good[name]) for name, column in rows.columns.items()
    }
    words = "29 distinct greedy texts, 60 of the teacher's; never named: topic"
    (after,) = [g for g in gates_of(evidence(Scored(columns), start=good), ()) if not g.is_passed]
    assert after.name is GateName.COLLAPSED_GREEDY and after.words.endswith(words)
    # Before RL it is said, and does not count: there a tenth is enough.
    before = {gate.name: gate for gate in gates_of(evidence(Scored(columns)), ())}
    assert failed(list(before.values())) == []
    assert words in before[GateName.COLLAPSED_GREEDY].words


def test_one_greedy_text_for_every_vector_is_caught_before_reinforcement(good_rows):
    """Texts at T=1 differ by chance, as those of an AV that never learned to read its vector."""
    is_greedy_N = good_rows["predictor"] == Predictor.GREEDY
    rows = changed(good_rows, is_greedy_N, explanation="a letter. english.")
    assert failing(evidence(rows)) == {"collapsed_greedy"}


def test_a_decoder_that_is_worse_than_one_on_texts_is_caught(good_rows):
    worse = Estimate(value=-0.2, low=-0.25, high=-0.15, num_units=60)
    assert failing(evidence(good_rows, decoder_gain=worse)) == {"decoder_fit"}
    chance = Estimate(value=-0.02, low=-0.05, high=0.01, num_units=60)
    assert failing(evidence(good_rows, decoder_gain=chance)) == set()
    assert failing(evidence(good_rows, decoder_gain=None)) == {"decoder_fit"}


def test_texts_are_compared_with_the_start_and_not_with_an_ideal():
    rows = all_hosts(System(text=code))
    assert failing(evidence(rows, start=rows)) == set()


def test_repeating_itself_from_sample_to_sample_is_no_collapse():
    rows = all_hosts(System(text=lambda row, sample: own_text(row, 0)))
    assert failing(evidence(rows)) == set()
    assert failing(evidence(all_hosts(System(text=few)), start=rows)) == {"collapsed_texts"}


def test_a_lost_text_is_no_distinct_text():
    rows = all_hosts(
        System(text=lambda row, sample: own_text(row, sample) if row % 5 > 1 else None)
    )
    assert failing(evidence(rows)) >= {"tag_failures", "collapsed_texts"}


def test_vectors_that_are_not_read_are_caught_on_one_host():
    """Any vector gives the same texts, which are good by chance."""
    assert failing(evidence(one_host(System(reads_vector=False)))) == {"ignores_vector"}


@pytest.mark.parametrize(("host", "predictor", "metric"), GAINS)
def test_a_gain_that_may_be_none_is_none(host, predictor, metric, good):
    """Large, and not sure: what counts is the low end, of the worst host or of all together."""
    sure = good.numbers[host, predictor, metric]
    unsure = replace(sure, value=5.0, low=-0.01, high=10.0)
    numbers = Numbers([unsure if number == sure else number for number in good.numbers.all])
    assert failing(replace(good, numbers=numbers)) == {"ignores_vector"}


@pytest.mark.parametrize(("num_lost", "expected"), [(3, set()), (4, {"tag_failures"})])
def test_tags_may_be_lost_as_often_as_at_the_start_and_a_little_more(num_lost, expected):
    def text(row, sample):
        return None if row < num_lost and sample == 0 else own_text(row, sample)

    rows = one_host(System(text=text))
    assert failing(evidence(rows)) == expected
    assert failing(evidence(rows, start=rows)) == set()


@pytest.mark.parametrize(("num_distinct", "expected"), [(42, set()), (41, {"collapsed_texts"})])
def test_seven_tenths_of_the_texts_must_stay_distinct(num_distinct, expected):
    rows = one_host(System(text=lambda row, sample: own_text(row % num_distinct, sample)))
    assert failing(evidence(rows)) == expected


@pytest.mark.parametrize(("times", "expected"), [(2, set()), (3, {"collapsed_texts"})])
def test_words_of_a_text_must_stay_distinct(times, expected):
    """The teacher's have seven distinct words of seven."""

    def text(row, sample):
        return " ".join([*(f"w{row}x{place}" for place in range(8)), *[f"r{row}"] * times])

    assert failing(evidence(one_host(System(text=text)))) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.86, set()), (0.84, {"unreadable_wording"})])
def test_clauses_must_keep_to_known_wordings(share, expected):
    """Of texts that stay as distinct and as varied as they were."""
    rows = one_host(System())
    told = {"num_clauses": np.full(len(rows), 100), "num_worded": np.full(len(rows), 90)}
    start = Scored({**rows.columns, **told})
    worded_N = np.where(rows["predictor"] == Predictor.SAMPLED, round(90 * share), 90)
    coded = Scored({**start.columns, "num_worded": worded_N})
    assert failing(evidence(coded, start=start)) == expected
    assert failing(evidence(coded)) == expected  # beside the teacher's
    assert failing(evidence(start, start=start)) == set()
    by_name = {gate.name: gate for gate in gates_of(evidence(rows), ())}
    assert by_name[GateName.UNREADABLE_WORDING].words == "no wordings are known: nothing to compare"


@pytest.mark.parametrize(("above", "expected"), [(0.02, set()), (-0.02, {"outlier_host"})])
def test_one_host_outlier_host_the_median_is_caught(above, expected, good_rows):
    is_host_N = (good_rows["host"] == "y") & (good_rows["predictor"] == Predictor.SAMPLED)
    own = good_rows.where(is_host_N)
    values = [evidence_value(good_rows, host) for host in ("x", "z")]
    wanted = min(values) - 0.35 + above if above < 0 else max(values) - 0.35 + above
    # One NMSE for all rows, so that the host scores what is wanted.
    nmse = (1 - wanted) * own["own_variance"].mean()
    rows = changed(good_rows, is_host_N, nmse=nmse)
    assert expected <= failing(evidence(rows)) <= expected | {"ignores_vector"}
    assert "outlier_host" not in failing(evidence(rows.where(rows["host"] != "x")))


def evidence_value(rows, host):
    own = rows.of(host, Predictor.SAMPLED)
    return 1 - own["nmse"].sum() / own["own_variance"].sum()


@pytest.mark.parametrize(
    ("dropped", "asked", "expected"), [(1, 100, set()), (2, 199, {"non_finite"}), (0, 0, set())]
)
def test_hardly_any_activation_may_be_dropped(dropped, asked, expected, good):
    assert failing(replace(good, num_dropped=dropped, num_asked=asked)) == expected


@pytest.mark.parametrize(
    "name", ["cos", "nmse", "linear_error", "own_variance", "uncentred_error", "raw_norm"]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_missing_is_caught(name, value, good_rows):
    is_one_N = (
        np.arange(len(good_rows)) == np.flatnonzero(good_rows["predictor"] == Predictor.GREEDY)[4]
    )
    assert "non_finite" in failing(evidence(changed(good_rows, is_one_N, **{name: value})))


def test_where_nothing_is_known_no_group_is(good_rows):
    """Without a truth no row has a category; with one, a missing variance is a missing score."""
    every_N = np.ones(len(good_rows), bool)
    without = changed(good_rows, every_N, category_variance=np.nan)
    assert "non_finite" in failing(evidence(without))
    unknown = Scored({**without.columns, "true": np.array([None] * len(without), object)})
    assert "non_finite" not in failing(evidence(unknown))


def scaled_to(rows, predictor, host, value, name="nmse"):
    own = rows.of(host, predictor)
    return changed(
        rows,
        (rows["host"] == host) & (rows["predictor"] == predictor),
        **{name: (1 - value) * own["own_variance"].mean()},
    )


@pytest.mark.parametrize(("value", "expected"), [(-0.001, set()), (0.001, {"null_range"})])
def test_a_constant_above_zero_is_caught(value, expected, good_rows):
    rows = scaled_to(good_rows, Predictor.CONSTANT_VECTOR, "z", value)
    assert failing(evidence(rows)) == expected


@pytest.mark.parametrize(
    ("away", "expected"),
    [(0.09, set()), (-0.09, set()), (0.11, {"null_range"}), (-0.11, {"null_range"})],
)
def test_wrong_pairs_that_do_not_score_what_they_should_are_caught(away, expected, good):
    told = good.numbers["x", Predictor.SAMPLED, "shuffled_fve_centred_own"].value
    assert told < -0.5
    rows = scaled_to(good.rows, Predictor.SHUFFLED_EXPLANATIONS, "x", told + away)
    assert failing(evidence(rows)) == expected


@pytest.mark.parametrize(("found", "expected"), [(0.02, -0.02), (-0.02, 0.02), (0.02, 0.02)])
def test_wrong_pairs_above_zero_are_caught(found, expected, good_rows):
    """As near to each other as they may be: the rows are then no wrong pairs."""
    rows = scaled_to(good_rows, Predictor.SHUFFLED_EXPLANATIONS, "x", found)
    rows = scaled_to(rows, Predictor.SAMPLED, "x", expected, "shuffled_nmse")
    assert failing(evidence(rows)) == {"null_range"}


def lost(rows):
    is_greedy_N = (rows["host"] == "y") & (rows["predictor"] == Predictor.GREEDY)
    one_N = np.arange(len(rows)) == np.flatnonzero(is_greedy_N)[0]
    is_twice_N = (
        (rows["host"] == "y") & (rows["predictor"] == Predictor.SAMPLED) & (rows["sample"] == 1)
    )
    return {
        "a row": ~one_N,
        "a predictor": ~is_greedy_N,
        "a sample": ~is_twice_N,
        "a passage of a host": (rows["host"] != "y") | (rows["passage_id"] != f"{3:016x}"),
    }


@pytest.mark.parametrize("what", ["a row", "a predictor", "a sample", "a passage of a host"])
def test_lost_rows_are_caught(what, good_rows):
    assert failing(evidence(good_rows.where(lost(good_rows)[what]))) >= {"missing_rows"}


def test_a_row_that_stands_in_for_another_is_caught(good_rows):
    """Two of one sample, and none of the other: as many rows as there should be."""
    is_second_N = (good_rows["predictor"] == Predictor.SAMPLED) & (good_rows["sample"] == 1)
    rows = changed(good_rows, is_second_N & (good_rows["host"] == "y"), sample=0)
    assert "missing_rows" in failing(evidence(rows))
    twice = np.concatenate([np.arange(len(good_rows)), [5]])
    assert "missing_rows" in failing(evidence(good_rows.where(twice)))


@pytest.mark.parametrize(
    ("predictor", "gates"),
    [
        (Predictor.SHUFFLED_EXPLANATIONS, {"null_range"}),
        (Predictor.CONSTANT_VECTOR, {"null_range"}),
        (Predictor.TEACHER, {"tag_failures", "collapsed_texts", "collapsed_greedy"}),
        (Predictor.GREEDY, {"collapsed_greedy"}),
    ],
)
def test_what_was_not_looked_at_has_not_passed(predictor, gates, good_rows):
    assert failing(evidence(good_rows.where(good_rows["predictor"] != predictor))) == gates


def test_without_any_comparison_of_vectors_none_was_read():
    rows = rows_of({"x": System(samples=1)})
    rows = rows.where(rows["predictor"] != Predictor.SHUFFLED_VECTORS)
    assert failing(evidence(rows)) == {"ignores_vector"}


def test_a_gate_is_accepted_by_its_name_and_no_other():
    system = System(text=lambda row, sample: "of the farm", reads_text=False, reads_vector=False)
    looked_at = evidence(all_hosts(system))
    accepted = gates_of(looked_at, (GateName.COLLAPSED_TEXTS, GateName.TAG_FAILURES))
    assert failed(accepted) == ["collapsed_greedy", "ignores_vector"]
    by_name = {gate.name: gate for gate in accepted}
    assert (
        not by_name[GateName.COLLAPSED_TEXTS].is_passed
        and by_name[GateName.COLLAPSED_TEXTS].is_accepted
    )
    verdicts = {gate.name.value: gate_line(asdict(gate)).split()[0] for gate in accepted}
    assert verdicts["collapsed_texts"] == "accepted" and verdicts["ignores_vector"] == "FAILED"
    assert verdicts["tag_failures"] == "passed"
