"""The plots of an evaluation, of its rows and of the trainings before it. Knows no page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from interlingua.core.statistics import clustered_ratio_of_sums
from interlingua.report.figures.plots import Plot, Series, dot_plot, histogram, line_plot
from interlingua.report.tables.columns import OWN
from interlingua.report.tables.material import Material
from interlingua.report.tables.row_scores import row_fve
from interlingua.report.tables.universal import is_ceiling
from interlingua.specs.evaluation import PLAIN, Predictor
from interlingua.store.progress import read_dev_evals, read_metrics

# The NLA first, then what it must beat, from weak to strong, then what it may not reach.
BESIDE = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.CONSTANT_EXPLANATION,
    Predictor.BAG_OF_WORDS,
    Predictor.TEACHER,
    Predictor.ENCODER,
)
ALONG = (Predictor.SAMPLED, Predictor.CONSTANT_EXPLANATION, Predictor.TEACHER)
SPREAD = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.SHUFFLED_EXPLANATIONS,
    Predictor.CONSTANT_VECTOR,
    Predictor.TEACHER,
)
# The same colour for a predictor in every plot; those that share one are never in the same plot.
COLOURS = {
    Predictor.SAMPLED: 0,
    Predictor.GREEDY: 1,
    Predictor.TEACHER: 2,
    Predictor.ENCODER: 3,
    Predictor.SHUFFLED_EXPLANATIONS: 3,
    Predictor.CONSTANT_EXPLANATION: 4,
    Predictor.CONSTANT_VECTOR: 4,
    Predictor.BAG_OF_WORDS: 5,
}
NUM_BINS, NUM_DRAWS = 8, 400
CURVE_COLOURS = (0, 2, 4, 3, 1)
LEAST_SHOWN = -1.5
ROW_FVE = "Row fve: 1 - NMSE / the host's mean own variance, so that its mean is fve_centred_own."


def evaluation_plots(material: Material) -> list[Plot]:
    """Hosts side by side, and what the row fve depends on."""
    return [
        host_plot(material),
        spread_plot(material),
        *place_plots(material),
        along_plot(
            material,
            "fve against raw norm",
            "Quantile of the vector's raw norm within its host; all hosts together.",
            label="quantile of the raw norm",
        ),
    ]


def host_plot(material: Material) -> Plot:
    """The NLA of every host, what it must beat, and what it may not reach."""
    hosts = list(material.roles)
    found = {
        predictor: [
            number for host in hosts if (number := material.numbers.get(host, predictor, OWN))
        ]
        for predictor in BESIDE
    }
    series = [
        Series(
            name=_name(material, predictor),
            colour=COLOURS[predictor],
            y_N=np.array([number.value for number in numbers]),
            low_N=np.array([number.low for number in numbers]),
            high_N=np.array([number.high for number in numbers]),
        )
        for predictor, numbers in found.items()
        # Values have no names, only the order of the hosts: one that lacks would shift the rest.
        if len(numbers) == len(hosts)
    ]
    units = material.numbers.units
    caption = f"fve_centred_own with 95% intervals over {units}; no constant is above 0."
    title = "FVE per host, with baselines"
    return dot_plot(title, caption, hosts, series, label="fve_centred_own")


def _name(material: Material, predictor: Predictor) -> str:
    """What people call it; a ceiling only where it is above the NLA."""
    is_above = is_ceiling(material.numbers, material.whole, predictor)
    is_reference = predictor in (Predictor.TEACHER, Predictor.ENCODER)
    return PLAIN[predictor] + (" (ceiling)" if is_reference and is_above else "")


def spread_plot(material: Material) -> Plot:
    """Distribution of per-row FVE, over all hosts."""
    series = [
        Series(
            name=PLAIN[predictor],
            colour=COLOURS[predictor],
            y_N=_pooled(material, predictor)["fve"],
        )
        for predictor in SPREAD
        if _has(material, predictor)
    ]
    caption = f"All hosts together. {ROW_FVE} Below {LEAST_SHOWN}: in the first bin."
    return histogram(
        "Distribution of per-row FVE", caption, series, label="row fve", low=LEAST_SHOWN
    )


def place_plots(material: Material) -> Iterator[Plot]:
    """Row fve against position where rows are not whole passages, and against their length."""
    if (material.rows["position"] >= 0).any():
        is_sentence = (material.rows["span_end"] >= 0).any()
        where = "Character at which the sentence begins." if is_sentence else "Token position."
        yield along_plot(material, "fve against position", where, label="position")
    yield along_plot(
        material, "fve against passage length", "Length of the passage.", label="words"
    )


def along_plot(material: Material, title: str, caption: str, *, label: str) -> Plot:
    """Mean row fve in bins of as many rows each, with intervals over documents."""
    series = []
    for predictor in ALONG:
        if _has(material, predictor):
            rows = _pooled(material, predictor)
            bins = _binned(rows[label], rows["fve"], rows["document"])
            series.append(Series(name=PLAIN[predictor], colour=COLOURS[predictor], **bins))
    bands = f"bands: 95%, over {material.numbers.units}"
    words = f"{caption} Mean row fve in bins of as many rows each; {bands}."
    return line_plot(title, words, series, labels=(label, "mean row fve"))


def training_plots(material: Material) -> Iterator[Plot]:
    """The curves of AV, AR and reward training, as they were logged."""
    for artifact in material.of_kind("av"):
        names = {"real": "nll_real", "shuffled": "nll_shuffled", "zero": "nll_zero"}
        title = f"AV: loss on dev ({artifact.record.label})"
        caption = "NLL/token: own, shuffled, zero vector."
        yield from _curves(title, caption, read_dev_evals(artifact.path), names)
    for artifact in material.of_kind("ar"):
        title = f"AR: fve_centred_own on dev ({artifact.record.label})"
        caption = "Of the teacher's explanations, all learning hosts."
        names = {"AR": "fve_centred_own"}
        yield from _curves(title, caption, read_dev_evals(artifact.path), names)
    for artifact in material.of_kind("rl"):
        label = artifact.record.label
        steps, dev_evals = read_metrics(artifact.path), read_dev_evals(artifact.path)
        caption = "Mean reward of every step's samples, hosts in turn."
        yield from _curves(f"Reward ({label})", caption, steps, {"reward": "reward"})
        caption = "KL from the supervised AV, nats/token."
        yield from _curves(f"KL ({label})", caption, steps, {"KL": "kl_per_token"})
        caption = "In the shared space, sampled (T=1)."
        names = {"fve_centred_own": "fve_centred_own"}
        yield from _curves(f"FVE on dev ({label})", caption, dev_evals, names)


def _curves(
    title: str, caption: str, reports: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> Iterator[Plot]:
    series = []
    for colour, (name, logged) in zip(CURVE_COLOURS, names.items(), strict=False):
        points = [(report["step"], report[logged]) for report in reports if logged in report]
        if points:
            step_N, value_N = np.array(points, dtype=float).T
            series.append(Series(name=name, colour=colour, x_N=step_N, y_N=value_N))
    if series:
        yield line_plot(title, caption, series, labels=("step", ""))


def _has(material: Material, predictor: str) -> bool:
    return bool((material.rows["predictor"] == predictor).any())


def _pooled(material: Material, predictor: str) -> dict[str, np.ndarray]:
    """Row fve of one predictor over all hosts, with what it is plotted against."""
    parts = [material.rows.of(host, predictor) for host in material.roles]
    parts = [part for part in parts if len(part)]
    return {
        "fve": np.concatenate([row_fve(part) for part in parts]),
        "document": np.concatenate([part.documents() for part in parts]),
        "position": np.concatenate([part["position"] for part in parts]),
        "words": np.concatenate([_num_words(material, part["passage_id"]) for part in parts]),
        "quantile of the raw norm": np.concatenate([_quantiles(p["raw_norm"]) for p in parts]),
    }


def _num_words(material: Material, passage_ids: Iterable[str]) -> np.ndarray:
    return np.array([len(material.passages[one].text.split()) for one in passage_ids])


def _quantiles(values_N: np.ndarray) -> np.ndarray:
    # Ranks within a host: raw norms of different hosts have no scale in common.
    return np.asarray((np.argsort(np.argsort(values_N)) + 0.5) / len(values_N))


def _binned(x_N: np.ndarray, y_N: np.ndarray, documents_N: np.ndarray) -> dict[str, np.ndarray]:
    """Mean x, and mean y with its interval, in bins of about as many rows each."""
    # Equal quantiles, as of many rows at one position, make fewer bins instead of empty ones.
    edges = np.unique(np.quantile(x_N, np.linspace(0, 1, NUM_BINS + 1)))
    bin_N = np.searchsorted(edges[1:-1], x_N, side="left")
    found = []
    for number in np.unique(bin_N):
        is_in_N = bin_N == number
        # Rows of one document are resampled together: taken alone they would narrow the band.
        mean = clustered_ratio_of_sums(
            y_N[is_in_N], np.ones(is_in_N.sum()), documents_N[is_in_N], seed=0, num_draws=NUM_DRAWS
        )
        found.append((x_N[is_in_N].mean(), mean.value, mean.low, mean.high))
    return dict(zip(("x_N", "y_N", "low_N", "high_N"), np.array(found).T, strict=True))
