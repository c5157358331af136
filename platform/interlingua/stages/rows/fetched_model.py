"""Stage `fetched`: the files of a model of the hub, in the root, once for whoever opens it.

Behind it nobody asks the hub, on whatever node: a host or a trunk is a folder. A run that was
broken off goes on with the bytes that are there.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.models import HubModel
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.hosts import FETCHED, MODEL_FOLDER

MEGABYTE = 10**6


def fetched_stage(source: str, revision: str) -> Stage:
    """The files of a hub id at a commit."""
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in source)
    spec = HubModel(source=source, revision=revision)
    return Stage(kind=FETCHED, label=label, spec=spec, run=run, inputs={}, revision=1)


def run(
    spec: HubModel, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Link or download every file, and convert weights that are pickled."""
    from interlingua.models.hosts.fetched import fetch_model, is_pickled
    from interlingua.models.hosts.hub import HubRepository
    from interlingua.models.hosts.pickled import convert_pickled
    from interlingua.store.progress import MetricsLog

    repository = HubRepository(name=spec.source, revision=spec.revision, kind="model")
    folder = out / MODEL_FOLDER
    folder.mkdir(exist_ok=True)
    log, started = MetricsLog(out, resume_step=0), time.monotonic()
    first: list[int] = []

    def report(num_bytes: int, total: int) -> None:
        first.append(num_bytes)
        values = {}
        if come := num_bytes - first[0]:  # in this attempt: what came before has no speed
            speed = come / (time.monotonic() - started)
            values["megabytes_per_second"] = speed / MEGABYTE
            values["seconds_left"] = (total - num_bytes) / speed
        log.append(num_bytes // MEGABYTE, num_steps=max(1, total // MEGABYTE), **values)

    weights = fetch_model(repository, folder, report)
    if pickled := [name for name in weights if is_pickled(name)]:
        convert_pickled(folder, pickled, str(repository))
    num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    return {"commit": spec.revision, "num_bytes": num_bytes, "num_converted": len(pickled)}
