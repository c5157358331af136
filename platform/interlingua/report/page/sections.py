"""The sections of the page, each of sentences, plots and grids. Knows no HTML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlingua.report.figures.figures import evaluation_plots, training_plots
from interlingua.report.figures.plots import Plot
from interlingua.report.measures import SAID
from interlingua.report.numbers import AT_START, HOSTS, LESS, START
from interlingua.report.page.lineage import costs_grid, lineage_grid, provenance_grid
from interlingua.report.tables.columns import OWN
from interlingua.report.tables.confusions import confusions_grid
from interlingua.report.tables.grid import (
    BETWEEN,
    Grid,
    Row,
    metric_cell,
    number_cell,
    value_cell,
    without_empty_columns,
    words_cell,
)
from interlingua.report.tables.material import Material, as_number
from interlingua.report.tables.reinforced import reinforcing_grids
from interlingua.report.tables.rl_runs import rl_runs_grid
from interlingua.report.tables.universal import training_grid, universal_grids
from interlingua.specs.evaluation import PLAIN, Predictor

FACTS_PREFIX = "precision/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under one heading."""

    key: str
    title: str
    plots: Sequence[Plot] = ()
    grids: Sequence[Grid] = ()


def sections_of(material: Material) -> list[Section]:
    """Every section that has something to show."""
    everything = [material.evaluation, *material.upstream]
    plots = evaluation_plots(material)
    trained = training_grid(material.numbers, material.roles)
    numbers = universal_grids(material.numbers, material.roles)
    found = [
        Section(key="gates", title="Gates", grids=[gates_grid(material.metrics)]),
        Section(
            key="rl_runs",
            title="RL runs",
            grids=[rl_runs_grid(material.rl_runs)] if material.rl_runs else [],
        ),
        Section(
            key="hosts",
            title="Every host",
            plots=plots[:1],
            grids=[*([trained] if trained else []), *numbers],
        ),
        Section(key="rows", title="Row by row", plots=plots[1:]),
        Section(key="truth", title="Truth", grids=list(truth_grids(material))),
        Section(key="methods", title="Ways to fit a decoder", grids=list(method_grids(material))),
        Section(key="training", title="Training", plots=list(training_plots(material))),
        Section(
            key="costs",
            title="Time and memory",
            grids=[costs_grid(everything), *reinforcing_grids(everything)],
        ),
        Section(
            key="lineage",
            title="Lineage",
            grids=[provenance_grid(everything), lineage_grid(everything)],
        ),
    ]
    return [section for section in found if section.plots or section.grids]


def gates_grid(metrics: Mapping[str, Any]) -> Grid:
    """Every gate with what was found and what was asked."""
    rows = []
    for gate in metrics["gates"]:
        state = "passed" if gate["is_passed"] else "FAILED"
        if not gate["is_passed"] and gate["is_accepted"]:
            state = "failed, accepted"
        value = gate["value"]
        name = BETWEEN.join(("evaluation", gate["name"], "gate", "record"))
        found = value_cell(name, value, text=f"{value:.4g}") if _is_number(value) else None
        bound = gate["bound"]
        rows.append(
            Row(
                labels=(gate["name"],),
                cells=(
                    words_cell(state),
                    found or words_cell("-" if value is None else value),
                    words_cell(f"{bound:.4g}" if _is_number(bound) else bound or "-"),
                    words_cell(gate["words"]),
                ),
            )
        )
    return Grid(
        title="What must hold for the numbers to count",
        caption="A gate that was accepted by name is reported as failed, and does not fail a run.",
        labels=("gate",),
        columns=("state", "found", "bound", "what it says"),
        rows=tuple(rows),
    )


def truth_grids(material: Material) -> Iterator[Grid]:
    """Facts said against facts that hold, by kind; and what true facts could explain."""
    names = [n.metric for n in material.numbers.all if n.metric.startswith(FACTS_PREFIX)]
    predictors = (Predictor.SAMPLED, Predictor.GREEDY, Predictor.TEACHER)
    kinds = list(dict.fromkeys(name.removeprefix(FACTS_PREFIX) for name in names))
    if kinds:
        whole = material.whole
        rows = [
            Row(
                labels=(kind,),
                cells=tuple(
                    number_cell(material.numbers.get(whole, predictor, f"{measure}/{kind}"))
                    for predictor in predictors
                    for measure in ("precision", "recall")
                ),
            )
            for kind in kinds
        ]
        yield Grid(
            title=f"Facts in the explanations, {whole}",
            caption="precision: of the facts said, those that hold; recall: of those that hold, "
            f"those said. 95% intervals over {material.numbers.units}.",
            labels=("kind of fact",),
            columns=tuple(f"{m} {PLAIN[a]}" for a in predictors for m in ("precision", "recall")),
            rows=tuple(rows),
        )
        yield from _learned_grids(material, kinds)
        if (wrong := confusions_grid(material.rows)) is not None:
            yield wrong
    yield from _oracle_grids(material)
    yield from _familiarity_grids(material)


