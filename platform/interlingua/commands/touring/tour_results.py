"""What came of the steps of a tour, read from the run root."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from interlingua.report.numbers import NUMBERS_NAME, TRAINED, Number, read_numbers
from interlingua.specs.evaluation import Predictor
from interlingua.specs.placement import ThreeGroups
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.canonical import TYPE_KEY
from interlingua.stages.graph.order import graph_of
from interlingua.stages.graph.served import evaluation_of, served_stages
from interlingua.store.artifact import Artifact, Stage, find, folder
from interlingua.store.bundle import bundle_digest
from interlingua.store.record import read_record

FVE = "fve_centred_own"
SWEEP = "tour"  # its name


def tour_table(names: Sequence[str], done: Sequence[tuple[float, str]]) -> Table:
    """A row for every step; those that were not finished say so."""
    table = Table(title="The platform in one command", show_lines=True)
    for column in ("step", "seconds", "what came of it"):
        table.add_column(column, overflow="fold")
    for number, name in enumerate(names):
        if number < len(done):
            seconds, result = done[number]
            table.add_row(name, f"{seconds:.0f}", result)
        else:
            table.add_row(name, "-", "FAILED" if number == len(done) else "not run")
    return table


def cluster_result(address: str) -> str:
    """What was started."""
    return f"a Ray head at {address}"


def trained_result(recipe: Recipe, root: Path) -> str:
    """The score of the last pair beside its start and what knows nothing, and where it learned."""
    graph = graph_of(recipe)
    *_, evaluation = _of_kind(graph, "evaluation", root)
    parts = [_score(evaluation)]
    for run in _of_kind(graph, "rl", root):
        roles = ", ".join(role["role"] for role in run.record.metrics["roles"])
        groups = (run.record.placement or {}).get("reinforcing", {}).get(TYPE_KEY)
        where = "placement groups of their own" if groups == ThreeGroups.__name__ else "one process"
        steps = run.record.metrics["num_steps"]
        parts.append(f"{steps} steps of reinforcement learning with {roles} in {where}")
    return "; ".join([*parts, _gates(evaluation)])


def sweep_result(root: Path) -> str:
    """The verdict on its contrast."""
    from interlingua.sweeps.results import read_analysis
    from interlingua.sweeps.tables import sentences, summary

    result = _newest(root / "sweep", f"{SWEEP}-*")
    analysis = read_analysis(result, root)
    return f"{len(analysis.cells)} cells; " + " ".join(
        [*sentences(analysis)] or [summary(analysis)]
    )


def served_result(recipe: Recipe, root: Path) -> str:
    """The score through the URL, and how far its numbers are from those in the process."""
    *_, bundle = (stage for stage in graph_of(recipe) if stage.kind == "bundle")
    digest = bundle_digest(folder(bundle, root))
    own = find(evaluation_of(recipe, bundle), root)
    (served,) = _of_kind(served_stages(recipe, digest, bundle), "evaluation", root)[-1:]
    assert own is not None
    here, there = (read_numbers(one.path / NUMBERS_NAME) for one in (own, served))
    count, largest = here.largest_difference(there)
    return (
        f"{_score(served)}; {count} numbers, the largest difference to those in one process is "
        f"{largest:.2g}"
    )


def mlflow_result(recipe: Recipe, root: Path) -> str:
    """The runs of the tour: each must be there and finished; what else is there is counted."""
    from interlingua.tracking.contents import top_runs

    runs = top_runs(root)
    # What the recipe's runs are called begins with its name (commands/building/tracked_run.py).
    beginnings = (f"{recipe.name} + served", recipe.name, SWEEP)
    found = []
    for beginning in beginnings:
        own = [one for one in runs if one.name.startswith(beginning) and one not in found]
        finished = [one for one in own if one.status == "FINISHED"]
        if not finished:
            raise ValueError(f"MLflow has no finished run that is called {beginning}")
        found.append(finished[0])
    shown = ", ".join(f"{one.name} ({one.num_nested} in it)" for one in found)
    return f"{len(runs)} runs, among them {shown}; `make ui` shows them"


def _score(evaluation: Artifact) -> str:
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    whose = TRAINED if numbers.get(TRAINED, Predictor.SAMPLED, FVE) else numbers.all[0].host
    sampled, constant = (
        numbers[whose, predictor, FVE]
        for predictor in (Predictor.SAMPLED, Predictor.CONSTANT_VECTOR)
    )
    return (
        f"{whose}: FVE {_shown(sampled)} of sampled texts, {_shown(constant)} of the mean vector; "
        f"n = {sampled.num_units} passages, which the 95% intervals cover"
    )


def _shown(number: Number) -> str:
    return f"{number.value:.3f} [{number.low:.3f}, {number.high:.3f}]"


def _gates(evaluation: Artifact) -> str:
    gates = evaluation.record.metrics["gates"]
    failed = [gate["name"] for gate in gates if not gate["is_passed"]]
    words = ", failed and accepted: " + ", ".join(failed) if failed else ""
    return f"{len(gates) - len(failed)} of {len(gates)} gates passed{words}"


def _of_kind(graph: Sequence[Stage], kind: str, root: Path) -> list[Artifact]:
    return [found for stage in graph if stage.kind == kind and (found := find(stage, root))]


def _newest(folder: Path, pattern: str) -> Artifact:
    path = max(folder.glob(pattern), key=lambda one: one.stat().st_mtime)
    record = read_record(path)
    assert record is not None
    return Artifact(path, record)
