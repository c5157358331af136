"""Addresses of MLflow's pages of runs, for notes and for people. Knows no stage.

MLflow opens in a view of chats, which lists no run of a training: an address names the other view.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from interlingua.tracking.database import tracking_uri
from interlingua.tracking.runs import UPLOADED

VIEW = "?workflowType=machine_learning"
ARTIFACTS = "{artifacts}"  # in a note: where the files of its own run are shown
DATABASE = "sqlite:///"
# Runs that nothing is nested above, the newest first.
RUNS = """
SELECT experiments.experiment_id, experiments.name, runs.run_uuid, uploaded.value
FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
LEFT JOIN tags AS above ON above.run_uuid = runs.run_uuid AND above.key = 'mlflow.parentRunId'
LEFT JOIN tags AS uploaded ON uploaded.run_uuid = runs.run_uuid AND uploaded.key = ?
WHERE above.value IS NULL AND runs.lifecycle_stage = 'active'
AND experiments.lifecycle_stage = 'active'
ORDER BY runs.start_time DESC
"""


class RunPages(NamedTuple):
    """An experiment: the address of its list of runs, and of a file of its newest that has it."""

    experiment: str
    runs: str
    file: str | None


def file_link(words: str, path: str) -> str:
    """A link for a run's note to one of its files, in Markdown."""
    return f"[{words}]({ARTIFACTS}/{path}{VIEW})"


def addressed(note: str, experiment_id: str, run_id: str) -> str:
    """The note with the place of its run in its links."""
    return note.replace(ARTIFACTS, f"#/experiments/{experiment_id}/runs/{run_id}/artifacts")


def run_pages(root: Path, server: str, file: str) -> list[RunPages]:
    """The pages of every experiment in the root's database, at that server; none of another's."""
    uri = tracking_uri(root)
    database = Path(uri.removeprefix(DATABASE))
    if not uri.startswith(DATABASE) or not database.exists():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(RUNS, (UPLOADED,)).fetchall()
    found: dict[str, RunPages] = {}
    for experiment_id, name, run_id, uploaded in rows:
        runs = f"{server}/#/experiments/{experiment_id}/runs"
        pages = found.setdefault(name, RunPages(name, runs + VIEW, None))
        if pages.file is None and file in json.loads(uploaded or "{}").get("files", {}):
            address = f"{runs}/{run_id}/artifacts/{file}{VIEW}"
            found[name] = pages._replace(file=address)
    return list(found.values())
