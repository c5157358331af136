"""Gates: checks that an evaluation must pass before its numbers count, made on its rows alone.

A good FVE does not show that explanations collapsed into a code, that a null is off, or that rows
are missing. Thresholds are relative to where the AV's training started, or to its teacher.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interlingua.report.gates.evidence import (
    Evidence,
    Finding,
    distinct_share,
    distinct_words_share,
    never_named,
    num_distinct,
    texts_and_before,
    unknown,
    worded_share,
)
from interlingua.report.measures import SHUFFLED_NULL
from interlingua.report.numbers import ALL, LESS
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.store.rows.scored import NUMBERS

FVE = "fve_centred_own"
MOST_DROPPED = 0.01
MOST_FAILURES_ADDED = 0.05
LEAST_TEXTS_KEPT = 0.7
LEAST_WORDS_KEPT = 0.9
LEAST_OF_TEACHER = 0.5
LEAST_BEFORE_RL = 0.1
LEAST_WORDINGS_KEPT = 0.85
MOST_BETWEEN_NULLS = 0.1
MOST_BELOW_MEDIAN = 0.35
MOST_LOST_BY_DECODER = 0.01
ALIKE = "texts match their own vector better than a shuffled one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Outcome of one check: the worst value found, the bound, and what it means."""

    name: GateName
    is_passed: bool
    is_accepted: bool
    value: float
    bound: float
    words: str


def gates_of(evidence: Evidence, accepts: Sequence[GateName]) -> list[Gate]:
    """Every gate, passed or not."""
    checks: dict[GateName, Callable[[Evidence], Finding]] = {
        GateName.LEAKAGE: _leakage,
        GateName.MISSING_ROWS: _missing_rows,
        GateName.NON_FINITE: _non_finite,
        GateName.NULL_RANGE: _null_range,
        GateName.TAG_FAILURES: _tag_failures,
        GateName.COLLAPSED_TEXTS: _collapsed_texts,
        GateName.COLLAPSED_GREEDY: _collapsed_greedy,
        GateName.UNREADABLE_WORDING: _unreadable_wording,
        GateName.IGNORES_VECTOR: _ignores_vector,
        GateName.OUTLIER_HOST: _outlier_host,
        GateName.DECODER_FIT: _decoder_fit,
    }
    gates = []
    for name, check in checks.items():
        is_passed, value, bound, words = check(evidence)
        gates.append(
            Gate(
                name=name,
                is_passed=bool(is_passed),
                is_accepted=name in accepts,
                value=float(value),
                bound=float(bound),
                words=words,
            )
        )
    return gates


def _leakage(evidence: Evidence) -> Finding:
    num_passages = len(set(evidence.rows["passage_id"].tolist()))
    if evidence.num_unknown:
        words = (
            "what the served pair learned from is not known here: it may have learned from some of "
            f"the {num_passages} evaluated passages"
        )
        return False, evidence.num_unknown, 0, words
    # Else it cannot fail: scoring itself refuses where something upstream consumed a passage that
    # is evaluated. The gate records that this was checked, and on how many artifacts.
    words = (
        f"{evidence.num_checked} artifacts upstream say what they consumed; none of them consumed "
        f"one of the {num_passages} evaluated passages"
    )
    return True, 0, 0, words


def _missing_rows(evidence: Evidence) -> Finding:
    """Every predictor of every host has the same activations, in all samples, each once."""
    names = ("host", "predictor", "sample", "passage_id", "position")
    rows = evidence.rows.complete()
    columns = [rows[name].tolist() for name in names]
    found = set(zip(*columns, strict=True))
    hosts, activations = set(columns[0]), set(zip(*columns[3:], strict=True))
    # Predictors, each as often as it was sampled.
    num_texts = len(set(zip(*columns[1:3], strict=True)))
    missing = len(hosts) * len(activations) * num_texts - len(found)
    twice = len(rows) - len(found)
    words = f"{missing} missing rows" + (f"; {twice} are there more than once" if twice else "")
    return not missing and not twice, missing + twice, 0, words


