"""Rows of an evaluation that nobody made, with all that is odd about real ones; their folder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.specs.evaluation import Predictor
from interlingua.store.integrity import file_hashes
from interlingua.store.provenance import Provenance
from interlingua.store.record import InputRecord, Record, fingerprint_of, write_record
from interlingua.store.rows.scored import EVALUATED, EVALUATED_NAME, SCHEMA, host_path

HOSTS = {"toy-a": "held out", "toy-b": "anchor", "toy-c": "trained"}
KINDS = {"topic": ("farm", "mine", "sea=side"), "mood": ("glad", "sad")}
WORDS = (
    "Farm", "mine", "glad", "SAD", "a.c", "a+", "(x", "[b]", "\\d", "%", 'say"so', '"', "\0", "_",
    "snow\N{SNOWMAN}", "\N{GREEK CAPITAL LETTER SIGMA}\N{GREEK SMALL LETTER SIGMA}", "new\nline",
)  # fmt: skip
SAMPLES = {
    Predictor.SAMPLED: 2,
    Predictor.GREEDY: 1,
    Predictor.TEACHER: 1,
    Predictor.SHUFFLED_EXPLANATIONS: 2,
    Predictor.ENCODER: 1,
    Predictor.NEAREST_EXPLANATION: 1,
}
WRITTEN = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.TEACHER,
    Predictor.NEAREST_EXPLANATION,
)
ROWS_OF_A_PASSAGE = 8 * len(HOSTS)  # less those of a predictor that is not of every row
GATES = [
    {"name": "leakage", "is_passed": True, "is_accepted": False, "value": 0.0, "words": "none"},
    {"name": "ignores_vector", "is_passed": False, "is_accepted": True, "words": "on toy-a"},
]


def made_tables(num_passages: int, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """Rows of three hosts, a file each, and the passages that they are about."""
    rng = np.random.default_rng(seed)
    passages = [
        {
            "passage_id": f"{number * 611_953 % 1_000_003:06x}",
            "text": _text(rng),
            "facts": [(kind, str(rng.choice(values))) for kind, values in KINDS.items()],
        }
        for number in range(num_passages)
    ]
    tables = [
        pa.Table.from_pylist(list(_rows(host, passages, rng)), schema=SCHEMA) for host in HOSTS
    ]
    return pa.concat_tables(tables), pa.Table.from_pylist(passages, schema=EVALUATED)


def _text(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, size=rng.integers(1, 6)).tolist())


def _rows(
    host: str, passages: list[dict[str, Any]], rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    for predictor, num_samples in SAMPLES.items():
        for number, passage in enumerate(passages):
            if predictor == Predictor.NEAREST_EXPLANATION and number % 3:
                continue
            for sample in range(num_samples):
                yield {
                    **_place(host, predictor, passage, number, sample),
                    **_numbers(rng),
                    **(_written(passage, rng) if predictor in WRITTEN else {}),
                }


def _place(
    host: str, predictor: Predictor, passage: dict[str, Any], number: int, sample: int
) -> dict[str, Any]:
    is_sentence = number % 4 == 1
    return {
        "host": host,
        "role": HOSTS[host],
        "predictor": predictor.value,
        "split": "test",
        "passage_id": passage["passage_id"],
        "document_id": f"document {number // 2}",
        "position": (-1, 0, 5, -1)[number % 4],
        "span_end": len(passage["text"]) if is_sentence else -1,
        "sample": sample,
        "is_failed": False,
        "num_tokens": -1,
        "log_prob": np.nan,
        "num_rivals": len(HOSTS),
    }


def _numbers(rng: np.random.Generator) -> dict[str, Any]:
    # Few values, so that many rows are equal; some rows have none.
    nmse = float(rng.choice([0.0, 0.25, 0.5, 1.0, 2.0, np.nan]))
    return {
        "nmse": nmse,
        "cos": 1 - nmse / 2,
        "own_variance": float(rng.choice([0.3, 0.5, 0.7])),
        "rank": int(rng.integers(1, 4)),
    }


def _written(passage: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    is_failed = bool(rng.random() < 0.2)
    inside = _text(rng)
    kinds = [] if is_failed else [kind for kind in KINDS if rng.random() < 0.7]
    return {
        "text": inside if is_failed else f"<explanation>\n{inside}\n</explanation>",
        "explanation": None if is_failed else inside,
        "is_failed": is_failed,
        "said": [f"{kind}={rng.choice(KINDS[kind])}" for kind in kinds],
        "true": [f"{kind}={value}" for kind, value in passage["facts"]],
        "num_tokens": len(inside.split()),
        "log_prob": -float(len(inside)),
    }


def stored_evaluation(
    root: Path,
    label: str,
    num_passages: int = 12,
    inputs: dict[str, InputRecord] | None = None,
    finished: str = "",
) -> Path:
    """The folder of an evaluation in a run root, with its record."""
    rows, passages = made_tables(num_passages, seed=len(label))
    draft = root / "evaluation" / "draft"
    (draft / "rows").mkdir(parents=True)
    for host in HOSTS:
        pq.write_table(rows.filter(pa.compute.field("host") == host), host_path(draft, host))
    pq.write_table(passages, draft / EVALUATED_NAME)
    metrics = {"split": "test", "num_rows": len(rows), "num_passages": num_passages, "gates": GATES}
    made = record_of("evaluation", label, inputs or {}, metrics, file_hashes(draft))
    record = replace(made, finished=finished)
    write_record(draft, record)
    return draft.rename(draft.with_name(f"{label}-{record.fingerprint}"))


def stored(
    root: Path, kind: str, label: str, inputs: dict[str, InputRecord], spec: Any = None
) -> InputRecord:
    """An artifact without files, as another is made from it."""
    record = record_of(kind, label, inputs, spec=spec)
    folder = root / kind / f"{label}-{record.fingerprint}"
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, record)
    return InputRecord(kind=kind, label=label, fingerprint=record.fingerprint)


def record_of(
    kind: str,
    label: str,
    inputs: dict[str, InputRecord],
    metrics: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
    spec: Any = None,
) -> Record:
    spec = spec or {"label": label}
    fingerprint = fingerprint_of(
        kind=kind,
        revision=1,
        spec=spec,
        inputs={name: one.fingerprint for name, one in inputs.items()},
    )
    return Record(
        kind=kind,
        label=label,
        fingerprint=fingerprint,
        revision=1,
        spec=spec,
        inputs=inputs,
        seed=0,
        started="",
        finished="",
        seconds=1.0,
        num_attempts=1,
        provenance=Provenance(
            git_commit=None,
            git_is_dirty=None,
            argv=(),
            python="",
            packages={},
            hostname="",
            ray_job_id=None,
        ),
        placement=None,
        metrics=metrics or {},
        files=files or {},
    )
