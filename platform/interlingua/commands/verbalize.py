"""Explain a host's activations with an NLA: `python -m jobs.verbalize BUNDLE --host TAG`.

Takes passages of split `dev` from the run that the bundle lies in, or texts from a file, one a
line. Where the NLA reads sentences, one of each passage is read, and the last one of a text of
yours. Runs in this process: no Ray, no GPU needed.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from interlingua.models.nla import NLA


def main(arguments: argparse.Namespace) -> None:
    """Explain, rebuild and print each text; --out also stores them as JSON lines."""
    from rich.console import Console

    from interlingua.models.nla import NLA
    from interlingua.report.explanations import explained_panel
    from interlingua.specs.training import SamplingSpec

    sampling = SamplingSpec(
        seed=arguments.seed,
        temperature=arguments.temperature,
        samples=1,
        max_new_tokens=arguments.max_new_tokens,
    )
    nla, console = NLA.load(arguments.bundle, arguments.device), Console()
    with _sink(arguments.out) as sink:
        for asked in _asked(arguments, nla):
            trip = nla.round_trip(
                asked.text, arguments.host, arguments.position, sampling, span=asked.span
            )
            one = trip.verbalization
            row = {
                "host": arguments.host,
                "text": asked.text,
                "span": asked.span,
                "explanation": one.explanation,
                "generated": one.raw_text,
                "log_prob": one.log_prob,
                "share_nearer": one.share_nearer,
                "cosine": trip.cosine,
                "facts": asked.facts,
            }
            sink.write(json.dumps(row) + "\n")
            title = f"{arguments.host}, cosine {trip.cosine:.3f}"
            if one.is_unlike:
                title += ", UNLIKE what this NLA learned from: do not believe the words"
            shown = asked.text if asked.span is None else asked.text[slice(*asked.span)]
            console.print(explained_panel(shown, one.raw_text, one.explanation, asked.facts, title))


def verbalize_parser() -> argparse.ArgumentParser:
    """Arguments: the bundle, the host, the texts, and how to sample."""
    made = argparse.ArgumentParser(prog="python -m jobs.verbalize", description=__doc__)
    made.add_argument("bundle", type=Path, help="the folder of a bundle")
    made.add_argument("--host", required=True, help="whose activations; the bundle names its hosts")
    made.add_argument(
        "--num-passages", type=_at_least_one, default=25, help="of split `dev` (default: 25)"
    )
    made.add_argument(
        "--texts", type=Path, help="a file of texts, one a line, all of which are explained instead"
    )
    made.add_argument(
        "--position",
        type=int,
        help="read at this token (default: as the NLA was trained: a whole text, or a sentence)",
    )
    made.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    made.add_argument("--max-new-tokens", type=int, default=128)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--device", default="cpu")
    made.add_argument("--out", type=Path, default=Path("/dev/null"), help="a file of JSON lines")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}; it must be at least 1")
    return int(text)


class _Asked(NamedTuple):
    """A text, the sentence of it that is read (None: as the NLA was trained), what is true."""

    text: str
    span: tuple[int, int] | None
    facts: dict[str, str]


def _asked(arguments: argparse.Namespace, nla: "NLA") -> Iterator[_Asked]:
    if arguments.texts is not None:
        lines = [line for line in arguments.texts.read_text().splitlines() if line.strip()]
        if not lines:
            raise ValueError(f"{arguments.texts} holds no text; write one a line")
        yield from (_Asked(line, None, {}) for line in lines)
        return
    from interlingua.models.sites import chosen_spans
    from interlingua.specs.extraction import Spans
    from interlingua.specs.splits import Split
    from interlingua.store.artifact import Artifact, lineage
    from interlingua.store.record import CorruptRecord, read_record
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import SplitAccess
    from interlingua.world.row_facts import facts_in, sayable

    folder = arguments.bundle.resolve()
    record = read_record(folder)
    if record is None:
        raise ValueError(f"{folder} was not built in a run here; give --texts")
    root = folder.parent.parent
    try:
        upstream = lineage(Artifact(folder, record), root)
    except CorruptRecord as error:
        raise ValueError(
            f"the passages behind {folder} are not to be had from {root}, as where a bundle was "
            "copied; give --texts"
        ) from error
    (passages,) = (artifact for artifact in upstream if artifact.record.kind == "passages")
    path = passages.path / PASSAGES_NAME
    of_dev = read_passages(path, {Split.DEV}, SplitAccess({Split.DEV}))
    bundled = nla.manifest.hosts.get(arguments.host)
    for passage in islice(of_dev, arguments.num_passages):
        span, facts = None, passage.facts
        if bundled and isinstance(bundled.read, Spans) and arguments.position is None:
            # A sentence that the recipe would read, not the last one, which mostly says goodbye.
            span = chosen_spans(bundled.read, passage.passage_id, passage.text)[0]
            facts = facts_in(passage, span)
        yield _Asked(passage.text, span, sayable(facts))


def _sink(path: Path) -> Any:
    return path.open("w")