def _non_finite(evidence: Evidence) -> Finding:
    """Few activations were dropped, and no score of the others is missing."""
    share = evidence.num_dropped / max(1, evidence.num_asked)
    # Only predictors with texts have the one; the other needs to know what is true of a row.
    knows = any(facts is not None for facts in evidence.rows["true"])
    absent = ("shuffled_nmse", "" if knows else "category_variance")
    scores = [evidence.rows[name] for name in NUMBERS if name not in absent]
    num_bad = sum(int((~np.isfinite(score_N)).sum()) for score_N in scores)
    words = (
        f"{evidence.num_dropped} of {evidence.num_asked} activations have zero or non-finite "
        "norm, on their host or on another"
    )
    if num_bad:
        words += f"; {num_bad} scores are not finite"
    return share <= MOST_DROPPED and not num_bad, share, MOST_DROPPED, words


def _null_range(evidence: Evidence) -> Finding:
    """Wrong pairs score below zero, as much as they should; so does a constant."""
    worst, words = -np.inf, ""
    for host in evidence.rows.hosts():
        expected = evidence.numbers.get(host, Predictor.SAMPLED, SHUFFLED_NULL)
        found = evidence.numbers.get(host, Predictor.SHUFFLED_EXPLANATIONS, FVE)
        constant = evidence.numbers.get(host, Predictor.CONSTANT_VECTOR, FVE)
        if expected is None or found is None or constant is None:
            continue
        # All three as one number that is to stay below the bound: `above` does so where none of
        # them is above 0, `off` where wrong pairs score about what independent ones would.
        off = abs(expected.value - found.value)
        above = max(expected.value, found.value, constant.value) + MOST_BETWEEN_NULLS
        if max(off, above) > worst:
            worst = max(off, above)
            words = (
                f"{host}: shuffled explanations score {found.value:.3f}, expected "
                f"{expected.value:.3f}; the constant {constant.value:.3f}; all must be at most 0"
            )
    if not words:
        return unknown("wrong pairs and a constant", MOST_BETWEEN_NULLS)
    return worst <= MOST_BETWEEN_NULLS, worst, MOST_BETWEEN_NULLS, words


def _tag_failures(evidence: Evidence) -> Finding:
    """Explanations close their tag about as often as where training started."""
    worst, words = -np.inf, ""
    for host, mine, before in texts_and_before(evidence.rows, evidence.start):
        added = float(mine["is_failed"].mean() - before["is_failed"].mean())
        if added > worst:
            worst = added
            words = f"{host}: {mine['is_failed'].mean():.1%} of sampled texts (T=1) are unparseable"
    if not words:
        return unknown("sampled texts (T=1) and some to compare them with", MOST_FAILURES_ADDED)
    return worst <= MOST_FAILURES_ADDED, worst, MOST_FAILURES_ADDED, words


def _collapsed_texts(evidence: Evidence) -> Finding:
    """Explanations at T=1 are as different, and as little repetitive, as those they began with."""
    least, words = np.inf, ""
    for host, mine, before in texts_and_before(evidence.rows, evidence.start):
        kept = {
            "distinct texts": (distinct_share(mine), distinct_share(before), LEAST_TEXTS_KEPT),
            "distinct words in a text": (
                distinct_words_share(mine),
                distinct_words_share(before),
                LEAST_WORDS_KEPT,
            ),
        }
        for what, (now, then, bound) in kept.items():
            # Scaled, so that one bound serves both.
            share = (now / then if then else 0.0) * LEAST_TEXTS_KEPT / bound
            if share < least:
                least, words = share, f"{host}: {what} {now:.2f}, at the start {then:.2f}"
    if not words:
        return unknown("sampled texts (T=1) and some to compare them with", LEAST_TEXTS_KEPT)
    return least >= LEAST_TEXTS_KEPT, least, LEAST_TEXTS_KEPT, words


def _collapsed_greedy(evidence: Evidence) -> Finding:
    """Greedy texts are at least half as many as the teacher's of the same activations.

    A tenth is enough where there is no start: such a pair imitates a teacher that names some facts
    by chance, and its likeliest text is an accident of its training.
    """
    least, words = np.inf, ""
    for host in evidence.rows.hosts():
        greedy, taught = (
            evidence.rows.of(host, predictor) for predictor in (Predictor.GREEDY, Predictor.TEACHER)
        )
        if not len(greedy) or not len(taught):
            continue
        now, then = num_distinct(greedy), num_distinct(taught)
        if now / max(1, then) < least:
            least = now / max(1, then)
            words = f"{host}: {now} distinct greedy texts, {then} of the teacher's"
            words += f"; never named: {', '.join(never_named(greedy)) or 'nothing'}"
    if not words:
        return unknown("greedy texts and the teacher's", LEAST_OF_TEACHER)
    bound = LEAST_BEFORE_RL if evidence.start is None else LEAST_OF_TEACHER
    return least >= bound, least, bound, words


