"""The files of a run of a recipe, and its bundles as models, for a tracker. Knows no tracker.

Made only when they are uploaded: their digests come from records.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from interlingua.report.figures.files import FIGURES_FOLDER
from interlingua.report.numbers import NUMBERS_NAME
from interlingua.report.page.page import PAGE_NAME
from interlingua.report.tables.material import METHODS_NAME
from interlingua.report.tables.scores import (
    HEADLINE,
    evaluations_of,
    gate_states,
    gates_in_words,
    of_evaluation,
)
from interlingua.report.tables.text_tables import Row, explanation_rows, rollout_rows, table_json
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.canonical import jsonable
from interlingua.specs.text.overrides import list_paths
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.bundle import MANIFEST_NAME
from interlingua.tracking.names import digest_of
from interlingua.tracking.runs import File, Model

TABLES_REVISION = 1  # of what the tables show


def files_of(
    recipe: Recipe, stages: Sequence[Stage], artifacts: Sequence[Artifact]
) -> tuple[File, ...]:
    """The page, the numbers, texts as tables, and where all of it comes from."""
    return (
        *_pages(artifacts),
        *_tables(artifacts),
        *(_copy(manifest_path(one), one, MANIFEST_NAME) for one in _of_kind(artifacts, "bundle")),
        _written("recipe.json", {path: jsonable(value) for path, _, value in list_paths(recipe)}),
        _written("lineage.json", _lineage(stages, artifacts)),
    )


def bundle_models(recipe: Recipe, artifacts: Sequence[Artifact]) -> tuple[Model, ...]:
    """Every bundle as a version of the recipe's model, with what its evaluation found."""
    evaluations = {one.record.label: one for one in evaluations_of(artifacts)}
    return tuple(
        Model(
            name=recipe.name,
            fingerprint=bundle.record.fingerprint,
            folder=bundle.path.absolute(),
            manifest=manifest_path(bundle),
            tags={
                "label": bundle.record.label,
                **_judged(evaluations.get(bundle.record.label)),
            },
            description=f"NLA.load({str(bundle.path.absolute())!r})",
        )
        for bundle in _of_kind(artifacts, "bundle")
    )


def manifest_path(bundle: Artifact) -> str:
    """The path of a bundle's manifest among the files of the run."""
    return f"bundle/{bundle.record.label}/{MANIFEST_NAME}"


def _judged(evaluation: Artifact | None) -> dict[str, str]:
    if evaluation is None:
        return {}
    found, gates = dict(of_evaluation(evaluation)), gate_states([evaluation])
    headline = {name: f"{found[name]:.3f}" for name in HEADLINE if name in found}
    return headline | {"gates": gates_in_words(gates)}


def _pages(artifacts: Sequence[Artifact]) -> Iterator[File]:
    for report in _of_kind(artifacts, "report")[-1:]:
        yield _copy(PAGE_NAME, report, PAGE_NAME)
        figures = (name for name in report.record.files if name.startswith(f"{FIGURES_FOLDER}/"))
        yield from (_copy(name, report, name) for name in figures)  # which the page links to
    for evaluation in evaluations_of(artifacts)[-1:]:
        for name in (NUMBERS_NAME, METHODS_NAME):
            if name in evaluation.record.files:
                yield _copy(name, evaluation, name)


def _tables(artifacts: Sequence[Artifact]) -> Iterator[File]:
    evaluations = evaluations_of(artifacts)
    if evaluations:
        start = evaluations[0] if len(evaluations) > 1 else None
        made = partial(explanation_rows, evaluations[-1], start)
        yield _table("explanations.json", evaluations[-1].record.fingerprint, made)
    runs = _of_kind(artifacts, "rl")
    by_fingerprint = {artifact.record.fingerprint: artifact for artifact in artifacts}
    for run in runs:
        passages = by_fingerprint.get(run.record.inputs["passages"].fingerprint)
        name = "rollouts.json" if len(runs) == 1 else f"rollouts-{run.record.label}.json"
        if passages is not None:
            yield _table(name, run.record.fingerprint, partial(rollout_rows, run, passages))


def _lineage(stages: Sequence[Stage], artifacts: Sequence[Artifact]) -> list[dict[str, object]]:
    records = {artifact.record.fingerprint: artifact.record for artifact in artifacts}
    return [
        {
            "stage": stage.key,
            "kind": stage.kind,
            "label": stage.label,
            "fingerprint": stage.fingerprint,
            "inputs": {name: one.key for name, one in stage.upstream.items()},
            "finished": done.finished if (done := records.get(stage.fingerprint)) else None,
        }
        for stage in stages
    ]


def _of_kind(artifacts: Sequence[Artifact], kind: str) -> list[Artifact]:
    return [artifact for artifact in artifacts if artifact.record.kind == kind]


def _copy(path: str, artifact: Artifact, name: str) -> File:
    source = artifact.path / name
    return File(path=path, digest=artifact.record.files[name][:12], content=source.read_bytes)


def _written(path: str, value: object) -> File:
    content = json.dumps(value, indent=1).encode()
    return File(path=path, digest=digest_of(content), content=partial(bytes, content))


def _table(path: str, of: str, rows: Callable[[], list[Row]]) -> File:
    digest = f"{of}-{TABLES_REVISION}"
    return File(path=path, digest=digest, content=lambda: table_json(rows()), is_table=True)
