"""Seconds of a search in the stored rows of an evaluation, through the app, without a network.

    .venv/bin/python -m bench.find [--rounds 40]

100,000 rows: 1,000 passages of the world, five hosts, 20 rows of each passage and host, of which
half have a text of their own. Each round asks another question of every kind.
"""

import argparse
import asyncio
import gc
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import FastAPI

from bench.rounds import machine_lines, say
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app
from interlingua.specs.evaluation import Predictor
from interlingua.store.integrity import file_hashes
from interlingua.store.provenance import gathered_provenance
from interlingua.store.record import Record, fingerprint_of, write_record
from interlingua.store.rows.scored import (
    ROWS_FOLDER,
    SCHEMA,
    EvaluatedPassage,
    host_path,
    write_evaluated,
)
from interlingua.world.facts import SAYABLE
from interlingua.world.text import tellings

NUM_PASSAGES, NUM_HOSTS, NUM_SAMPLES = 1000, 5, 5
NUM_WORDS = 40  # of an explanation besides the facts that it names
LIMIT = 50
ROWS = "/v1/evaluations/bench/rows"
WRITTEN = (
    Predictor.GREEDY, Predictor.TEACHER, Predictor.SHUFFLED_VECTORS, Predictor.ZERO_VECTOR,
    Predictor.UNTRAINED,
)  # fmt: skip
UNWRITTEN = (
    Predictor.BAG_OF_WORDS, Predictor.WORD_NETWORK, Predictor.WORD_PAIRS, Predictor.ENCODER,
    Predictor.CONSTANT_VECTOR,
)  # fmt: skip
COLUMNS = [  # a predictor and a sample for each of the rows of a passage and host
    *((Predictor.SAMPLED, sample) for sample in range(NUM_SAMPLES)),
    *((Predictor.SHUFFLED_EXPLANATIONS, sample) for sample in range(NUM_SAMPLES)),
    *((predictor, 0) for predictor in (*WRITTEN, *UNWRITTEN)),
]
KINDS = {kind: values for kind, values in SAYABLE.items() if kind != "language"}

Question = dict[str, Any]


