"""Which protocol a server speaks: the platform's own where it has it, else Neuronpedia's."""

from collections.abc import Mapping
from typing import Any

from interlingua.serving.client.errors import EndpointError, NotOffered
from interlingua.serving.client.neuronpedia import PROTOCOL, NeuronpediaServer, status_of
from interlingua.serving.client.own import OwnServer
from interlingua.serving.client.server import Server
from interlingua.serving.client.stopping import Stop
from interlingua.serving.client.transport import Transport

ELSEWHERE = (200, 404, 405)  # of a server that is there, but not with this route


def server_at(transport: Transport, model: str | None, concurrency: int) -> Server:
    """The server behind a URL; EndpointError where it speaks neither protocol."""
    bundles = _bundles(_answer(transport, "/v1/models"))
    if bundles:
        name = next(iter(bundles)) if model is None else model
        if name not in bundles:
            raise ValueError(f"model is {name!r}; {transport.url} has: {', '.join(bundles)}")
        return OwnServer(transport, name, bundles[name], concurrency)
    status = status_of(_answer(transport, "/"))
    if status is None:
        message = f"neither /v1/models nor / answers as an NLA's server does; {_ADVICE}"
        raise EndpointError(transport.url, message)
    if model is not None:
        raise NotOffered(
            f"model: {transport.url} has one NLA alone, in {PROTOCOL}; of another server of ours "
            "its address ends in /bundles/NAME"
        )
    return NeuronpediaServer(transport, status, concurrency)


_ADVICE = "give the address alone, like http://127.0.0.1:8000"


def _answer(transport: Transport, path: str) -> object:
    """What is answered to a GET; None: nothing is there."""
    try:
        return transport.ask(path, None, Stop())
    except EndpointError as error:
        if error.status in ELSEWHERE:
            return None
        raise


def _bundles(answer: object) -> dict[str, Mapping[str, Any]]:
    """Our part of every model in such a list, by name; none where it is not ours."""
    match answer:
        case {"data": list(models)}:
            return {
                str(one["id"]): one["interlingua"]
                for one in models
                if isinstance(one, Mapping) and "interlingua" in one and "id" in one
            }
    return {}
