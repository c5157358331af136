"""Numbers of `bench.serve`: clients carried out, where the time of ours goes, forms of vectors."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from interlingua.serving.http.requests import VerbalizeRequest
from interlingua.serving.http.wire import Form, encoded, vectors_of

OF_ENGINE = ("joining", "steps", "pieces")  # parts of its thread that do not overlap
FORMS: tuple[Form, ...] = ("list", "base64", "npy")
SIZES = ((1, 512), (1, 4096), (64, 4096))


def carried(
    url: str, bodies: Sequence[str], clients: int, spread: float, core: int
) -> dict[str, Any]:
    """Seconds of the whole, latencies and answers of a plan, by a process of its own."""
    plan = {"url": url, "bodies": list(bodies), "clients": clients, "spread": spread}
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.serve_clients"]
    done = subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summed(ratios: Sequence[float]) -> str:
    """Median, least and greatest."""
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def place_lines(
    found: Mapping[tuple[str, str, int], Any], name: str, counts: Sequence[int]
) -> list[str]:
    """Tables of where a server's wall time goes, and where the time of a request."""
    lines = [
        f"### {name}: shares of the wall time in the engine's thread; texts are read in another",
        "",
        "| request, clients | joining | of it, caches | steps | pieces | else, or idle | "
        "reading texts | ms a step | rows a step |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    waits = [
        "",
        "### A request, in ms: mean",
        "",
        "| request, clients | in the queue | drawn, with what it waits for others | "
        "reading, app | transport | whole |",
        "|---|---|---|---|---|---|",
    ]
    for (variant, kind, count), one in found.items():
        if variant != name or count not in counts:
            continue
        parts = one.parts[-1]
        seconds, times = parts["seconds"], parts["counts"]
        of_wall = {part: own_s / parts["wall_s"] for part, own_s in seconds.items()}
        shares = [
            of_wall["joining"],
            of_wall.get("of it, caches", 0.0),
            of_wall["steps"],
            of_wall["pieces"],
            1 - sum(of_wall[part] for part in OF_ENGINE),
            of_wall.get("reading texts", 0.0),
        ]
        steps = times["steps"]
        lines.append(
            f"| {kind}, {count} | {' | '.join(f'{share:.0%}' for share in shares)} | "
            f"{1000 * seconds['steps'] / steps:.0f} | {times['rows of steps'] / steps:.1f} |"
        )
        waits.append(_waits_line(f"{kind}, {count}", parts))
    return lines + waits


def _waits_line(title: str, parts: Mapping[str, Any]) -> str:
    seconds, times = parts["seconds"], parts["counts"]
    queue, drawn, app = (
        1000 * seconds[part] / times[part] for part in ("in the queue", "drawn", "in the app")
    )
    whole = 1000 * parts["latency_s"]
    return (
        f"| {title} | {queue:.0f} | {drawn:.0f} | {app - queue - drawn:.0f} | {whole - app:.1f} | "
        f"{whole:.0f} |"
    )


def transport_lines() -> list[str]:
    """Bytes of a request's body by the form of its vectors, and ms to write and to read it."""
    lines = [
        "### Vectors in a body: written by a client, parsed and checked by the server",
        "",
        "| vectors | form | KiB | ms to write | ms to read |",
        "|---|---|---|---|---|",
    ]
    for num_rows, width in SIZES:
        h_ND = np.random.default_rng(0).normal(size=(num_rows, width)).astype(np.float32)
        for form in FORMS:
            body, written_s = _timed(lambda: json.dumps({"activations": encoded(h_ND, form)}))  # noqa: B023
            _, read_s = _timed(lambda: _read(body, width))  # noqa: B023
            lines.append(
                f"| {num_rows} x {width} | {form} | {len(body) / 1024:.0f} | "
                f"{1000 * written_s:.2f} | {1000 * read_s:.2f} |"
            )
    return lines


def _read(body: str, width: int) -> np.ndarray:
    asked = VerbalizeRequest.model_validate_json(body)
    return vectors_of(
        asked.activations, field="activations", width=width, host="bench", max_rows=512
    )


def _timed(call: Any) -> tuple[Any, float]:
    """The result, and the least of five times."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - begun)
    return result, min(seconds)