def _learned_grids(material: Material, kinds: Sequence[str]) -> Iterator[Grid]:
    """Facts named before and after reinforcement learning, and the precision of each kind."""
    predictors = (Predictor.SAMPLED + AT_START, Predictor.SAMPLED, Predictor.SAMPLED + LESS + START)
    whole, numbers = material.whole, material.numbers
    if numbers.get(whole, predictors[0], OWN) is None:
        return
    rows = [
        Row(
            labels=(kind,),
            cells=tuple(
                number_cell(numbers.get(whole, predictor, f"{measure}/{kind}"))
                for measure in (SAID, "precision")
                for predictor in predictors
            ),
        )
        for kind in kinds
    ]
    yield Grid(
        title=f"What reinforcement learning changed in the sampled explanations (T=1), {whole}",
        caption="said: the share of texts that name a fact of the kind, true or not; precision: of "
        "the facts said, those that hold. Differences are paired; 95% intervals over "
        f"{numbers.units}.",
        labels=("kind of fact",),
        columns=tuple(
            f"{measure}: {when}"
            for measure in ("said", "precision")
            for when in ("before", "after", "difference")
        ),
        rows=tuple(rows),
    )


def _oracle_grids(material: Material) -> Iterator[Grid]:
    yield from _recorded_grids(
        material,
        "oracle",
        {
            "all facts": "all_facts/fve_centred",
            "pairs of facts": "fact_pairs/fve_centred",
            "network on facts": "network/fve_centred",
            "language and topic": "language_topic/fve_centred",
            "all facts minus language+topic": "beyond_language_topic/fve_centred",
            "best 3 facts minus random 3": "best_over_random_triple/fve_centred",
        },
        title="What an oracle that knows the true facts explains",
        caption="fve_centred of a ridge from facts to vectors (of a small network, where said), "
        "fitted on fit, scored on dev; 95% intervals over passages.",
    )


def _familiarity_grids(material: Material) -> Iterator[Grid]:
    """What is flagged as unlike all that was learned from: of new passages, and of other texts."""
    yield from _recorded_grids(
        material,
        "familiarity",
        {
            "passages of dev": "dev/unlike",
            "code": "code/unlike",
            "French": "french/unlike",
            "noise": "noise/unlike",
            "random vectors": "random_vector/unlike",
        },
        title="What is unlike all that was learned from",
        caption="Share of activations further from the mean of fit than 99% of its own; 95% "
        "intervals over activations. An AV explains these as fluently as any other.",
    )


def _recorded_grids(
    material: Material, kind: str, columns: Mapping[str, str], *, title: str, caption: str
) -> Iterator[Grid]:
    """Metrics in the records of one kind of stage, a row a host; nothing where there are none."""
    found = {one.record.label: one.record.metrics for one in material.of_kind(kind)}
    # A record that lacks them all is of rows that were too few to measure anything.
    hosts = [host for host in material.roles if found.get(host, {}).keys() & {*columns.values()}]
    if hosts:
        rows = tuple(
            Row(
                labels=(host,),
                cells=tuple(
                    metric_cell(f"{host}{BETWEEN}{kind}", found[host], metric)
                    for metric in columns.values()
                ),
            )
            for host in hosts
        )
        grid = Grid(
            title=title, caption=caption, labels=("host",), columns=tuple(columns), rows=rows
        )
        yield without_empty_columns(grid)


def method_grids(material: Material) -> Iterator[Grid]:
    """The published ways to fit a decoder, for the trained pair and for what knows nothing."""
    found = {
        (m.fit, m.predictor, m.metric): number_cell(as_number(m))
        for m in material.methods
        if m.covers != HOSTS
    }
    metrics = list(dict.fromkeys(method.metric for method in material.methods))
    places = list(dict.fromkeys((method.fit, method.predictor) for method in material.methods))
    if places:
        yield Grid(
            title="Published decoder fits x metrics",
            caption="If a constant or a collapsed AV scores like the trained one, that metric is "
            f"uninformative. Means of hosts; 95% intervals over {material.numbers.units}.",
            labels=("fit", "predictor"),
            columns=tuple(metrics),
            rows=tuple(
                Row(
                    labels=place,
                    cells=tuple(found.get((*place, m), words_cell("-")) for m in metrics),
                )
                for place in places
            ),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
