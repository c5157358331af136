"""Record examples for the explorer, which then shows them without a server.

    interlingua gallery demo=runs/bundle/demo-rl-* --out serve/explorer/gallery/demo.json
    interlingua gallery demo=runs/bundle/demo-rl-* --page gallery.html

Opens bundles in this process (no Ray, no GPU needed), or asks a server that is there (--endpoint,
its token in INTERLINGUA_TOKEN). Which rows of the evaluation are shown is decided by rule; the rule
is in the file and on the page. --page writes one HTML file that opens from disk.
"""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlingua.serving.explorer.gallery_rule import Ask

TOKEN_VARIABLE = "INTERLINGUA_TOKEN"
PATIENCE_S, TIMEOUT_S = 300.0, 300.0


def main(arguments: argparse.Namespace) -> None:
    """Record, or take what was recorded; write the recording, the page, or both."""
    recording = _recording(arguments)
    content = json.dumps(recording, ensure_ascii=False, separators=(",", ":"))
    if arguments.out is not None:
        _write(arguments.out, content + "\n", f"{len(recording['examples'])} examples")
    if arguments.page is not None:
        from interlingua.serving.explorer.gallery_page import one_page
        from interlingua.serving.explorer.page import page_folder

        _write(arguments.page, one_page(page_folder(), content), "opens from disk")


def gallery_parser() -> argparse.ArgumentParser:
    """Arguments: where answers come from, and where they go."""
    made = argparse.ArgumentParser(
        prog="python -m jobs.gallery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "bundles", nargs="*", metavar="BUNDLE",
        help="the folder of a bundle, or NAME=FOLDER; examples are those of the first one, others "
        "are recorded on the same rows, to be compared",
    )  # fmt: skip
    made.add_argument("--endpoint", metavar="URL", help="a server that is asked instead")
    made.add_argument(
        "--model", action="append", metavar="NAME",
        help="of --endpoint: a bundle of it; repeatable (default: all of them)",
    )  # fmt: skip
    made.add_argument(
        "--evaluation",
        help="whose rows are chosen from: a folder, or of --endpoint a name (default: the first "
        "of the first bundle)",
    )
    made.add_argument(
        "--from", dest="recorded", type=Path, metavar="FILE", help="a recording that is there"
    )
    made.add_argument("--out", type=Path, metavar="FILE", help="where the recording goes, as JSON")
    made.add_argument("--page", type=Path, metavar="FILE", help="where one page of it goes")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def _recording(arguments: argparse.Namespace) -> Any:
    sources = (arguments.bundles, arguments.endpoint, arguments.recorded)
    if sum(map(bool, sources)) != 1:
        raise ValueError("give bundles, or --endpoint, or --from")
    if arguments.out is None and arguments.page is None:
        raise ValueError("give --out for the recording, --page for a page of it, or both")
    if arguments.recorded is not None:
        return json.loads(arguments.recorded.read_text())
    from interlingua.serving.explorer.gallery import recording

    if arguments.endpoint is not None:
        with _asked(arguments.endpoint) as ask:
            return recording(ask, arguments.model, arguments.evaluation)
    from interlingua.commands.using.serve import bundles_named, evaluations_served
    from interlingua.serving.explorer.gallery_server import server_of

    bundles = bundles_named(arguments.bundles)
    given = [] if arguments.evaluation is None else [arguments.evaluation]
    with server_of(bundles, evaluations_served(given, bundles)) as url, _asked(url) as ask:
        return recording(ask)


@contextmanager
def _asked(url: str) -> "Iterator[Ask]":
    """A server, as something to ask."""
    from interlingua.serving.client.stopping import Stop
    from interlingua.serving.client.transport import Transport

    token = os.environ.get(TOKEN_VARIABLE)
    transport = Transport(url, token, patience_s=PATIENCE_S, timeout_s=TIMEOUT_S)

    def ask(path: str, body: "Mapping[str, Any] | None" = None) -> Any:
        return transport.ask(path, None if body is None else json.dumps(body).encode(), Stop())

    yield ask
    transport.close()


def _write(path: Path, content: str, what: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    print(f"{path}: {len(content.encode()) / 1e3:,.0f} kB, {what}")
