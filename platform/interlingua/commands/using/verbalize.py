"""Explain a host's activations with an NLA: `interlingua verbalize BUNDLE --host TAG`.

Takes passages of split `dev` from the run that the bundle lies in (or those of --ids), texts from a
file, one a line, or raw activations from a file. Where the NLA reads sentences, one of each passage
is read, and the last one of a text of yours. Runs in this process: no Ray, no GPU needed.

With `--endpoint URL` for the bundle a server does the work (its token in INTERLINGUA_TOKEN), and
gives the same texts of --texts or --vectors.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from rich.panel import Panel

    from interlingua.models.bundle.nla import NLA
    from interlingua.models.bundle.system import SamplingOptions
    from interlingua.models.bundle.verbalization import RoundTrip
    from interlingua.serving.client.endpoint import Endpoint
    from interlingua.store.artifact import Artifact
    from interlingua.store.rows.passages import Passage

BATCH_ROWS = 64  # activations that are explained, printed and stored together
CONCURRENCY = 4  # such batches that a server has at once


class Asked(NamedTuple):
    """What is explained: a text (none of a vector), a sentence of it or all, and what is true."""

    text: str | None
    span: tuple[int, int] | None = None
    facts: Mapping[str, str] = {}


def main(arguments: argparse.Namespace) -> None:
    """Explain, rebuild and print each activation; --out also stores them as JSON lines."""
    from rich.console import Console

    nla, console = _opened(arguments), Console()
    asked, h_ND = _activations(arguments, nla)
    num_rows = BATCH_ROWS if arguments.endpoint is None else BATCH_ROWS * CONCURRENCY
    with nullcontext() if arguments.out is None else arguments.out.open("w") as sink:
        for start in range(0, len(asked), num_rows):
            part = slice(start, start + num_rows)
            trips = nla.round_trips(h_ND[part], arguments.host, **_sampling(arguments))
            for one, trip in zip(asked[part], trips, strict=True):
                console.print(_panel(one, trip, arguments.host))
                if sink is not None:
                    sink.write(json.dumps(_row(one, trip, arguments.host)) + "\n")


def verbalize_parser() -> argparse.ArgumentParser:
    """Arguments: the bundle, the host, what to explain, and how to sample."""
    made = argparse.ArgumentParser(prog="python -m jobs.verbalize", description=__doc__)
    system = made.add_mutually_exclusive_group(required=True)
    system.add_argument("bundle", type=Path, nargs="?", help="the folder of a bundle")
    system.add_argument("--endpoint", metavar="URL", help="a server that does it instead")
    made.add_argument("--model", help="of --endpoint: which of its bundles (default: the first)")
    made.add_argument("--host", required=True, help="whose activations; the bundle names its hosts")
    made.add_argument(
        "--num-passages", type=_at_least_one, default=25, help="of split `dev` (default: 25)"
    )
    source = made.add_mutually_exclusive_group()
    source.add_argument(
        "--texts", type=Path, help="a file of texts, one a line, all of which are explained instead"
    )
    source.add_argument(
        "--ids", type=lambda text: text.split(","), help="passages of `dev` by id, with commas"
    )
    source.add_argument(
        "--vectors", type=Path, help="a .npy file of raw activations, [D] or [N, D], instead"
    )
    made.add_argument(
        "--position",
        type=int,
        help="read at this token (default: as the NLA was trained: a whole text, or a sentence)",
    )
    made.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    made.add_argument("--max-new-tokens", type=int, default=128)
    made.add_argument("--seed", type=int, help="of temperatures above 0 (default: 0)")
    made.add_argument("--device", help="where the models of a bundle are (default: cpu)")
    made.add_argument("--out", type=Path, help="a file of JSON lines")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def _opened(arguments: argparse.Namespace) -> "NLA | Endpoint":
    """The bundle, or the server; refused before it is opened where an option is of the other."""
    if arguments.endpoint is None:
        if arguments.model is not None:
            raise ValueError("--model names a bundle of a server; give --endpoint, too")
        from interlingua.models.bundle.nla import NLA

        return NLA.load(arguments.bundle, arguments.device or "cpu")
    if arguments.device is not None:
        raise ValueError("--device is of a bundle; a server has its own devices")
    if arguments.texts is None and arguments.vectors is None:
        raise ValueError(
            "passages of `dev`, also those of --ids, lie beside a bundle, which a server does not "
            "give away; give --texts or --vectors with --endpoint"
        )
    from interlingua.serving.client.endpoint import Endpoint

    return Endpoint(arguments.endpoint, arguments.model, concurrency=CONCURRENCY)


def _sampling(arguments: argparse.Namespace) -> "SamplingOptions":
    asked: SamplingOptions = {
        "temperature": arguments.temperature,
        "max_new_tokens": arguments.max_new_tokens,
    }
    if arguments.seed is not None:
        asked["seed"] = arguments.seed
    return asked


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}; it must be at least 1")
    return int(text)


def _activations(
    arguments: argparse.Namespace, nla: "NLA | Endpoint"
) -> "tuple[list[Asked], np.ndarray]":
    """What is asked for, with a raw activation of each."""
    import numpy as np

    if arguments.vectors is not None:
        try:
            h_ND = np.atleast_2d(np.load(arguments.vectors, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise ValueError(f"{arguments.vectors} is no .npy file of numbers: {error}") from error
        return [Asked(None)] * len(h_ND), h_ND
    if arguments.texts is not None:
        asked = _texts(arguments.texts)
        return asked, _read(asked, arguments, nla)
    from interlingua.models.bundle.nla import NLA

    assert isinstance(nla, NLA)  # `_opened` gives no server without texts and vectors
    asked = list(_of_dev(arguments, nla))
    if any(one.span for one in asked):
        rows = [
            nla.activation(one.text, arguments.host, span=one.span) for one in asked if one.text
        ]
        return asked, np.stack(rows)
    return asked, _read(asked, arguments, nla)


def _read(
    asked: Sequence[Asked], arguments: argparse.Namespace, nla: "NLA | Endpoint"
) -> "np.ndarray":
    texts = [one.text for one in asked if one.text is not None]
    positions = None if arguments.position is None else [[arguments.position]] * len(texts)
    return nla.read(texts, arguments.host, positions).h_ND


def _texts(path: Path) -> list[Asked]:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{path} holds no text; write one a line")
    return [Asked(line) for line in lines]


def _of_dev(arguments: argparse.Namespace, nla: "NLA") -> Iterator[Asked]:
    from interlingua.models.hosts.sites import chosen_spans
    from interlingua.sources.source import nameable, truth_of
    from interlingua.specs.extraction import Spans

    bundled = nla.manifest.hosts.get(arguments.host)
    passages = _passages_behind(arguments.bundle.resolve())
    truth = truth_of(passages)
    for passage in _of_split(passages, arguments.ids, arguments.num_passages):
        span, facts = None, passage.facts
        if bundled and isinstance(bundled.read, Spans) and arguments.position is None:
            # A sentence that the recipe would read, not the last one, which mostly says goodbye.
            span = chosen_spans(bundled.read, passage.passage_id, passage.text)[0]
            facts = {} if truth is None else truth.of_span(passage, span)
        yield Asked(passage.text, span, {} if truth is None else nameable(truth, facts))


def _passages_behind(folder: Path) -> "Artifact":
    """The passages of the run that the bundle lies in."""
    from interlingua.store.artifact import Artifact, lineage
    from interlingua.store.record import CorruptRecord, read_record

    record = read_record(folder)
    if record is None:
        raise ValueError(f"{folder} was not built in a run here; give --texts")
    try:
        upstream = lineage(Artifact(folder, record), folder.parent.parent)
    except CorruptRecord as error:
        raise ValueError(
            f"the passages behind {folder} are not to be had from {folder.parent.parent}, as where "
            "a bundle was copied; give --texts"
        ) from error
    (passages,) = (artifact for artifact in upstream if artifact.record.kind == "passages")
    return passages


def _of_split(passages: "Artifact", ids: Sequence[str] | None, count: int) -> "Iterator[Passage]":
    """Passages of `dev`: the first, or those with these ids."""
    from interlingua.specs.splits import Split
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import SplitAccess

    path = passages.path / PASSAGES_NAME
    of_dev = read_passages(path, {Split.DEV}, SplitAccess({Split.DEV}))
    if ids is None:
        yield from islice(of_dev, count)
        return
    found = {passage.passage_id: passage for passage in of_dev if passage.passage_id in ids}
    if missing := [one for one in ids if one not in found]:
        raise ValueError(f"split dev has no passage {', '.join(missing)}")
    yield from (found[one] for one in ids)


def _panel(asked: Asked, trip: "RoundTrip", host: str) -> "Panel":
    from interlingua.report.terminal.explanations import explained_panel

    one, title = trip.verbalization, f"{host}, cosine {trip.cosine:.3f}"
    if one.is_unlike:
        title += ", UNLIKE what this NLA learned from: do not believe the words"
    text = "a raw activation" if asked.text is None else asked.text
    shown = text if asked.span is None else text[slice(*asked.span)]
    return explained_panel(shown, one.raw_text, one.explanation, asked.facts, title)


def _row(asked: Asked, trip: "RoundTrip", host: str) -> dict[str, Any]:
    one = trip.verbalization
    return {
        "host": host,
        "text": asked.text,
        "span": asked.span,
        "explanation": one.explanation,
        "generated": one.raw_text,
        # NaN is no JSON; a server of Neuronpedia's protocol does not say how probable a text is.
        "log_prob": one.log_prob if isfinite(one.log_prob) else None,
        "share_nearer": one.share_nearer,
        "cosine": trip.cosine,
        "nmse": trip.nmse,
        "facts": asked.facts,
    }
