"""Sentences about an evaluation, made from its numbers. Knows no table and no page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from interlingua.report.headline.likelihood import likelihood_line
from interlingua.report.numbers import ALL, GAP, HOSTS, LESS, TRAINED, Number
from interlingua.report.tables.columns import LINEAR, OWN
from interlingua.report.tables.doubt import LEAST_UNITS
from interlingua.report.tables.grid import BETWEEN, Cell, number_cell, value_cell
from interlingua.report.tables.material import Material
from interlingua.report.tables.reinforced import learned, sign_of
from interlingua.report.tables.universal import PUBLISHED_AS, are_toys
from interlingua.specs.evaluation import PLAIN, Predictor

Sentence = tuple[str | Cell, ...]

# Predictors that do not read this row's vector.
BLIND = (
    Predictor.CONSTANT_EXPLANATION, Predictor.CONSTANT_VECTOR, Predictor.ZERO_VECTOR,
    Predictor.SHUFFLED_VECTORS, Predictor.SHUFFLED_EXPLANATIONS,
)  # fmt: skip
WORD_READERS = (Predictor.BAG_OF_WORDS, Predictor.WORD_NETWORK, Predictor.WORD_PAIRS)


@dataclass(frozen=True, slots=True)
class Group:
    """Sentences of one kind under a short title."""

    title: str
    sentences: Sequence[Sentence]


def headline(material: Material) -> list[Group]:
    """Every sentence that the numbers support beside the verdict, by what it is about."""
    groups = [
        Group(
            "What was measured", [_scope(material), *_among_runs(material), *_published(material)]
        )
    ]
    sampled = _number(material, Predictor.SAMPLED)
    if sampled is not None:
        groups += [
            Group(
                "Against baselines",
                [
                    *_linear(material),
                    *_against_blind(material),
                    *_against_nearest(material),
                    *_against_words(material),
                    *_against_general(material),
                ],
            ),
            Group(
                "Against the teacher",
                [*_against_teacher(material), likelihood_line(material.numbers, material.whole)],
            ),
            Group(
                "Texts and RL",
                [*_texts(material), *_distance(material), *learned(material)],
            ),
            Group("Trained and held-out hosts", list(_gap(material))),
        ]
    return [group for group in groups if group.sentences]


def _scope(material: Material) -> Sentence:
    roles = material.roles
    counts = {role: list(roles.values()).count(role) for role in dict.fromkeys(roles.values())}
    kinds = ", ".join(f"{count} {role}" for role, count in counts.items())
    num_passages = len(set(material.rows["passage_id"].tolist()))
    split = str(material.metrics["split"])
    return (
        "Measured on ",
        _count("num_passages", num_passages),
        f" passages{material.of_documents} of split {split} with ",
        _count("num_hosts", len(roles)),
        f" host{'s' if len(roles) > 1 else ''} ({kinds}); ",
        _count("num_rows", len(material.rows)),
        " scored rows in all.",
    )


def _among_runs(material: Material) -> Iterator[Sentence]:
    if material.rl_runs:
        [own] = [run for run in material.rl_runs if run.evaluation == material.evaluation.record]
        num_runs = len(material.rl_runs)
        yield (
            f"All of it is of run {own.run.label}; ",
            _count("num_runs", num_runs),
            " runs stand beside each other under RL runs.",
        )


def _against_blind(material: Material) -> Iterator[Sentence]:
    """Against the best of them: above a weaker one the AV might still read nothing."""
    words = {
        1: "so the AV reads its vector",
        0: "which is no proof that the AV reads its vector",
        -1: "so the words are worse than no reading at all",
    }
    lead = "The best prediction that does not read the vector"
    yield from _against_best(material, BLIND, lead, words)


def _against_words(material: Material) -> Iterator[Sentence]:
    words = {
        1: "so more is read than which words are there",
        0: "so a list of the words would do as well",
        -1: "so a list of the words does better",
    }
    lead = "The best prediction from the words of the same explanations alone"
    yield from _against_best(material, WORD_READERS, lead, words)


def _against_nearest(material: Material) -> Iterator[Sentence]:
    words = {
        1: "so the AV says more than what is said of the row most like it",
        0: "so to look up the nearest row would do as well",
        -1: "so to look up the nearest row does better",
    }
    lead = "The teacher's explanation of the training row with the nearest activation"
    # A held-out host has no such row: of hosts that differ there is no mean.
    whole = TRAINED if material.whole == ALL else material.whole
    yield from _against_best(material, [Predictor.NEAREST_EXPLANATION], lead, words, whole)


def _against_best(
    material: Material,
    predictors: Sequence[Predictor],
    lead: str,
    words: Mapping[int, str],
    whole: str | None = None,
) -> Iterator[Sentence]:
    def number(predictor: str) -> Number | None:
        return material.numbers.get(whole or material.whole, predictor, OWN)

    found = {one: value for one in predictors if (value := number(one)) is not None}
    if not found:
        return
    best = max(found, key=lambda predictor: found[predictor].value)
    less = number(f"{Predictor.SAMPLED}{LESS}{best}")
    if less is not None:
        yield (
            f"{lead} ({PLAIN[best]}) gives ",
            number_cell(found[best]),
            "; the difference is ",
            number_cell(less),
            f", {words[sign_of(less)]}.",
        )


def _against_general(material: Material) -> Iterator[Sentence]:
    general = _number(material, Predictor.GENERAL_FACTS)
    less = _number(material, f"{Predictor.SAMPLED}{LESS}{Predictor.GENERAL_FACTS}")
    if general is None or less is None:
        return
    words = {-1: "the AV's words are worth less", 0: "no less and no more", 1: "the words say more"}
    yield (
        "Naming the true language and topic alone would give ",
        number_cell(general),
        f": {words[sign_of(less)]} (difference ",
        number_cell(less),
        ").",
    )
    within = material.numbers.get(material.whole, Predictor.SAMPLED, "fve_centred_category")
    if within is not None:
        found = "some" if sign_of(within) > 0 else "none"
        yield (
            f"Within one language the explanations recover {found} of the variance ("
            "fve_centred_category ",
            number_cell(within),
            ").",
        )


def _against_teacher(material: Material) -> Iterator[Sentence]:
    teacher = _number(material, Predictor.TEACHER)
    less = _number(material, f"{Predictor.SAMPLED}{LESS}{Predictor.TEACHER}")
    if teacher is None or less is None:
        return
    sign = sign_of(less)
    if sign < 0 and not material.of_kind("rl"):
        words = (
            "Until RL the NLA stays below its teacher: the teacher says "
            "only a random part of what is true, and the AV learned to do the same."
        )
    else:
        words = {
            -1: "The NLA stays below its teacher.",
            0: "The NLA and its teacher do not differ measurably.",
            1: "The NLA is above its teacher: the AV's words suit the AR "
            "better than the teacher's.",
        }[sign]
    yield (
        "The teacher's own explanations, through the same AR and decoder, give ",
        number_cell(teacher),
        "; NLA minus teacher: ",
        number_cell(less),
        f". {words}",
    )


def _texts(material: Material) -> Iterator[Sentence]:
    lost, unique = (
        material.numbers.get(material.whole, Predictor.SAMPLED, metric)
        for metric in ("tag_failure_share", "unique_share")
    )
    if lost is not None and unique is not None:
        yield (
            "Unparseable texts (share): ",
            number_cell(lost, digits=3),
            "; distinct among the rest: ",
            number_cell(unique),
            ".",
        )


def _distance(material: Material) -> Iterator[Sentence]:
    """How far RL went from where it started."""
    for artifact in material.of_kind("rl"):
        record = artifact.record
        names = ("dev/kl_per_token", "dev/kl_per_text")
        token, text = (
            value_cell(
                BETWEEN.join((record.label, "rl", name, "record")), value, text=f"{value:.2f}"
            )
            for name, value in ((name, record.metrics[name]) for name in names)
        )
        yield ("KL from the supervised AV: ", token, " nats/token, ", text, "/text (on dev).")


def _linear(material: Material) -> Iterator[Sentence]:
    """The score before predictions are made unit vectors again."""
    linear = material.numbers.get(material.whole, Predictor.SAMPLED, LINEAR)
    if linear is not None:
        words = f" before predictions are scaled to one length ({LINEAR})."
        yield ("The NLA's score is ", number_cell(linear), words)


def _gap(material: Material) -> Iterator[Sentence]:
    gap = material.numbers.get(GAP, Predictor.SAMPLED, OWN)
    if gap is None:
        return
    words = {
        -1: "held-out hosts score higher than the trained ones",
        0: "trained and held-out hosts do not differ measurably",
        1: "trained hosts score higher than held-out ones",
    }
    yield ("Trained minus held-out hosts: ", number_cell(gap), f": {words[sign_of(gap)]}.")
    # Resampled passages say nothing of hosts that were never read: that takes hosts as units.
    over_hosts = material.numbers.get(GAP, Predictor.SAMPLED, OWN, HOSTS)
    if over_hosts is not None:
        is_few = over_hosts.num_units < LEAST_UNITS or not sign_of(over_hosts)
        of_others = "is too few hosts to generalise" if is_few else "holds for other hosts, too"
        yield (
            "With the host as the unit: ",
            number_cell(over_hosts),
            f", which {of_others}.",
        )


def _published(material: Material) -> Iterator[Sentence]:
    if are_toys(material.roles):
        return
    ours, constant = (
        material.numbers.get(material.whole, predictor, "fve_uncentred")
        for predictor in (Predictor.SAMPLED, Predictor.CONSTANT_VECTOR)
    )
    if ours is not None and constant is not None:
        yield (
            f"The number {PUBLISHED_AS} would be ",
            number_cell(ours),
            ", where a constant predictor already has ",
            number_cell(constant),
            ".",
        )


def _number(material: Material, predictor: str) -> Number | None:
    return material.numbers.get(material.whole, predictor, OWN)


def _count(name: str, value: int) -> Cell:
    return value_cell(BETWEEN.join(("evaluation", "", name, "count")), value, text=f"{value:,}")
