"""Compares two run roots of one recipe to the bit: `python -m tests.compare_roots BEFORE AFTER`.

By kind and label, because fingerprints tell identities apart, not numbers. Times, speeds and memory
are left out, and what holds fingerprints. For whoever changes code and means to change no number.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from interlingua.store.progress import TIME

TIMES = ("second", "cpu_ms", "peak", "num_files", "num_bytes")
LEFT_OUT = {"artifact.json", "manifest.json", "report.html", "attempts.jsonl"}
LEFT_OUT_FOLDERS = {"peaks", "done", "ray_train"}


def main(before: Path, after: Path) -> int:
    """Print what differs, by kind; the number of differences."""
    ours, theirs = artifacts(before), artifacts(after)
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(ours.keys() | theirs.keys()):
        kind = name.split("/")[0]
        found[kind] += (
            [f"{name}: in one root only"]
            if name not in ours or name not in theirs
            else differences(name, ours[name], theirs[name])
        )
    for kind, different in found.items():
        print(f"{kind:16} {'equal' if not different else f'{len(different)} differences'}")
        print(*(f"    {line}" for line in different[:12]), sep="\n", end="\n" * bool(different))
    return sum(map(len, found.values()))


def artifacts(root: Path) -> dict[str, Path]:
    return {
        f"{path.parent.parent.name}/{path.parent.name.rpartition('-')[0]}": path.parent
        for path in root.glob("*/*/artifact.json")
    }


def differences(name: str, ours: Path, theirs: Path) -> list[str]:
    first, second = (json.loads((path / "artifact.json").read_bytes()) for path in (ours, theirs))
    return [
        *(f"{name} {line}" for line in of_values(first["metrics"], second["metrics"], "metrics")),
        *(f"{name} {line}" for line in of_files(ours, theirs)),
    ]


def of_values(one: object, other: object, path: str) -> Iterator[str]:
    """Where two JSON values differ, but for times."""
    if is_time(path.rpartition(".")[2]):
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from of_values(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from of_values(left, right, f"{path}[{index}]")
    elif one != other and not (is_nan(one) and is_nan(other)):
        yield f"{path}: {one!r} {other!r}"


def is_time(name: str) -> bool:
    return name == TIME or any(word in name for word in TIMES)


def is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def of_files(ours: Path, theirs: Path) -> Iterator[str]:
    names = [{str(p.relative_to(folder)) for p in files(folder)} for folder in (ours, theirs)]
    for name in sorted(names[0] ^ names[1]):
        yield f"{name}: in one root only"
    for name in sorted(names[0] & names[1]):
        if line := of_file(ours / name, theirs / name):
            yield f"{name}: {line}"


def files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and path.name not in LEFT_OUT and LEFT_OUT_FOLDERS.isdisjoint(parts):
            yield path


def of_file(one: Path, other: Path) -> str | None:
    if one.read_bytes() == other.read_bytes():
        return None
    if one.suffix == ".safetensors":
        return of_arrays(load_file(one), load_file(other))
    if one.suffix == ".parquet":
        left, right = pq.read_table(one), pq.read_table(other)
        if left.column_names != right.column_names or len(left) != len(right):
            return "other columns or rows"
        rows = zip(left.to_pylist(), right.to_pylist(), strict=True)
        lines = [
            line for place, pair in enumerate(rows) for line in of_values(*pair, path=f"[{place}]")
        ]
        return f"{len(lines)} values, the first {lines[0]}" if lines else None
    if one.suffix in (".jsonl", ".json"):
        left, right = (
            [line for text in texts.splitlines() if (line := computed(json.loads(text)))]
            if one.suffix == ".jsonl"
            else json.loads(texts)
            for texts in (one.read_text(), other.read_text())
        )
        lines = list(of_values(left, right, ""))
        return f"{len(lines)} values, the first {lines[0]}" if lines else None
    return "other bytes"


def computed(line: dict[str, object]) -> dict[str, object]:
    """A line without its times; nothing of one that only says how far a stage was, and how fast.

    Who takes a stage over goes on from its blocks, not from what was printed of them.
    """
    kept = {name: value for name, value in line.items() if not is_time(name)}
    return kept if kept.keys() - {"step", "num_steps"} else {}


def of_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> str | None:
    if one.keys() != other.keys():
        return f"other tensors: {sorted(one.keys() ^ other.keys())[:3]}"
    worst = 0.0
    for name, array in one.items():
        if array.shape != other[name].shape:
            return f"{name} has another shape"
        if array.tobytes() != other[name].tobytes():
            gap = np.abs(array.astype(np.float64) - other[name].astype(np.float64))
            worst = max(worst, float(np.nanmax(gap)))
    return f"up to {worst:.3g} apart" if worst else None


if __name__ == "__main__":
    sys.exit(1 if main(*map(Path, sys.argv[1:])) else 0)
