"""The `args` of a configuration file for `serve deploy`, as what is served.

How many replicas there are, and on what, stands in the file's own `deployments`: Serve changes it
without opening a bundle again. Whatever is here is part of the application; a change restarts it.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from interlingua.serving.backend import Limits
from interlingua.serving.explorer.lineage import evaluation_at, evaluations_of, named
from interlingua.serving.own.app import Settings
from interlingua.serving.own.serve_spec import MOST_OPEN, Replicas, ServeSpec
from interlingua.store.bundle import MANIFEST_NAME, read_manifest
from interlingua.store.partial import PARTIAL_SUFFIX
from interlingua.store.record import RECORD_NAME

Part = Literal["hosts", "av", "ar"]
ELSEWHERE = "replicas, CPUs and GPUs of a part stand in `deployments`"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartArguments:
    """What a process of a part is started with."""

    device: str = "cpu"
    num_threads: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, kw_only=True)
class ServeArguments:
    """`args`; `token_from` names an environment variable, and is null where no token is wanted."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # also of what is inside

    bundles: Annotated[Mapping[str, str], Field(min_length=1)]
    token_from: str | None
    origins: tuple[str, ...] = ()
    limits: Limits = Limits()
    most_open: int = MOST_OPEN
    parts: Mapping[Part, PartArguments] = field(default_factory=dict)
    evaluations: Mapping[str, str] | None = None  # None: those of the bundles, in their run roots


def spec_of(arguments: Mapping[str, Any]) -> ServeSpec:
    """What is served by these `args`; ValueError names the field that cannot be."""
    read = _read(arguments)
    parts: dict[str, Replicas] = {
        part: Replicas(device=one.device, num_threads=one.num_threads)
        for part, one in read.parts.items()
    }
    bundles = {name: _bundle(name, given) for name, given in read.bundles.items()}
    spec = ServeSpec(
        bundles={name: str(folder) for name, folder in bundles.items()},
        limits=read.limits,
        settings=Settings(token=_token(read.token_from), origins=read.origins),
        parts=parts,
        most_open=read.most_open,
    )
    # What cannot be is said before records are read.
    return replace(spec, evaluations=_evaluations(read.evaluations, bundles))


def _read(arguments: Mapping[str, Any]) -> ServeArguments:
    try:
        # As JSON, in which a strict reader takes an object for a dataclass.
        return TypeAdapter(ServeArguments).validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        raise ValueError("; ".join(_sentence(one) for one in error.errors())) from error


def _sentence(found: Mapping[str, Any]) -> str:
    place = ".".join(map(str, ("args", *found["loc"])))
    if found["type"] == "unexpected_keyword_argument":
        return f"{place}: there is no such field ({ELSEWHERE})"
    return f"{place}: {found['msg']}"


def _bundle(name: str, given: str) -> Path:
    """The folder of a bundle; of a pattern the newest one that fits."""
    newest = _newest(f"bundles.{name}", given, MANIFEST_NAME, "bundle")
    read_manifest(newest)  # what is damaged is said when it is deployed
    return newest


def _evaluations(given: Mapping[str, str] | None, bundles: Mapping[str, Path]) -> dict[str, str]:
    """The folders of evaluations by name; of a pattern the newest one that fits."""
    if given is None:
        found = named(evaluations_of(bundles.values()))
    else:
        found = {
            name: evaluation_at(_newest(f"evaluations.{name}", one, RECORD_NAME, "evaluation")).path
            for name, one in given.items()
        }
    return {name: str(folder) for name, folder in found.items()}


def _newest(field: str, given: str, content: str, kind: str) -> Path:
    """The newest folder that fits a pattern and has this file in it."""
    pattern = Path.cwd() / given
    # A folder that is being built has its content before it has its name.
    found = [
        path
        for path in map(Path, glob(str(pattern)))
        if (path / content).is_file() and path.suffix != PARTIAL_SUFFIX
    ]
    if not found:
        raise ValueError(
            f"args.{field} is {given}; {socket.gethostname()} has no {kind} at {pattern}: "
            "give an absolute path that every node sees"
        )
    return max(found, key=lambda path: (path / content).stat().st_mtime)


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise ValueError(
            f"args.token_from is {variable}, which is not set on {socket.gethostname()}; set it "
            "where Ray is started there"
        )
    return os.environ[variable]
