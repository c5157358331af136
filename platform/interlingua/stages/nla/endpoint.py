"""The server that a placement names, once it is the one that was meant. Opens no model."""

from interlingua.serving.client.endpoint import Endpoint
from interlingua.specs.generation import ServedSpec
from interlingua.specs.placement import ServerPlacement
from interlingua.specs.text.recorded import from_jsonable
from interlingua.store.artifact import Artifact


def endpoint_of(served: Artifact, server: ServerPlacement | None) -> Endpoint:
    """The endpoint of a served pair."""
    return opened_endpoint(server, from_jsonable(ServedSpec, served.record.spec).digest)


def opened_endpoint(server: ServerPlacement | None, digest: str) -> Endpoint:
    """The endpoint; raises ValueError where there is none, or where it serves another bundle."""
    if server is None:
        raise ValueError("a served pair is asked for, and placement.verbalizing.server is none")
    endpoint = Endpoint(server.url, server.model)
    if endpoint.digest != digest:
        found = endpoint.digest
        endpoint.close()
        raise ValueError(
            f"{server.url} serves the bundle {found} now; what was begun is of {digest}: serve "
            "that one, or begin again"
        )
    return endpoint