def _unreadable_wording(evidence: Evidence) -> Finding:
    """About as many clauses are in known wordings as when training started, if any are known."""
    least, words = np.inf, ""
    for host, mine, before in texts_and_before(evidence.rows, evidence.start):
        now, then = worded_share(mine), worded_share(before)
        if now is not None and then and now / then < least:
            least = now / then
            words = (
                f"{host}: {now:.1%} of clauses in the teacher's wordings, at the start {then:.1%}"
            )
    if not words:
        return True, 1, LEAST_WORDINGS_KEPT, "no wordings are known: nothing to compare"
    return least >= LEAST_WORDINGS_KEPT, least, LEAST_WORDINGS_KEPT, words


def _ignores_vector(evidence: Evidence) -> Finding:
    """The right vector gives a better explanation than another's, on every host.

    Texts of one activation are also more alike than texts of two, over all hosts: what a single
    host shows of that is small beside its noise.
    """
    hosts = list(evidence.rows.hosts())
    whole = ALL if evidence.numbers.get(ALL, Predictor.SAMPLED, "similarity_gap") else hosts[0]
    gain = f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}"
    checks = [(host, gain, FVE, "explained better") for host in hosts]
    checks.append((whole, Predictor.SAMPLED, "similarity_gap", ALIKE))
    least, words = np.inf, ""
    for host, predictor, metric, what in checks:
        number = evidence.numbers.get(host, predictor, metric)
        # The low end of the interval: a difference that chance explains shows no reading.
        if number is not None and number.low < least:
            least = number.low
            words = f"{host}: {what} by {number.value:.3f} (low end {least:.3f})"
    if not words:
        return unknown("texts of right and of shuffled vectors", 0)
    return least > 0, least, 0, words


def _outlier_host(evidence: Evidence) -> Finding:
    """No host is far below the others."""
    hosts = evidence.rows.hosts()
    numbers = {host: evidence.numbers.get(host, Predictor.SAMPLED, FVE) for host in hosts}
    values = {host: number.value for host, number in numbers.items() if number is not None}
    if len(values) < 3:
        return True, 0, MOST_BELOW_MEDIAN, "fewer than three hosts: nothing to compare"
    # The median, not the mean: a host far below would draw the mean towards itself.
    median = float(np.median(list(values.values())))
    worst = min(values, key=lambda host: values[host])
    below = median - values[worst]
    words = f"{worst} has {FVE} {values[worst]:.3f}, the median host {median:.3f}"
    return below <= MOST_BELOW_MEDIAN, below, MOST_BELOW_MEDIAN, words


def _decoder_fit(evidence: Evidence) -> Finding:
    """The decoder is no worse than a ridge on what the AR makes of the AV's own texts."""
    if evidence.decoder_gain is None:
        return unknown("decoders to compare", MOST_LOST_BY_DECODER)
    gain = evidence.decoder_gain
    # The high end: it fails where it is worse by more than the bound, and chance does not explain.
    words = (
        f"the decoder less one fitted on the AV's own texts: {FVE} {gain.value:+.3f} "
        f"[{gain.low:+.3f}, {gain.high:+.3f}], the mean of hosts"
    )
    return -gain.high <= MOST_LOST_BY_DECODER, -gain.high, MOST_LOST_BY_DECODER, words


def failed(gates: Sequence[Gate]) -> list[str]:
    """The names of the gates that make a run bad."""
    return [gate.name.value for gate in gates if not gate.is_passed and not gate.is_accepted]


def gate_line(gate: Mapping[str, object]) -> str:
    """A recorded gate on one line."""
    verdict = "passed" if gate["is_passed"] else "accepted" if gate["is_accepted"] else "FAILED"
    return f"{verdict:8} {gate['name']}: {gate['words']}"
