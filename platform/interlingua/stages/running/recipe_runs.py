"""A run of a recipe, and a sweep of such runs, as people and trackers see them. Knows no tracker.

A run of a recipe is what its stages compute: the same command again is the same run, also after a
crash; another value anywhere that counts is another run.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from interlingua.report.page.page import PAGE_NAME
from interlingua.report.tables.scores import HEADLINE, gate_states, gates_in_words, headline_numbers
from interlingua.specs.recipe import Recipe
from interlingua.stages.running.params import recipe_params
from interlingua.stages.running.recipe_files import bundle_models, files_of
from interlingua.stages.running.stage_runs import (
    FAILED,
    FAILED_GATES,
    SOURCE,
    SOURCE_TYPE,
    SUCCEEDED,
    origin,
    seconds_of,
    started,
)
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.integrity import sha256_of
from interlingua.store.provenance import command_of
from interlingua.tracking.addresses import file_link
from interlingua.tracking.names import digest_of
from interlingua.tracking.runs import RUNNING, File, Parent, Report, Run


@dataclass(frozen=True, slots=True)
class RecipeRun:
    """A recipe and its stages, in an experiment of the recipe's name or of a sweep's.

    `params` come before those of the recipe: in a sweep its axes and the seed. `name` is for
    people.
    """

    recipe: Recipe
    stages: Sequence[Stage]
    params: Mapping[str, str] = field(default_factory=dict)
    sweep: str | None = None
    name: str | None = None

    @property
    def experiment(self) -> str:
        """The experiment that it belongs to."""
        return self.sweep or self.recipe.name

    @property
    def digest(self) -> str:
        """Twelve hex digits of what it computes; in a sweep also of its place there."""
        parts = [sorted(stage.fingerprint for stage in self.stages), dict(self.params)]
        return digest_of(json.dumps(parts, sort_keys=True).encode())

    @property
    def identity(self) -> Parent:
        """Its name in the experiment, and for people."""
        key = f"{self.recipe.name}-{self.digest}"
        if self.sweep is None:
            return Parent(name=key, title=self.name or key)
        words = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return Parent(name=f"{self.sweep}/{key}", title=self.name or words or key)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The sweep, if it is of one."""
        return () if self.sweep is None else (Parent(name=self.sweep, title=self.sweep),)

    def name_of(self, stage: Stage) -> str:
        """The identity of a stage's run: cells of a sweep share what is equal."""
        return f"{self.sweep or self.identity.name}/{stage.key}"


@dataclass(frozen=True, slots=True)
class SweepRun:
    """Runs of recipes side by side: what they have in common, and what came out of all of them."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    description: str = ""

    @property
    def experiment(self) -> str:
        """The experiment that it belongs to: one of its own."""
        return self.name


def recipe_run(
    run: RecipeRun,
    root: Path,
    artifacts: Sequence[Artifact],
    status: str,
    *,
    system: Sequence[Report] = (),
    began: float | None = None,
) -> Run:
    """The run of the recipe with what is done of it; `began` where it is being built."""
    done = [artifact.record for artifact in artifacts]
    if status == SUCCEEDED and any(record.metrics.get(FAILED_GATES) for record in done):
        status = FAILED
    ends = [seconds_of(record.finished) for record in done]
    headline, gates = headline_numbers(artifacts), gate_states(artifacts)
    # Once, at its end: what is told again with every stage would be drawn as a curve.
    results = {} if status == RUNNING else headline
    is_complete = {record.fingerprint for record in done} >= {s.fingerprint for s in run.stages}
    # Of one that is complete the end is that of its last stage, whoever asks and when.
    ended = max(ends) if ends and is_complete else time.time()
    files = files_of(run.recipe, run.stages, artifacts)
    report = _report_link(files)
    return Run(
        name=run.identity.name,
        title=run.identity.title,
        status=status,
        started=min(map(started, done), default=time.time()) if began is None else began,
        ended=ended,
        parents=run.parents,
        params={**run.params, **recipe_params(run.recipe)},
        series={"system": system},
        results=results,
        measured=max(ends) if results else None,
        tags=_tags(run, root, artifacts) | {f"gate/{name}": gates[name] for name in gates},
        note=_note(run, headline, gates, report),
        about=None if report is None else f"Newest report: {report}",
        files=files,
        models=bundle_models(run.recipe, artifacts),
    )


def sweep_run(run: SweepRun, status: str) -> Run:
    """The run above all runs of a sweep."""
    files = [
        File(path=name, digest=sha256_of(path), content=partial(path.read_bytes))
        for name, path in run.artifacts.items()
    ]
    now = time.time()
    return Run(
        name=run.name,
        title=run.name,
        status=status,
        started=now,
        ended=now,
        params=run.params,
        results=run.metrics,
        # Its numbers change with every cell, and no record says when.
        measured=now if run.metrics else None,
        tags={"kind": "sweep", SOURCE: command(), SOURCE_TYPE: "LOCAL"},
        note=run.description or None,
        files=tuple(files),
    )


def command() -> str:
    """The command line of this process, as people type it."""
    given = command_of(sys.argv)
    # A program of ours is started as a module; what else it was, Python ran it.
    return given if given.startswith(("python ", "interlingua ")) else f"python {given}"


def _tags(run: RecipeRun, root: Path, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    newest = max(artifacts, key=lambda one: one.record.finished, default=None)
    return {
        "kind": "recipe",
        "recipe": run.recipe.name,
        "fingerprint": run.digest,
        "folder": str(root.absolute()),
        SOURCE: command(),
        SOURCE_TYPE: "JOB" if newest and newest.record.provenance.ray_job_id else "LOCAL",
        **({} if newest is None else origin(newest.record)),
    }


def _report_link(files: Sequence[File]) -> str | None:
    """A link to the page among the files; None where there is none yet."""
    return file_link(PAGE_NAME, PAGE_NAME) if any(one.path == PAGE_NAME for one in files) else None


def _note(
    run: RecipeRun, results: Mapping[str, float], gates: Mapping[str, str], report: str | None
) -> str:
    """Four lines; of a closed note MLflow shows two: where the report is, and the headline."""
    recipe = run.recipe
    shown = [f"{name} **{results[name]:.3f}**" for name in HEADLINE if name in results]
    lines = [
        f"Report: {report or 'not there yet'}. Gates: {gates_in_words(gates)}",
        "; ".join(shown) or "No evaluation yet",
        f"Recipe `{recipe.name}`: {len(recipe.hosts)} hosts, anchor `{recipe.anchor}`, "
        f"{len(run.stages)} stages, RL: {', '.join(rl.tag for rl in recipe.rl) or 'none'}",
        f"Again: `{command()}`",
    ]
    return "\n\n".join(lines)
