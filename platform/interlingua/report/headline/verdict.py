"""The verdict on an evaluation in a few lines, for page and terminal alike.

How much of an activation the words carry, against systems that read nothing; how many texts there
are; whether the vector is read. A pure function of numbers, roles and gates; knows no page.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlingua.report.gates.evidence import never_named, num_distinct
from interlingua.report.numbers import (
    ALL,
    LESS,
    NLL,
    NUMBERS_NAME,
    START,
    TRAINED,
    Number,
    Numbers,
    read_numbers,
)
from interlingua.report.tables.columns import OWN
from interlingua.report.tables.grid import BETWEEN, Cell, Grid, Row, number_cell, value_cell
from interlingua.report.tables.reinforced import sign_of
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.rows.scored import Scored, read_scored

Sentence = tuple[str | Cell, ...]

QUESTION = "How much of an activation do the words carry?"
RARELY = 0.05  # of the greedy texts
NLA = "the NLA: sampled explanations (T=1)"
# What an NLA must beat, from strong to weak as such systems usually are.
TRIVIAL = {
    Predictor.WORD_NETWORK: "network on the words of the same texts",
    Predictor.WORD_PAIRS: "word pairs of the same texts",
    Predictor.BAG_OF_WORDS: "bag of words of the same texts",
    Predictor.NEAREST_EXPLANATION: "nearest training row's explanation",
    Predictor.CONSTANT_EXPLANATION: "constant explanation",
    Predictor.CONSTANT_VECTOR: "constant vector",
}
ALWAYS_NAMED = (
    Predictor.BAG_OF_WORDS, Predictor.NEAREST_EXPLANATION, Predictor.CONSTANT_VECTOR,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """Distinct texts of every host, of so many rows, and the kinds of facts that none names."""

    num_rows: int  # of a host
    greedy: tuple[int, ...]
    teacher: tuple[int, ...]
    never_named: tuple[str, ...]
    rarely_named: tuple[str, ...]
    knows_facts: bool


@dataclass(frozen=True, slots=True)
class Rival:
    """A trivial system with its score, and what the NLA has more on the same rows."""

    predictor: Predictor
    words: str
    score: Number
    less: Number


def printed_verdict(evaluation: Artifact) -> list[str]:
    """The lines of an evaluation's folder, for a terminal."""
    rows = read_scored(evaluation.path)
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    return verdict_lines(numbers, rows.hosts(), evaluation.record.metrics, text_counts(rows))


def verdict_lines(
    numbers: Numbers, roles: Mapping[str, str], metrics: Mapping[str, Any], texts: TextCounts | None
) -> list[str]:
    """Four to six lines of plain text; `metrics` is of the evaluation's record."""
    return [
        "".join(p if isinstance(p, str) else f"{p.text} {p.doubt}".strip() for p in sentence)
        for sentence in (*verdict(numbers, roles, texts), gates_sentence(metrics))
    ]


def verdict(numbers: Numbers, roles: Mapping[str, str], texts: TextCounts | None) -> list[Sentence]:
    """Every sentence of it, the most important first."""
    whole = whole_of(numbers, roles)
    sampled = numbers.get(whole, Predictor.SAMPLED, OWN)
    if sampled is None:
        return [("No explanation of the AV was scored.",)]
    return [
        _carried(sampled, whole, roles),
        *_against_trivial(rivals(numbers, roles)),
        *_distinct(texts),
        *_reading(numbers, whole),
        *_gain(numbers, whole),
    ]


def whole_of(numbers: Numbers, roles: Mapping[str, str]) -> str:
    """Host or group that it is about: the mean of all hosts, or the only one."""
    return ALL if numbers.get(ALL, Predictor.SAMPLED, "nmse") else next(iter(roles))


def text_counts(rows: Scored) -> TextCounts | None:
    """What there is to read, from scored rows; None where no greedy text was scored."""
    greedy = rows.where(rows["predictor"] == Predictor.GREEDY)
    if not len(greedy):
        return None
    hosts = list(greedy.hosts())
    taught = [rows.of(host, Predictor.TEACHER) for host in hosts]
    return TextCounts(
        num_rows=len(greedy.where(greedy["host"] == hosts[0])),
        greedy=tuple(num_distinct(greedy.where(greedy["host"] == host)) for host in hosts),
        teacher=tuple(num_distinct(one) for one in taught if len(one)),
        never_named=tuple(never_named(greedy)),
        rarely_named=tuple(_rarely_named(greedy)),
        knows_facts=any(facts for facts in greedy["true"].tolist()),
    )


def rivals(numbers: Numbers, roles: Mapping[str, str]) -> list[Rival]:
    """The trivial systems that were scored; the strongest, which the NLA leads least, first."""
    whole, found = whole_of(numbers, roles), []
    for predictor, words in TRIVIAL.items():
        # Of a held-out host no row was trained on: of those there is no nearest.
        is_of_trained = predictor == Predictor.NEAREST_EXPLANATION and whole == ALL
        host = TRAINED if is_of_trained else whole
        score = numbers.get(host, predictor, OWN)
        less = numbers.get(host, f"{Predictor.SAMPLED}{LESS}{predictor}", OWN)
        if score is not None and less is not None:
            suffix = " (trained hosts)" if is_of_trained else ""
            found.append(Rival(predictor, words + suffix, score, less))
    return sorted(found, key=lambda rival: rival.less.value)


