"""The activations that a request is about: sent as vectors, or read from its texts by a host.

h: raw activations [N, D] of a host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interlingua.serving.backend import (
    Backend,
    Card,
    HostCard,
    NotAvailable,
    Prompt,
    Reading,
    Refused,
)
from interlingua.serving.http.errors import UnknownModel
from interlingua.serving.http.limits import positions_of, prompts_of
from interlingua.serving.http.requests import Explains, Reads, Tokenizes
from interlingua.serving.http.streaming import together
from interlingua.serving.http.wire import vectors_of
from interlingua.serving.own.answers import Origin

TEXTS = ("text", "texts", "messages")
Places = list[int] | Literal["all"] | None  # positions of a text; None: the whole of it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Activations of a host, and where each is from; texts that were read for them."""

    h_ND: np.ndarray
    origins: Sequence[Origin]
    readings: Sequence[Reading] = ()
    is_zero: bool = False  # the AV is shown zeros, whatever stands in `h_ND`


def bundle_of(backends: Mapping[str, Backend], model: str | None) -> tuple[str, Backend]:
    """The bundle of a name; without one the first. With the name that it has here."""
    names = list(backends)  # at once: bundles come and go
    if not names:
        raise NotAvailable("no bundle is open")
    name = names[0] if model is None else model
    backend = backends.get(name)
    if backend is None:
        raise UnknownModel("model", f"model is {name!a}; here are: {', '.join(names)}")
    return name, backend


def host_of(card: Card, tag: str | None) -> HostCard:
    """The host of a tag; without one the only host."""
    known = f"{card.name} knows: {', '.join(card.hosts)}"
    if tag is None:
        if len(card.hosts) > 1:
            raise Refused("host", f"host is missing; {known}")
        (tag,) = card.hosts
    if tag not in card.hosts:
        raise Refused("host", f"host is {tag!a}; {known}")
    return card.hosts[tag]


async def rows_of(request: Explains, backend: Backend, host: HostCard) -> Rows:
    """The activations that a request is about."""
    num_zero = getattr(request, "zero_vectors", None)  # of /v1/verbalize alone
    if num_zero is None and request.activations is None:
        return _rows_of(request, await readings_of(request, backend, host))
    given = "activations" if num_zero is None else "zero_vectors"
    for field in (*TEXTS, "positions", "activations"):
        if field != given and getattr(request, field) is not None:
            raise Refused(field, f"{field} and {given} are both there; give one of them")
    most = backend.card.limits.max_rows
    if num_zero is None:
        h_ND = vectors_of(
            request.activations,
            field="activations",
            width=host.width,
            host=host.tag,
            max_rows=most,
        )
    elif num_zero > most:
        raise Refused("zero_vectors", f"zero_vectors is {num_zero}; one request has at most {most}")
    else:
        h_ND = np.zeros((num_zero, host.width), np.float32)
    nowhere = [
        Origin(index=row, text_index=None, position=None, token=None) for row in range(len(h_ND))
    ]
    return Rows(h_ND=h_ND, origins=nowhere, is_zero=num_zero is not None)


async def tokenized(request: Tokenizes, backend: Backend, host: HostCard) -> list[Reading]:
    """The tokens of the texts of a request."""
    prompts, fields = _prompts(request, backend, host)
    return await together(
        [_tokens(backend, host, *one) for one in zip(prompts, fields, strict=True)]
    )


async def readings_of(request: Reads, backend: Backend, host: HostCard) -> list[Reading]:
    """What the host reads in the texts of a request, at its positions."""
    prompts, fields = _prompts(request, backend, host)
    limits = backend.card.limits
    places = positions_of(request, len(prompts), limits)
    counts = await together(
        [_num_rows(backend, host, *one) for one in zip(prompts, places, fields, strict=True)]
    )
    if sum(counts) > limits.max_rows:
        raise Refused(
            "positions",
            f"{sum(counts)} activations are asked for; one request has at most {limits.max_rows}",
        )
    return await together(
        [_read(backend, host, *one) for one in zip(prompts, places, fields, strict=True)]
    )


def _prompts(
    request: Tokenizes, backend: Backend, host: HostCard
) -> tuple[list[Prompt], list[str]]:
    """The texts of a request, and where in it each of them is."""
    given = [field for field in TEXTS if getattr(request, field) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them is there"
        raise Refused((*given, "text")[0], f"give one of {', '.join(TEXTS)}; found: {found}")
    if not host.is_here:
        raise NotAvailable(
            f"the model of {host.tag} is not here, so that it reads no texts; send activations"
        )
    prompts = prompts_of(request, backend.card.limits)
    fields = [f"texts[{n}]" if request.texts is not None else given[0] for n in range(len(prompts))]
    return prompts, fields


async def _tokens(backend: Backend, host: HostCard, prompt: Prompt, field: str) -> Reading:
    try:
        return await backend.tokenize(host.tag, prompt)
    except Refused as error:
        raise _of_field(error, field) from error


async def _num_rows(
    backend: Backend, host: HostCard, prompt: Prompt, places: Places, field: str
) -> int:
    """How many activations will be read; asked before any is."""
    if places is None:
        return 1
    if places != "all":
        return len(places)
    count = len((await _tokens(backend, host, prompt, field)).tokens)
    if not count:
        raise Refused(field, f"{field} has no token")
    most = backend.card.limits.max_positions
    if count > most:
        raise Refused("positions", f"{field} has {count} tokens; name at most {most} positions")
    return count


async def _read(
    backend: Backend, host: HostCard, prompt: Prompt, places: Places, field: str
) -> Reading:
    positions = None if places == "all" else places
    try:
        return await backend.read(host.tag, prompt, positions, whole=places is None)
    except Refused as error:
        raise _of_field(error, field) from error


def _of_field(error: Refused, field: str) -> Refused:
    """A bundle's refusal of one text, with the field that it has among the texts of a request."""
    _, bracket, number = field.partition("[")
    named = f"{error.field}{bracket}{number}" if error.field == "positions" else field
    return Refused(named, str(error))


def _rows_of(request: Reads, readings: Sequence[Reading]) -> Rows:
    origins = [
        Origin(
            index=0,
            text_index=number,
            position=position,
            token=None if position is None else reading.tokens[position].text,
        )
        for number, reading in enumerate(readings)
        for position in reading.positions
    ]
    for row, origin in enumerate(origins):
        origin["index"] = row
    h_ND = np.concatenate([one.h_ND for one in readings])
    return Rows(h_ND=h_ND, origins=origins, readings=readings)
