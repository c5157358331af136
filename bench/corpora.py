"""Texts of files as passages, at two sizes, beside a plain pyarrow loop that checks nothing.

    python -m bench.corpora [--documents 10000 100000]

A document is ten rows, prefixes of one text of 40 words; two of a hundred documents are another's
with a changed end. Every run has a process of its own, whose peaks are its own, too. Linear work
has one rate at both sizes; what is held is what the peaks differ by.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from bench.rounds import machine_lines, say
from interlingua.specs.corpora import NearDuplicates, PassagesSpec, TextFiles
from interlingua.specs.splits import SplitSpec
from interlingua.store.rows.passages import PASSAGES_NAME

ROWS, WORDS, VOCABULARY, COPIED = 10, 40, 20_000, 0.02
SPLIT = SplitSpec(seed=0, pretrain=0, av_sft=0.4, ar_sft=0.2, rl=0.1, fit=0.1, dev=0.1, test=0.1)
TEXTS_NAME, PLAIN_NAME = "texts.jsonl", "plain.parquet"
NEAR = NearDuplicates()
POLL_SECONDS = 0.005
MB = 2**20

Make = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process took; bytes are its peaks."""

    cpu_s: float
    wall_s: float
    resident: int
    own: int


def main() -> None:
    """Write both corpora, compare what came out, print the table."""
    sizes = _options().documents
    variants: dict[str, Make] = {
        "pyarrow alone": _plain,
        "ours": partial(_ours, near=None),
        "ours, near-duplicates left out": partial(_ours, near=NEAR),
    }
    runs: dict[tuple[str, int], Run] = {}
    with TemporaryDirectory() as name:
        for size in sizes:
            folder = Path(name) / str(size)
            folder.mkdir()
            _write_texts(folder / TEXTS_NAME, size)
            for variant, make in variants.items():
                runs[variant, size] = _run(make, folder)
            _check(folder, size)
    say("| variant | rows | rows/CPU s | rows/s | own memory, MB | resident, MB |")
    say("|---|---|---|---|---|---|")
    for (variant, size), run in runs.items():
        say(_line(variant, size * ROWS, run))
    say("", *(_growth(variant, runs, sizes) for variant in variants), "", *machine_lines())


def _plain(folder: Path) -> None:
    """Stream the rows from one file into another; no id, no split, nothing looked at."""
    with (
        pj.open_json(folder / TEXTS_NAME) as batches,
        pq.ParquetWriter(folder / PLAIN_NAME, batches.schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def _ours(folder: Path, *, near: NearDuplicates | None) -> None:
    """The stage `passages` without its record."""
    from interlingua.sources.files import sha256_of_files
    from interlingua.stages.rows.passages import run

    texts, out = folder / TEXTS_NAME, folder / _out_name(near)
    out.mkdir()
    corpus = TextFiles(
        path=str(texts),
        sha256=sha256_of_files([texts]),
        id_field="id",
        document_field="document",
    )
    spec = PassagesSpec(corpus=corpus, split=SPLIT, near_duplicates=near)
    counts = run(spec, {}, out, None)
    (out / "counts.json").write_text(json.dumps(counts))


def _check(folder: Path, num_documents: int) -> None:
    """Raise where our passages are not the rows of the plain copy, or none was left out."""
    texts = pq.read_table(folder / PLAIN_NAME, columns=["text"])["text"]
    ours = pq.read_table(folder / _out_name(None) / PASSAGES_NAME, columns=["text"])["text"]
    # The first of each, in their order: a text that comes twice is one passage.
    if ours.to_pylist() != list(dict.fromkeys(texts.to_pylist())):
        raise SystemExit("ours are other texts than those of the file")
    counts = json.loads((folder / _out_name(NEAR) / "counts.json").read_text())
    left_out = {name: count for name, count in counts.items() if "duplicates" in name}
    if not left_out:
        raise SystemExit("of documents that were copied across splits, none was left out")
    say(
        f"{num_documents} documents, {len(texts)} rows: {len(ours)} texts, of which "
        f"{sum(left_out.values())} are near-duplicates of others in a later split"
    )


def _write_texts(path: Path, num_documents: int) -> None:
    with path.open("w") as file:
        for document, words in enumerate(_documents(num_documents)):
            for row in range(ROWS):
                text = " ".join(words[: (row + 1) * WORDS // ROWS])
                entry = {"id": f"{document}:{row}", "document": f"d{document}", "text": text}
                file.write(json.dumps(entry) + "\n")


def _documents(count: int) -> Iterator[list[str]]:
    rng, words = random.Random(0), [""] * WORDS
    for _ in range(count):
        if rng.random() < COPIED:
            words = [*words[: WORDS - 4], *_words(rng, 4)]
        else:
            words = _words(rng, WORDS)
        yield words


def _words(rng: random.Random, count: int) -> list[str]:
    return [f"w{rng.randrange(VOCABULARY)}" for _ in range(count)]


def _run(make: Make, folder: Path) -> Run:
    """What a fresh process takes for it, from its first import to its end."""
    context = get_context("spawn")
    results: Any = context.Queue()
    process = context.Process(target=_timed, args=(make, folder, results))
    process.start()
    # Of the process itself, not from getrusage: there the child starts with its parent's peak.
    peaks: Counter[str] = Counter()
    while process.is_alive():
        for name, size in _status(Path(f"/proc/{process.pid}/status")).items():
            peaks[name] = max(peaks[name], size)
        time.sleep(POLL_SECONDS)
    try:
        cpu_s, wall_s = results.get(timeout=1)
    except Empty:
        raise SystemExit(f"{make} ended with {process.exitcode}") from None
    return Run(cpu_s=cpu_s, wall_s=wall_s, resident=peaks["VmHWM"], own=peaks["RssAnon"])


def _timed(make: Make, folder: Path, results: Any) -> None:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    make(folder)
    results.put((time.process_time() - cpu_s, time.perf_counter() - wall_s))


def _status(path: Path) -> dict[str, int]:
    """The sizes that the system says of a process, in bytes; none when it has just ended."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}


def _line(variant: str, num_rows: int, run: Run) -> str:
    rates = f"{num_rows / run.cpu_s:.0f} | {num_rows / run.wall_s:.0f}"
    return f"| {variant} | {num_rows} | {rates} | {run.own / MB:.0f} | {run.resident / MB:.0f} |"


def _growth(variant: str, runs: dict[tuple[str, int], Run], sizes: list[int]) -> str:
    least, most = (runs[variant, size] for size in (min(sizes), max(sizes)))
    held = (most.own - least.own) / ((max(sizes) - min(sizes)) * ROWS)
    return (
        f"{variant}: {max(sizes) / min(sizes):.0f} times the rows take "
        f"{most.cpu_s / least.cpu_s:.1f} times the CPU time, and {held:.0f} bytes of own memory "
        "for each row more"
    )


def _out_name(near: NearDuplicates | None) -> str:
    return "all" if near is None else "near"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs=2, default=[10_000, 100_000])
    return parser.parse_args()


if __name__ == "__main__":
    main()
