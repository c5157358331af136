"""Origin of a report's numbers: stages, their costs, code, versions, commands.

Knows records only.
"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from interlingua.report.tables.grid import BETWEEN, NOTHING, Cell, Grid, Row, value_cell, words_cell
from interlingua.report.tables.material import Material
from interlingua.store.artifact import Artifact
from interlingua.store.provenance import command_of
from interlingua.store.record import Record

DEFAULT_ROOT = "runs"
SHORT_COMMIT = 12


def costs_grid(artifacts: Sequence[Artifact]) -> Grid:
    """Time and peak memory of every kind of stage."""
    records = [artifact.record for artifact in artifacts]
    rows = []
    for kind in dict.fromkeys(record.kind for record in records):
        own = [record for record in records if record.kind == kind]
        seconds = [record.seconds for record in own]
        rows.append(
            Row(
                labels=(kind,),
                cells=(
                    _count(kind, "stages", len(own)),
                    _seconds(kind, "seconds_sum", sum(seconds)),
                    _seconds(kind, "seconds_longest", max(seconds)),
                    _peak(kind, own),
                ),
            )
        )
    return Grid(
        title="Time and memory of every kind of stage",
        caption="Of the last attempt of each. Peak: of the process of the stage, the largest of "
        "its kind. Stages run side by side, so that sums are not waiting times.",
        labels=("kind",),
        columns=("stages", "time, sum", "longest", "peak memory"),
        rows=tuple(sorted(rows, key=lambda row: -row.cells[1].value)),
    )


def lineage_grid(artifacts: Sequence[Artifact]) -> Grid:
    """Every artifact with its fingerprint, and those of what it was made of."""
    rows = [
        Row(
            labels=(f"{record.kind}/{record.label}",),
            cells=(
                words_cell(record.fingerprint),
                words_cell(record.revision),
                words_cell(", ".join(one.fingerprint for one in record.inputs.values()) or "-"),
            ),
        )
        for record in (artifact.record for artifact in artifacts)
    ]
    return Grid(
        title="Lineage",
        caption="A fingerprint is the hash of what a stage computes and of its inputs' "
        "fingerprints; the folder of an artifact is named after it.",
        labels=("artifact",),
        columns=("fingerprint", "revision", "made of"),
        rows=tuple(rows),
    )


def provenance_grid(artifacts: Sequence[Artifact]) -> Grid:
    """Code and versions; more than one of a thing where stages were run by different ones."""
    provenances = [artifact.record.provenance for artifact in artifacts]
    # Sets: a run that was broken off and went on later may have stages of several versions.
    facts = {
        "git commit": {_commit(one.git_commit, one.git_is_dirty) for one in provenances},
        "python": {one.python for one in provenances},
        "Ray job": {one.ray_job_id or "none" for one in provenances},
    }
    for name in sorted({name for one in provenances for name in one.packages}):
        facts[name] = {one.packages[name] for one in provenances if name in one.packages}
    rows = [
        Row(labels=(name,), cells=(words_cell(", ".join(sorted(found))),))
        for name, found in facts.items()
    ]
    return Grid(
        title="Code and versions",
        caption="Of all stages above.",
        labels=("what",),
        columns=("which",),
        rows=tuple(rows),
    )


def commands(material: Material) -> Iterator[tuple[str, str]]:
    """Pairs of a description and a command that makes the results, or the numbers alone, again."""
    records = [one.record for one in (material.evaluation, *material.upstream)]
    for argv in sorted({record.provenance.argv for record in records}):
        if argv:
            yield "Everything, from the start or from where it stands:", command_of(argv)
    root = Path(_root_of(material.evaluation.record.provenance.argv))
    folder = root / material.evaluation.record.kind / material.evaluation.path.name
    yield (
        "The numbers alone, from the recorded rows, without a model:",
        shlex.join(["python", "-m", "jobs.recompute", str(folder)]),
    )


def _root_of(argv: Sequence[str]) -> str:
    for place, one in enumerate(argv):
        if one == "--root":
            return argv[place + 1]
        if one.startswith("--root="):
            return one.removeprefix("--root=")
    return DEFAULT_ROOT


def _commit(commit: str | None, is_dirty: bool | None) -> str:
    if commit is None:
        return "unknown"
    return commit[:SHORT_COMMIT] + (" with uncommitted changes" if is_dirty else "")


def _peak(kind: str, records: Sequence[Record]) -> Cell:
    peaks = [record.peak_bytes for record in records if record.peak_bytes is not None]
    if not peaks:
        return NOTHING
    name = BETWEEN.join((kind, "", "peak_bytes", "record"))
    return value_cell(name, max(peaks), text=f"{max(peaks) / 2**20:,.0f} MiB")


def _seconds(kind: str, name: str, seconds: float) -> Cell:
    text = f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
    return value_cell(BETWEEN.join((kind, "", name, "record")), seconds, text=text)


def _count(kind: str, name: str, count: int) -> Cell:
    return value_cell(BETWEEN.join((kind, "", name, "record")), count, text=str(count))