def verdict_grid(numbers: Numbers, roles: Mapping[str, str]) -> Grid | None:
    """The NLA above every trivial system, the strongest first; None without the NLA's score."""
    whole = whole_of(numbers, roles)
    sampled = numbers.get(whole, Predictor.SAMPLED, OWN)
    if sampled is None:
        return None
    cells = [(rival.words, rival.score, rival.less) for rival in rivals(numbers, roles)]
    rows = [
        Row(labels=(words,), cells=(number_cell(score), number_cell(less)))
        for words, score, less in ((NLA, sampled, None), *cells)
    ]
    return Grid(
        title="The NLA against trivial systems",
        caption=f"{OWN}, {'mean of all hosts but the anchor' if whole == ALL else whole}; "
        f"differences are paired. 95% intervals over {numbers.units}.",
        labels=("system",),
        columns=(OWN, "NLA minus it"),
        rows=tuple(rows),
    )


def gates_sentence(metrics: Mapping[str, Any]) -> Sentence:
    """Whether the numbers count."""
    failed = [gate for gate in metrics["gates"] if not gate["is_passed"]]
    bad = [gate["name"] for gate in failed if not gate["is_accepted"]]
    accepted = [gate["name"] for gate in failed if gate["is_accepted"]]
    if not failed:
        return (f"Gates: all {len(metrics['gates'])} passed.",)
    words = [f"failed: {', '.join(bad)}, so the numbers do not count"] if bad else []
    words += [f"failed, but accepted beforehand: {', '.join(accepted)}"] if accepted else []
    return (f"Gates {'; '.join(words)}.",)


def _carried(sampled: Number, whole: str, roles: Mapping[str, str]) -> Sentence:
    num_hosts = sum(role != "anchor" for role in roles.values())
    of = f"mean of {num_hosts} hosts without the anchor" if whole == ALL else whole
    return (
        "The words carry ",
        number_cell(sampled),
        f" of an activation's variance ({OWN} of sampled explanations, {of}; no constant is above "
        "0, and 1 is everything).",
    )


def _against_trivial(found: Sequence[Rival]) -> Iterator[Sentence]:
    if not found:
        return
    best = found[0]
    words = {
        1: f"The NLA is above the best of them, {best.words}, by ",
        0: f"The NLA is not measurably above the best of them, {best.words}: ",
        -1: f"The NLA is below the best of them, {best.words}: ",
    }
    named = [rival for rival in found if rival in (best,) or rival.predictor in ALWAYS_NAMED]
    parts: list[str | Cell] = ["Trivial systems carry: "]
    for rival in named:
        parts += [f"{rival.words} ", number_cell(rival.score), "; "]
    yield (*parts[:-1], f". {words[sign_of(best.less)]}", number_cell(best.less), ".")


def _distinct(texts: TextCounts | None) -> Iterator[Sentence]:
    if texts is None:
        return
    teacher = f" (the teacher's: {_span(texts.teacher)})" if texts.teacher else ""
    each = " a host" if len(texts.greedy) > 1 else ""
    parts: list[str | Cell] = [
        f"Distinct greedy texts{each}: {_span(texts.greedy)} of ",
        value_cell(
            BETWEEN.join(("evaluation", "greedy", "num_rows_of_a_host", "count")),
            texts.num_rows,
            text=f"{texts.num_rows:,}",
        ),
        f" rows{teacher}.",
    ]
    if texts.knows_facts:
        never, rarely = ", ".join(texts.never_named), ", ".join(texts.rarely_named)
        parts.append(f" Never named: {never or 'nothing'}")
        parts.append(f"; in under {RARELY:.0%} of texts: {rarely}." if rarely else ".")
    yield tuple(parts)


def _rarely_named(rows: Scored) -> list[str]:
    """The kinds of facts that some texts name, but few."""
    kinds = [{fact.partition("=")[0] for fact in facts or ()} for facts in rows["said"].tolist()]
    counts = Counter(kind for own in kinds for kind in own)
    return sorted(kind for kind, count in counts.items() if count < RARELY * len(kinds))


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _reading(numbers: Numbers, whole: str) -> Iterator[Sentence]:
    """Both ways to ask: what another vector does to the AV's texts, and to a given text's loss."""
    less = f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}"
    fve, nll = numbers.get(whole, less, OWN), numbers.get(whole, less, NLL)
    parts: list[str | Cell] = []
    if fve is not None:
        parts += ["with another row's vector the texts lose ", number_cell(fve), " FVE"]
    if nll is not None:
        parts += [
            "; " if parts else "",
            "loss of the teacher's texts, own minus another's vector: ",
        ]
        parts += [number_cell(nll, digits=3), " nats/token"]
    if parts:
        is_read = (fve is None or sign_of(fve) > 0) and (nll is None or sign_of(nll) < 0)
        lead = "The vector is read" if is_read else "It is not shown that the vector is read"
        yield (f"{lead}: ", *parts, ".")


def _gain(numbers: Numbers, whole: str) -> Iterator[Sentence]:
    gain = numbers.get(whole, f"{Predictor.SAMPLED}{LESS}{START}", OWN)
    if gain is not None:
        words = {-1: "lost", 0: "changed nothing measurable", 1: "gained"}[sign_of(gain)]
        yield (f"RL {words}: ", number_cell(gain), " against the supervised pair, same rows.")
