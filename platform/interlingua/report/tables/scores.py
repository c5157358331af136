"""A run of a recipe in a few numbers, and its gates, for a tracker. Knows no page and no tracker.

Numbers with their intervals are in `numbers.csv`; these are to compare runs by.
"""

from collections.abc import Iterator, Mapping, Sequence

from interlingua.report.numbers import (
    ALL,
    HELD_OUT,
    LESS,
    NLL,
    NUMBERS_NAME,
    START,
    TRAINED,
    Numbers,
    read_numbers,
)
from interlingua.report.tables.columns import OWN
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact

HEADLINE = ("fve/all hosts", "fve_gain_of_rl/all hosts", "fve_above_word_ridge", "texts/precision")
MOST_HOSTS = 9  # beyond these their groups alone
GROUPS = {ALL: "all hosts", TRAINED: "trained hosts", HELD_OUT: "held-out hosts"}
GAIN = f"{Predictor.SAMPLED}{LESS}{START}"
PASSED, FAILED, ACCEPTED = "passed", "failed", "accepted"
# Of the whole: predictor and metric by the name that people read.
OF_THE_WHOLE = {
    "fve_greedy": (Predictor.GREEDY, OWN),
    "fve_teacher": (Predictor.TEACHER, OWN),
    "fve_above_word_ridge": (f"{Predictor.SAMPLED}{LESS}{Predictor.BAG_OF_WORDS}", OWN),
    "fve_above_teacher": (f"{Predictor.SAMPLED}{LESS}{Predictor.TEACHER}", OWN),
    "nll_of_teacher/own": (Predictor.SAMPLED, NLL),
    "nll_of_teacher/own_minus_shuffled": (
        f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}",
        NLL,
    ),
    "retrieval_top1": (Predictor.SAMPLED, "retrieval_top1"),
    "texts/unparseable_share": (Predictor.SAMPLED, "tag_failure_share"),
    "texts/distinct_share": (Predictor.SAMPLED, "unique_share"),
    "texts/precision": (Predictor.SAMPLED, "precision/all"),
    "texts/recall": (Predictor.SAMPLED, "recall/all"),
}
OF_A_RUN = {"fve": (Predictor.SAMPLED, OWN), "fve_gain_of_rl": (GAIN, OWN)}
OF_TRAINING = {
    "av": {
        "nll/own": "dev/nll_real",
        "nll/shuffled_minus_own": "dev/nll_shuffled_less_real",
    },
    "ar": {
        "ar_dev/fve": "dev/fve_centred_own",
        "ar_dev/fve_above_word_ridge": "dev/fve_over_bag_of_words",
    },
    "rl": {"rl_dev/kl_per_token": "dev/kl_per_token", "rl_dev/best_step": "best_step"},
    "cell": {
        "cell/nll": "nll",
        "cell/nll_shuffled_minus_own": "nll_shuffled_less_real",
        "cell/fve": "fve",
        "cell/retrieval_top1": "retrieval_top1",
        "cell/unparsable_share": "unparsable",
    },
}


def headline_numbers(artifacts: Sequence[Artifact]) -> dict[str, float]:
    """The numbers to compare runs of recipes by; without an evaluation, those of training."""
    found: dict[str, float] = {}
    evaluations = evaluations_of(artifacts)
    if evaluations:
        found |= dict(of_evaluation(evaluations[-1]))
    if len(evaluations) > 2:  # several runs of reinforcement learning, each beside the first
        for evaluation in evaluations[1:]:
            numbers = read_numbers(evaluation.path / NUMBERS_NAME)
            found |= dict(_of_whole(f"of_run/{evaluation.record.label}", numbers, OF_A_RUN))
    for artifact in artifacts:
        metrics = artifact.record.metrics
        names = OF_TRAINING.get(artifact.record.kind, {})
        # Of several runs the last: it is the one that the other numbers are of.
        found |= {name: float(metrics[path]) for name, path in names.items() if path in metrics}
    return found


def of_evaluation(evaluation: Artifact) -> Iterator[tuple[str, float]]:
    """The numbers of one evaluation: by host and group, and of the whole."""
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    hosts = evaluation.record.spec["host_tags"]
    shown = {host: host for host in hosts} if len(hosts) <= MOST_HOSTS else {}
    for prefix, predictor, names in (
        ("fve", Predictor.SAMPLED, GROUPS | shown),
        ("fve_gain_of_rl", GAIN, GROUPS if len(hosts) > 1 else shown),
    ):
        for host, name in names.items():
            if (number := numbers.get(host, predictor, OWN)) is not None:
                yield f"{prefix}/{name}", number.value
    yield from _of_whole("", numbers, OF_THE_WHOLE)


def gate_states(artifacts: Sequence[Artifact]) -> dict[str, str]:
    """`passed`, `failed` or `accepted` by gate: the worst of all evaluations."""
    order = [PASSED, ACCEPTED, FAILED]
    states: dict[str, str] = {}
    for evaluation in evaluations_of(artifacts):
        for gate in evaluation.record.metrics["gates"]:
            state = PASSED if gate["is_passed"] else ACCEPTED if gate["is_accepted"] else FAILED
            states[gate["name"]] = max(states.get(gate["name"], PASSED), state, key=order.index)
    return states


def gates_in_words(states: Mapping[str, str]) -> str:
    """The gates that did not pass, by name; where there are none, that all did."""
    odd = [f"{name} {state}" for name, state in states.items() if state != PASSED]
    return (", ".join(odd) or "all passed") if states else "none judged yet"


def evaluations_of(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The evaluations among them, in their order: the supervised pair's first."""
    return [artifact for artifact in artifacts if artifact.record.kind == "evaluation"]


def _of_whole(
    prefix: str, numbers: Numbers, names: dict[str, tuple[str, str]]
) -> Iterator[tuple[str, float]]:
    whole = ALL if numbers.get(ALL, Predictor.SAMPLED, OWN) else numbers.all[0].host
    for name, (predictor, metric) in names.items():
        if (number := numbers.get(whole, predictor, metric)) is not None:
            yield f"{prefix}/{name}".lstrip("/"), number.value
