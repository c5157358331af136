"""Serve bundles over HTTP with Ray Serve: `interlingua serve BUNDLE...`.

On a private Ray cluster, or on the one that RAY_ADDRESS names. Ctrl-C and SIGTERM answer what was
begun, then end.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from interlingua.commands.command_line import check_port
from interlingua.serving.backend import Limits
from interlingua.serving.explorer.lineage import evaluation_at, evaluations_of, named
from interlingua.serving.own.app import Settings
from interlingua.serving.own.serve_spec import MOST_OPEN, Replicas, ServeSpec
from interlingua.serving.protocols.neuronpedia import EXPLORER
from interlingua.store.bundle import read_manifest

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_VARIABLE, RAY_ADDRESS = "INTERLINGUA_TOKEN", "RAY_ADDRESS"


def main(arguments: argparse.Namespace) -> None:
    """Open the bundles, say where they are, and serve until stopped."""
    from interlingua.cluster.serving import served

    token = os.environ.get(TOKEN_VARIABLE)
    if token is None and arguments.host not in LOOPBACK:
        raise ValueError(
            f"--host is {arguments.host}, which others can reach: set {TOKEN_VARIABLE} to a secret "
            "that clients send, or serve on 127.0.0.1"
        )
    bundles = bundles_named(arguments.bundles)
    spec = ServeSpec(
        bundles=bundles,
        limits=Limits(max_batch_rows=arguments.batch_rows, timeout_s=arguments.timeout),
        settings=Settings(token=token, origins=tuple(arguments.origin)),
        parts=replicas_of(arguments.replicas),
        most_open=arguments.most_open,
        evaluations=evaluations_served(arguments.evaluation, bundles),
    )
    if RAY_ADDRESS not in os.environ:  # a Ray that is there may serve at this port already
        check_port(arguments.host, arguments.port)
    stopped = threading.Event()
    with served(spec, host=arguments.host, port=arguments.port):
        # Before the address is known: who reads it may end the server at once.
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        signal.signal(signal.SIGINT, lambda *_: stopped.set())
        print(_where(spec, arguments.host, arguments.port))
        sys.stdout.flush()
        stopped.wait()
        print("stopping: requests that were begun are answered", flush=True)


def serve_parser() -> argparse.ArgumentParser:
    """Arguments: the bundles, and where they are served."""
    made = argparse.ArgumentParser(prog="python -m serve.app", description=__doc__)
    made.add_argument(
        "bundles", nargs="+", metavar="BUNDLE",
        help="the folder of a bundle, or NAME=FOLDER; the first is the default one",
    )  # fmt: skip
    made.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    made.add_argument("--port", type=int, default=8000)
    made.add_argument(
        "--batch-rows", type=int, default=Limits().max_batch_rows, help="samples of one forward"
    )
    made.add_argument(
        "--timeout", type=float, default=Limits().timeout_s, help="seconds that a request may take"
    )
    made.add_argument(
        "--replicas",
        action="append",
        default=[],
        metavar="PART=LEAST[:MOST]",
        help="processes of a part (hosts, av, ar, ingress): av=2, or av=1:4 for as many as the "
        "load needs; repeatable",
    )
    made.add_argument(
        "--most-open", type=int, default=MOST_OPEN, help="bundles that a process has open at once"
    )
    made.add_argument(
        "--evaluation", action="append", default=[], metavar="FOLDER",
        help="an evaluation whose rows can be searched, or NAME=FOLDER; repeatable; without it "
        "those of the bundles in their own run roots",
    )  # fmt: skip
    made.add_argument(
        "--origin", action="append", default=[], help="a web page's origin that may ask; repeatable"
    )
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def replicas_of(given: list[str]) -> dict[str, Replicas]:
    """Replicas by part, of PART=NUMBER and PART=LEAST:MOST."""
    found: dict[str, Replicas] = {}
    for one in given:
        part, _, numbers = one.partition("=")
        least, colon, most = numbers.partition(":")
        if not (least.isdecimal() and (most.isdecimal() if colon else True)):
            raise ValueError(f"--replicas is {one}; give PART=NUMBER or PART=LEAST:MOST, as av=1:4")
        if part in found:
            raise ValueError(f"--replicas names {part} twice")
        try:
            found[part] = Replicas(least=int(least), most=int(most if colon else least))
        except ValueError as error:
            raise ValueError(f"--replicas is {one}: {error}") from error
    return found


def bundles_named(given: list[str]) -> dict[str, str]:
    """Absolute folders by the names that clients use."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, folder = one.partition("=")
        path = Path(folder if equals else one).resolve()
        read_manifest(path)  # what is no bundle, or is damaged, is said before Ray is started
        name = name if equals else path.name
        if name in found:
            raise ValueError(f"two bundles are called {name}; name one: NAME={path}")
        found[name] = str(path)
    return found


def evaluations_served(given: list[str], bundles: Mapping[str, str]) -> dict[str, str]:
    """Absolute folders of evaluations by name: those that were given, else those of the bundles."""
    if not given:
        folders = evaluations_of(map(Path, bundles.values()))
        return {name: str(folder) for name, folder in named(folders).items()}
    plain = named(Path(one).resolve() for one in given if "=" not in one)
    found = {name: str(folder) for name, folder in plain.items()}
    for name, _, folder in (one.partition("=") for one in given if "=" in one):
        if not name or "/" in name:
            raise ValueError(f"{name!a} is no name of an evaluation: it is a part of URLs")
        if name in found:
            raise ValueError(f"two evaluations are called {name}; name one: NAME={folder}")
        found[name] = str(evaluation_at(Path(folder).resolve()).path)
    return found


def _where(spec: ServeSpec, host: str, port: int) -> str:
    first, *_ = spec.bundles
    tag, *_ = read_manifest(Path(spec.bundles[first])).hosts
    url = f"http://{host}:{port}"
    has_token = spec.settings.token is not None
    key = f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"' if has_token else ""
    text = f'{{"host": "{tag}", "text": "dear friend, there was rain at the harbor."}}'
    return "\n".join(
        [
            f"explorer: {url}{EXPLORER}",
            f"serving {', '.join(spec.bundles)} at {url}   (API: {url}/docs)",
            f"evaluations: {', '.join(spec.evaluations) or 'none'}",
            "",
            f"curl {url}/v1/models{key}",
            f"curl {url}/v1/verbalize{key} -H 'Content-Type: application/json' -d '{text}'",
            f"curl {url}/v1/roundtrip{key} -H 'Content-Type: application/json' -d '{text}'",
        ]
    )