def main() -> None:
    """Write the rows, open them, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    num_rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        write_evaluation(Path(folder))
        gc.collect()
        evaluations = Evaluations({"bench": folder}, {}, most_open=1)
        router = EvaluationsApi(evaluations, Limits()).router()
        app = make_app({}, Settings(has_access_log=False), [router])
        asyncio.run(_measured(app, evaluations, num_rounds))


async def _measured(app: FastAPI, evaluations: Evaluations, num_rounds: int) -> None:
    before, begun = _resident_bytes(), time.perf_counter()
    table = await evaluations.table("bench")
    seconds = time.perf_counter() - begun
    gc.collect()
    say(
        f"{len(table):,} rows opened in {seconds:.1f} s: hashed, read, indexed; "
        f"{(_resident_bytes() - before) / 2**20:.0f} MiB more are resident, at most "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB in all",
        "",
        "| question | rows that fit | ms, p50 | ms, p95 |",
        "|---|---|---|---|",
    )
    rng = np.random.default_rng(0)
    for name, question in QUESTIONS.items():
        seconds_of, totals = [], []
        for number in range(num_rounds + 1):
            asked = {"limit": LIMIT, **question(rng)}
            if name == "last page":
                asked["offset"] = len(table) - LIMIT
            begun = time.perf_counter()
            answer = await _answer(app, asked)
            if number:  # the first is warm-up
                seconds_of.append(time.perf_counter() - begun)
                totals.append(answer["total"])
        p50, p95 = 1000 * np.percentile(seconds_of, [50, 95])
        say(f"| {name} | {min(totals):,} to {max(totals):,} | {p50:.1f} | {p95:.1f} |")
    say("", *machine_lines())


def _words(rng: np.random.Generator) -> str:
    return " ".join(str(rng.choice(KINDS[kind])) for kind in rng.choice([*KINDS], 2, replace=False))


def _facts(rng: np.random.Generator) -> list[str]:
    kinds = rng.choice([*KINDS], 2, replace=False)
    return [f"{kind}={rng.choice(KINDS[kind])}" for kind in kinds]


QUESTIONS: dict[str, Callable[[np.random.Generator], Question]] = {
    "first page, worst first": lambda rng: {},
    "worst of one predictor of one host": lambda rng: {
        "predictor": "sampled",
        "host": f"host-{rng.integers(NUM_HOSTS)}",
    },
    "two words in explanations": lambda rng: {"search": _words(rng)},
    "two words in explanations or passages": lambda rng: {"search": _words(rng), "field": "both"},
    "two facts": lambda rng: {"facts": _facts(rng)},
    "two facts, a false claim, most false first": lambda rng: {
        "facts": _facts(rng),
        "claims": "any_false",
        "order": "most_false",
    },
    "last page": lambda rng: {},
}


async def _answer(app: FastAPI, asked: Question) -> dict[str, Any]:
    """The answer of the app to one request."""
    body, sent = json.dumps(asked).encode(), bytearray()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    is_done = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await is_done.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.extend(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": ROWS, "raw_path": ROWS.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1), "server": ("bench", 80),
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    is_done.set()
    answer: dict[str, Any] = json.loads(sent)
    return answer


def write_evaluation(folder: Path) -> None:
    """An evaluation of rows whose texts are of the world, and whose numbers are drawn."""
    told = list(tellings(world_mini().passages.corpus.world, 0, NUM_PASSAGES))
    passages = [
        EvaluatedPassage(
            passage_id=f"{number * 2654435761 % 2**32:08x}",
            text=one.text,
            facts={kind: one.as_strings()[kind] for kind in KINDS},
        )
        for number, one in enumerate(told)
    ]
    (folder / ROWS_FOLDER).mkdir()
    for number in range(NUM_HOSTS):
        host, rng = f"host-{number}", np.random.default_rng(number)
        table = pa.Table.from_pylist(list(_rows(host, passages, rng)), schema=SCHEMA)
        pq.write_table(table, host_path(folder, host))
    write_evaluated(folder, passages)
    fingerprint = fingerprint_of(kind="evaluation", revision=0, spec={}, inputs={})
    record = Record(
        kind="evaluation",
        label="bench",
        fingerprint=fingerprint,
        revision=0,
        spec={},
        inputs={},
        seed=None,
        started="",
        finished="",
        seconds=0.0,
        num_attempts=1,
        provenance=gathered_provenance(),
        placement=None,
        metrics={},
        files=file_hashes(folder),
    )
    write_record(folder, record)


def _rows(
    host: str, passages: list[EvaluatedPassage], rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    words = " ".join(passage.text for passage in passages).split()
    for passage in passages:
        true = [f"{kind}={value}" for kind, value in passage.facts.items()]
        for predictor, sample in COLUMNS:
            nmse = float(rng.gamma(2.0, 0.3))
            row = {
                "host": host, "role": "trained", "predictor": predictor.value, "split": "test",
                "passage_id": passage.passage_id, "document_id": passage.passage_id,
                "position": -1, "span_end": -1, "sample": sample, "is_failed": False,
                "nmse": nmse, "cos": 1 - nmse / 2, "own_variance": float(rng.gamma(4.0, 0.2)),
                "num_tokens": NUM_WORDS, "log_prob": -nmse, "rank": 1, "num_rivals": NUM_PASSAGES,
            }  # fmt: skip
            if predictor == Predictor.SAMPLED or predictor in WRITTEN:
                kinds = [kind for kind in KINDS if rng.random() < 0.6]
                stated = {kind: str(rng.choice(KINDS[kind])) for kind in kinds}
                begin = int(rng.integers(len(words) - NUM_WORDS))
                text = " ".join([*stated.values(), *words[begin : begin + NUM_WORDS]])
                row |= {
                    "text": f"<explanation>\n{text}\n</explanation>",
                    "explanation": text,
                    "said": [f"{kind}={value}" for kind, value in stated.items()],
                    "true": true,
                }
            yield row


def _resident_bytes() -> int:
    """Of this process; what Arrow has freed is given back first."""
    pa.default_memory_pool().release_unused()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
