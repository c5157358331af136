"""Texts and vectors of files as passages and shards, beside plain loops that check nothing.

    python -m bench.corpora [--documents 10000 100000]

A document is ten rows, prefixes of one text of 40 words; two of a hundred documents are another's
with a changed end; a row has a vector of 64 numbers. Every run has a process of its own, imports
and records included, whose peaks are its own, too. Linear work takes ten times the time for ten
times the rows; what is held is what the peaks differ by.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from bench.rounds import machine_lines, say
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.corpora import NearDuplicates, PassagesSpec, TextFiles
from interlingua.specs.extraction import ExtractSpec, LastToken
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import SplitSpec
from interlingua.store.artifact import Artifact, Stage, build, find
from interlingua.store.rows.passages import PASSAGES_NAME
from interlingua.store.rows.shards import read_shard

ROWS, WORDS, VOCABULARY, COPIED = 10, 40, 20_000, 0.02
SPLIT = SplitSpec(seed=0, pretrain=0, av_sft=0.4, ar_sft=0.2, rl=0.1, fit=0.1, dev=0.1, test=0.1)
WIDTH, ROWS_PER_SHARD = 64, 8192
TEXTS_NAME, PLAIN_NAME = "texts.jsonl", "plain.parquet"
VECTORS_NAME, COPIED_NAME = "vectors.npy", "copied.npy"
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
        "passages: a pyarrow loop": _plain,
        "passages: ours": partial(_passages, near=None),
        "passages: ours, near-duplicates left out": partial(_passages, near=NEAR),
        "vectors: a numpy loop": _copied,
        "vectors: ours": _vectors,
    }
    runs: dict[tuple[str, int], Run] = {}
    with TemporaryDirectory() as name:
        for size in sizes:
            folder = Path(name) / str(size)
            folder.mkdir()
            _write_texts(folder / TEXTS_NAME, size)
            _write_vectors(folder / VECTORS_NAME, size * ROWS)
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


def _passages(folder: Path, *, near: NearDuplicates | None) -> None:
    """The stage `passages` with its record."""
    build(_passages_stage(folder, near), folder, None)


def _passages_stage(folder: Path, near: NearDuplicates | None) -> Stage:
    from interlingua.sources.files import sha256_of_files
    from interlingua.stages.rows.passages import passages_stage

    texts = folder / TEXTS_NAME
    corpus = TextFiles(path=str(texts), sha256=sha256_of_files([texts]), document_field="document")
    return passages_stage(PassagesSpec(corpus=corpus, split=SPLIT, near_duplicates=near))


def _copied(folder: Path) -> None:
    """Stream the vectors from one file into another."""
    given_ND = np.load(folder / VECTORS_NAME, mmap_mode="r")
    with (folder / COPIED_NAME).open("wb") as file:
        for start in range(0, len(given_ND), ROWS_PER_SHARD):
            file.write(given_ND[start : start + ROWS_PER_SHARD].tobytes())


def _vectors(folder: Path) -> None:
    """The stage `activations` of a file of vectors, row i of text i, with its record."""
    from interlingua.cluster.local import local_context
    from interlingua.sources.files import sha256_of_files
    from interlingua.stages.rows.stored_rows import stored_rows_stage

    path = folder / VECTORS_NAME
    extract = ExtractSpec(
        host_tag="bench",
        block_indices=(0,),
        read=LastToken(),
        max_tokens=64,
        dtype="float32",
        splits=tuple(split for split, share in SPLIT.shares().items() if share),
    )
    file = ActivationFile(path=str(path), sha256=sha256_of_files([path]), num_compared=0)
    stage = stored_rows_stage(None, _passages_stage(folder, None), extract, file)
    placement = ONE_CORE_A_STAGE.extraction
    extraction = replace(placement, block_passages=ROWS_PER_SHARD)
    build(stage, folder, local_context(replace(ONE_CORE_A_STAGE, extraction=extraction)))


def _check(folder: Path, num_documents: int) -> None:
    """Raise where ours are other rows than those of the plain copy, or none was left out."""
    texts = pq.read_table(folder / PLAIN_NAME, columns=["text"])["text"].to_pylist()
    whole, near = (_built(_passages_stage(folder, one), folder) for one in (None, NEAR))
    passages = pq.read_table(whole.path / PASSAGES_NAME, columns=["text", "passage_id"])
    # The first of each, in their order: a text that comes twice is one passage.
    if passages["text"].to_pylist() != list(dict.fromkeys(texts)):
        raise SystemExit("ours are other texts than those of the file")
    _check_vectors(folder, texts, passages)
    metrics = near.record.metrics
    num_left_out = sum(int(n) for name, n in metrics.items() if "near_duplicates" in name)
    if not num_left_out:
        raise SystemExit("of documents that were copied across splits, none was left out")
    say(
        f"{num_documents} documents, {len(texts)} rows: {len(passages)} texts, of which "
        f"{num_left_out} are near-duplicates of others in a later split"
    )


def _check_vectors(folder: Path, texts: list[str], passages: pa.Table) -> None:
    """Raise unless every passage has the vector of its row of the file."""
    given_ND, number_of = np.load(folder / VECTORS_NAME, mmap_mode="r"), dict[str, int]()
    for number, text in enumerate(texts):
        number_of.setdefault(text, number)
    numbers = {row["passage_id"]: number_of[row["text"]] for row in passages.to_pylist()}
    num_rows = 0
    for path in sorted(folder.glob("activations/*/output_of_block_000/shard-*")):
        rows = read_shard(path).rows
        places = [numbers[identity] for identity in rows.passage_ids_N.astype(str).tolist()]
        num_rows += len(places)
        if not np.array_equal(rows.vectors_ND, given_ND[places]):
            raise SystemExit(f"{path} holds vectors of other rows")
    if num_rows != len(numbers):
        raise SystemExit(f"{num_rows} vectors were stored of {len(numbers)} passages")


def _built(stage: Stage, root: Path) -> Artifact:
    artifact = find(stage, root)
    assert artifact is not None, f"{stage.label} was not built"
    return artifact


def _write_vectors(path: Path, num_rows: int) -> None:
    vectors_ND = np.lib.format.open_memmap(path, "w+", np.float32, (num_rows, WIDTH))
    rng = np.random.default_rng(0)
    for start in range(0, num_rows, ROWS_PER_SHARD):
        part = vectors_ND[start : start + ROWS_PER_SHARD]
        part[:] = rng.standard_normal(part.shape, np.float32)
    vectors_ND.flush()


def _write_texts(path: Path, num_documents: int) -> None:
    with path.open("w") as file:
        for document, words in enumerate(_documents(num_documents)):
            for row in range(ROWS):
                text = " ".join(words[: (row + 1) * WORDS // ROWS])
                file.write(json.dumps({"document": f"d{document}", "text": text}) + "\n")


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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs=2, default=[10_000, 100_000])
    return parser.parse_args()


if __name__ == "__main__":
    main()
