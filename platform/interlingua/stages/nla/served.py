"""Stage `served`: a pair behind a URL, as its server describes it.

Its bundle is its input where it is one of this root: then what it learned from is known.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.generation import ServedSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

SERVED = "served"  # its kind
DESCRIPTION_NAME = "server.json"


class ServedInputs(NamedTuple, Generic[Member]):
    """The bundle that is served; None: it is not of this root."""

    bundle: Member | None


def served_stage(spec: ServedSpec, inputs: ServedInputs[Stage], labels: Sequence[str]) -> Stage:
    """The pair of a server."""
    return Stage(kind=SERVED, label="-".join(labels), spec=spec, run=run, inputs=inputs, revision=1)


def run(
    spec: ServedSpec, inputs: ServedInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Ask the server which bundle it has; the metrics count its hosts."""
    from interlingua.stages.nla.endpoint import opened_endpoint
    from interlingua.store.bundle import bundle_digest

    if inputs.bundle is not None and (own := bundle_digest(inputs.bundle.path)) != spec.digest:
        raise ValueError(f"{inputs.bundle.path} has the digest {own}, the server {spec.digest}")
    with opened_endpoint(context.placement.verbalizing.server, spec.digest) as endpoint:
        hosts = list(endpoint.hosts)
    description = {"digest": spec.digest, "hosts": hosts}
    (out / DESCRIPTION_NAME).write_text(json.dumps(description, indent=2))
    return {"num_hosts": len(hosts)}
