"""The verdict in a few lines: it names what the NLA must beat, and claims no more than numbers."""

import pytest

from interlingua.report.headline.verdict import (
    TextCounts,
    printed_verdict,
    rivals,
    text_counts,
    verdict_grid,
    verdict_lines,
)
from interlingua.report.numbers import ALL, PASSAGES, TRAINED, Number, Numbers

ROLES = {"a": "anchor", "t": "trained", "u": "trained", "h": "held out"}
GATE = {"name": "leakage", "is_passed": True, "is_accepted": False}
GATES = {"gates": [GATE]}
SCORES = {
    "sampled": 0.5,
    "bag_of_words": 0.4, "sampled - bag_of_words": 0.1,
    "word_network": 0.45, "sampled - word_network": 0.05,
    "constant_vector": -0.1, "sampled - constant_vector": 0.6,
    "sampled - shuffled_vectors": 0.8, "sampled - start": 0.2,
}  # fmt: skip
TEXTS = TextCounts(
    num_rows=300, greedy=(40, 56), teacher=(290, 290), never_named=("role", "topic"),
    rarely_named=("mood",), knows_facts=True,
)  # fmt: skip


def number(host, predictor, metric, value):
    return Number(
        host=host, predictor=predictor, metric=metric, value=value, low=value - 0.02,
        high=value + 0.02, num_units=300, covers=PASSAGES,
    )  # fmt: skip


def numbers_with(**changes):
    scores = {**SCORES, **{name.replace("__", " - "): value for name, value in changes.items()}}
    found = [number(ALL, one, "fve_centred_own", value) for one, value in scores.items()]
    nearest = {"nearest_explanation": 0.3, "sampled - nearest_explanation": 0.2}
    found += [number(TRAINED, one, "fve_centred_own", value) for one, value in nearest.items()]
    found += [number(ALL, "sampled", "nmse", 0.1)]
    found += [number(ALL, "sampled - shuffled_vectors", "nll_per_token", -0.3)]
    return Numbers(found)


def test_it_says_first_what_was_asked_and_against_what():
    lines = verdict_lines(numbers_with(), ROLES, GATES, TEXTS)
    assert 4 <= len(lines) <= 6 and not any("<" in line for line in lines)
    carried, trivial, texts, vector, gain, gates = lines
    assert carried.startswith("The words carry 0.50 [0.48, 0.52] of an activation's variance")
    assert "mean of 3 hosts without the anchor" in carried
    for words in (
        "bag of words of the same texts 0.40 [0.38, 0.42]",
        "nearest training row's explanation (trained hosts) 0.30 [0.28, 0.32]",
        "constant vector -0.10 [-0.12, -0.08]",
        "above the best of them, network on the words of the same texts, by 0.05 [0.03, 0.07].",
    ):
        assert words in trivial
    assert texts == (
        "Distinct greedy texts a host: 40 to 56 of 300 rows (the teacher's: 290). Never named: "
        "role, topic; in under 5% of texts: mood."
    )
    assert vector.startswith("The vector is read: with another row's vector the texts lose 0.80")
    assert "-0.300 [-0.320, -0.280] nats/token" in vector
    assert gain.startswith("RL gained: 0.20") and gates == "Gates: all 1 passed."


@pytest.mark.parametrize(
    ("less", "words"),
    [
        (0.0, "The NLA is not measurably above the best of them, network on the words"),
        (-0.1, "The NLA is below the best of them, network on the words"),
    ],
)
def test_an_nla_that_beats_no_list_of_words_is_said_not_to(less, words):
    lines = verdict_lines(numbers_with(sampled__word_network=less), ROLES, GATES, TEXTS)
    assert words in lines[1]


def test_an_av_that_ignores_its_vector_is_said_to():
    lines = verdict_lines(numbers_with(sampled__shuffled_vectors=0.01), ROLES, GATES, TEXTS)
    assert lines[3].startswith("It is not shown that the vector is read")


def test_gates_that_failed_are_in_the_last_line():
    failed = {**GATE, "name": "null_range", "is_passed": False}
    accepted = {**failed, "name": "leakage", "is_accepted": True}
    lines = verdict_lines(numbers_with(), ROLES, {"gates": [GATE, failed, accepted]}, TEXTS)
    assert lines[-1] == (
        "Gates failed: null_range, so the numbers do not count; failed, but accepted beforehand: "
        "leakage."
    )


def test_the_strongest_rival_is_first_by_what_the_nla_leads_on_the_same_rows():
    assert [rival.predictor for rival in rivals(numbers_with(), ROLES)] == [
        "word_network", "bag_of_words", "nearest_explanation", "constant_vector",
    ]  # fmt: skip
    grid = verdict_grid(numbers_with(), ROLES)
    assert [row.cells[0].text for row in grid.rows] == ["0.50", "0.45", "0.40", "0.30", "-0.10"]
    assert grid.rows[0].cells[1].text == "-"


def test_without_a_sampled_text_nothing_is_claimed():
    none = Numbers([number("t", "teacher", "fve_centred_own", 0.4)])
    assert verdict_lines(none, {"t": "trained"}, GATES, None)[0] == (
        "No explanation of the AV was scored."
    )


@pytest.mark.slow
def test_the_texts_of_an_evaluation_are_counted(evaluated):
    evaluation = evaluated()
    lines = printed_verdict(evaluation)
    assert any(line.startswith("Distinct greedy texts a host: ") for line in lines)
    assert any("Never named: nothing" in line for line in lines)


def test_texts_are_counted_by_host():
    from tests.report.conftest import host_rows, passages_with

    from interlingua.store.rows.scored import joined

    passages = passages_with()
    parts = [host_rows(host, passages) for host in ("toy-lfm-7b", "toy-phi-1p5")]
    counts = text_counts(joined([part.columns for part in parts]))
    expected = [
        len({text for text in part.of(part["host"][0], "greedy")["explanation"] if text})
        for part in parts
    ]
    assert counts.greedy == tuple(expected) and counts.num_rows == len(passages)
    assert counts.never_named == ()
