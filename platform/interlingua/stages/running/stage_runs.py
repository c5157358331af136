"""Stages as runs of a tracker: their reports, evaluations and records. Knows no tracker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from interlingua.report.tables.scores import of_evaluation
from interlingua.specs.text.canonical import jsonable
from interlingua.store.artifact import Artifact, Stage, find, folder
from interlingua.store.partial import first_attempt, latest_folder
from interlingua.store.progress import TIME, numbers_of, read_dev_evals, read_timed_metrics
from interlingua.store.record import Record
from interlingua.tracking.names import leaves
from interlingua.tracking.runs import RUNNING, Parent, Report, Run

FAILED_GATES, GATES = "failed_gates", "gates"  # of an evaluation's metrics
TRAINED = ("av", "ar", "rl", "host")  # kinds whose reports are of optimizer steps
# Of a number's interval; where it counts, numbers.csv and the record have all of it.
INTERVAL = ("_low", "_high", "_n")
# Of the provenance; all of it stands in the record.
TAGGED = ("git_commit", "git_is_dirty", "hostname", "ray_job_id")
# As MLflow's own page names them.
COMMIT, SOURCE, SOURCE_TYPE = (f"mlflow.source.{name}" for name in ("git.commit", "name", "type"))
SUCCEEDED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


def finished_stage(artifact: Artifact, name: str, parents: Sequence[Parent]) -> Run:
    """The artifact as trackers see it."""
    record = artifact.record
    failed = record.metrics.get(FAILED_GATES)
    return Run(
        name=name,
        title=f"{record.kind}/{record.label}",
        status=FAILED if failed else SUCCEEDED,
        started=started(record),
        ended=seconds_of(record.finished),
        parents=tuple(parents),
        params=record.spec,
        series=_series(record.kind, artifact.path, seconds_of(record.started)),
        results={"result": _results(artifact)},
        measured=seconds_of(record.finished),
        tags={
            **_tags(record.kind, record.label, record.fingerprint, record.spec),
            **origin(record),
            FAILED_GATES: ", ".join(failed) if failed else None,
            "folder": str(artifact.path),
        },
    )


def stage_so_far(
    stage: Stage, root: Path, name: str, parents: Sequence[Parent], *, has_stopped: bool
) -> Run:
    """The stage as far as it got; another driver may have finished it meanwhile."""
    if (artifact := find(stage, root)) is not None:
        return finished_stage(artifact, name, parents)
    own = latest_folder(folder(stage, root))
    began = first_attempt(own) or datetime.now().timestamp()
    spec: Any = jsonable(stage.spec)
    return Run(
        name=name,
        title=stage.name,
        status=KILLED if has_stopped else RUNNING,
        started=float(int(began)),
        ended=datetime.now().timestamp() if has_stopped else None,
        parents=tuple(parents),
        params=spec,
        series=_series(stage.kind, own, began),
        tags=_tags(stage.kind, stage.label, stage.fingerprint, spec),
    )


def origin(record: Record) -> dict[str, object]:
    """The commit, machine and job that an artifact is of."""
    provenance = asdict(record.provenance)
    return {COMMIT: record.provenance.git_commit, **{name: provenance[name] for name in TAGGED}}


def started(record: Record) -> float:
    """The start of the first attempt."""
    return seconds_of(record.first_started or record.started)


def seconds_of(time: str) -> float:
    """The ISO time in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def _series(kind: str, out: Path, began: float) -> dict[str, list[Report]]:
    name = "train" if kind in TRAINED else "progress"
    dev_evals = [_report(line, numbers_of(line), began) for line in read_dev_evals(out)]
    return {
        name: [_report(line, line, began) for line in read_timed_metrics(out)],
        "dev": dev_evals,
    }


def _report(line: Mapping[str, Any], values: Mapping[str, Any], began: float) -> Report:
    left_out = ("step", "num_steps", TIME)
    numbers = {name: value for name, value in values.items() if name not in left_out}
    return Report(step=line["step"], time=line.get(TIME, began), values=numbers)


def _results(artifact: Artifact) -> dict[str, Any]:
    """Numbers of a record, without the intervals and what the curves have."""
    record = artifact.record
    costs = {"seconds": record.seconds, "peak_bytes": record.peak_bytes}
    if record.kind == "evaluation":
        counts = {name: v for name, v in record.metrics.items() if name.startswith("num_")}
        return {**costs, **counts, **dict(of_evaluation(artifact))}
    metrics = dict(leaves(record.metrics, "/"))
    curves = {name for line in read_dev_evals(artifact.path) for name in numbers_of(line)}
    on_curves = {f"{when}/{name}" for when in ("dev", "start") for name in curves}
    on_curves |= {name for name in metrics if name.startswith("seconds_")}  # means of a step's
    return costs | {
        name: value
        for name, value in metrics.items()
        if name not in on_curves
        and not any(name.endswith(e) and name.removesuffix(e) in metrics for e in INTERVAL)
        and not name.startswith("roles/")  # a table
    }


def _tags(kind: str, label: str, fingerprint: str, spec: Mapping[str, Any]) -> dict[str, object]:
    return {
        "kind": kind,
        "label": label,
        "fingerprint": fingerprint,
        "seed": spec.get("seed"),
        "host": spec.get("host_tag", spec.get("tag")),
    }
