"""Requests a second and latencies of a served NLA, against servers as a user would write them.

    .venv/bin/python -m bench.serve [--rounds 3] [--clients 1,8,32,64] [--variants NAME,...]

describe: vectors to texts; explain: texts to texts, through a host. 24 new tokens, greedy, none
ends early; one thread a model. All servers share one core, their clients have another. Parity
first: every server must give the texts that the models give in this process, or nothing is timed.
"""

import argparse
import json
import os
import tempfile
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.rounds import machine_lines, say
from bench.serve_bundle import HOST, NUM_PROMPT, WIDTH, bench_bundle
from bench.serve_numbers import carried, place_lines, summed, transport_lines
from bench.serve_peers import LIMITS, MOST, NUM_NEW
from bench.serve_servers import OURS, OURS_RAY, UNBATCHED, VARIANTS, cpu_s, servers
from bench.serve_timers import PATH

CLIENTS = (1, 8, 32, 64)
NUM_ALONE = 8  # texts that are also drawn by themselves
ASKED_OF_EACH, LEAST_ASKED, SPREAD_S = 4, 8, 1.0
CLIENT_CORE = 1
DESCRIBE, EXPLAIN = "describe", "explain"


@dataclass(slots=True, kw_only=True)
class Found:
    """What was measured of one server, one kind of request and so many clients."""

    rates: list[float] = field(default_factory=list)  # requests a second, by round
    p50_s: list[float] = field(default_factory=list)
    p99_s: list[float] = field(default_factory=list)
    cpu_rates: list[float] = field(default_factory=list)  # a CPU second of the server
    shares: list[float] = field(default_factory=list)  # of the most rows of a batch
    parts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Bodies of requests by kind, and the texts that must come."""

    bodies: dict[str, list[dict[str, Any]]]
    texts: dict[str, list[str]]


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    variants = tuple(options.variants.split(",")) if options.variants else VARIANTS
    counts = tuple(map(int, options.clients.split(",")))
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        bundle = bench_bundle(Path(folder))
        work = _work(bundle, max(counts))
        with servers(bundle, variants) as (urls, pids):
            _require_parity(urls, work)
            found = _rounds(urls, pids, work, counts, options.rounds)
    for kind in work.bodies:
        _say_table(kind, found, variants, counts)
    if OURS in variants:
        say("", *place_lines(found, OURS, counts))
    say("", *transport_lines(), "", *machine_lines())


def _work(bundle: Path, count: int) -> Work:
    """Vectors and texts drawn by number, and what an `NLA` says of them."""
    import torch

    from interlingua.models.bundle.nla import NLA

    torch.set_num_threads(1)
    nla, rng = NLA.load(bundle), np.random.default_rng(0)
    h_ND = rng.normal(size=(count, WIDTH)).astype("<f4")
    texts = [" ".join(map(str, rng.integers(1, 31_000, NUM_PROMPT))) for _ in range(count)]
    vectors = [{"base64": b64encode(h_D.tobytes()).decode(), "shape": [1, WIDTH]} for h_D in h_ND]
    draw = partial(nla.verbalize, host=HOST, max_new_tokens=NUM_NEW)
    said = {
        DESCRIBE: [row[0].raw_text for row in draw(h_ND)],
        EXPLAIN: [row[0].raw_text for row in draw(texts=texts)],
    }
    for place in range(NUM_ALONE):
        alone = [draw(h_ND[place : place + 1]), draw(texts=texts[place : place + 1])]
        if [row[0].raw_text for (row,) in alone] != [found[place] for found in said.values()]:
            raise SystemExit("a text is another in a batch: parity shows nothing")
    for kind, found in said.items():
        if len(set(found)) < count or {len(text.split()) for text in found} != {NUM_NEW}:
            raise SystemExit(f"{kind}: texts repeat themselves or end early: parity shows nothing")
    return Work(
        bodies={
            DESCRIBE: [{"activations": one} for one in vectors],
            EXPLAIN: [{"text": text} for text in texts],
        },
        texts=said,
    )


def _asked(work: Work, kind: str, count: int, *, is_ours: bool) -> list[str]:
    """So many bodies, one after the other from the start."""
    own = {"host": HOST, "max_new_tokens": NUM_NEW} if is_ours else {}
    bodies = work.bodies[kind]
    return [json.dumps(bodies[n % len(bodies)] | own) for n in range(count)]


def _require_parity(urls: dict[str, str], work: Work) -> None:
    """Stop unless every server, asked by many at once, gives the texts of the models."""
    for kind, expected in work.texts.items():
        for name, url in urls.items():
            bodies = _asked(work, kind, len(expected), is_ours=name in (OURS, OURS_RAY))
            answers = carried(url, bodies, len(bodies), SPREAD_S, CLIENT_CORE)["answers"]
            texts = [_text(json.loads(answer)) for answer in answers]
            if texts != expected:
                differing = sum(own != other for own, other in zip(texts, expected, strict=True))
                raise SystemExit(f"{name} says other texts of {differing} of {kind}: not timed")
    say(
        f"parity: {', '.join(urls)} give the {len(expected)} greedy texts of {NUM_NEW} tokens that "
        f"the models give of each by itself, for {' and '.join(work.texts)}"
    )


def _text(answer: dict[str, Any]) -> str:
    if "texts" in answer:
        return str(answer["texts"][0])
    return str(answer["data"][0]["explanations"][0]["raw_text"])


def _rounds(
    urls: dict[str, str],
    pids: dict[str, int],
    work: Work,
    counts: tuple[int, ...],
    num_rounds: int,
) -> dict[tuple[str, str, int], Found]:
    found = {
        (name, kind, count): Found() for name in urls for kind in work.bodies for count in counts
    }
    names = list(urls)
    for number in range(num_rounds):
        start = number % len(names)
        for kind in work.bodies:
            for count in counts:
                for name in names[start:] + names[:start]:
                    into, begun_s = found[name, kind, count], cpu_s(pids[name])
                    num_asked = _measure(into, urls[name], name, work, kind, count)
                    into.cpu_rates.append(num_asked / (cpu_s(pids[name]) - begun_s))
        say(f"round {number + 1}: 1-minute load {os.getloadavg()[0]:.1f}")
    return found


def _measure(into: Found, url: str, name: str, work: Work, kind: str, count: int) -> int:
    # Unbatched a request waits for all others: more of them would only take longer.
    each = 1 if name == UNBATCHED and count > 1 else ASKED_OF_EACH
    bodies = _asked(work, kind, max(LEAST_ASKED, each * count), is_ours=name in (OURS, OURS_RAY))
    before = _counts(name, url)
    found = carried(url, bodies, count, SPREAD_S, CLIENT_CORE)
    latencies = np.array(found["latencies"])
    into.rates.append(len(bodies) / found["seconds"])
    into.p50_s.append(float(np.percentile(latencies, 50)))
    into.p99_s.append(float(np.percentile(latencies, 99)))
    after = _counts(name, url)
    if name == OURS:
        parts = after | {"wall_s": found["seconds"], "latency_s": float(latencies.mean())}
        into.parts.append(parts)
        rows, steps = after["counts"]["rows of steps"], after["counts"]["steps"]
        into.shares.append(rows / steps / LIMITS.max_batch_rows)
    elif after.get("batches"):
        batches = after["batches"] - before["batches"]
        into.shares.append((after["rows"] - before["rows"]) / batches / MOST)
    return len(bodies)


def _counts(name: str, url: str) -> dict[str, Any]:
    """Batches and rows so far of a peer; timers of ours, which begin again."""
    if name in (UNBATCHED, OURS_RAY):
        return {}
    address = url.replace("/v1/verbalize", PATH) if name == OURS else url
    with urllib.request.urlopen(address, timeout=60) as answer:
        counts: dict[str, Any] = json.load(answer)
    return counts


def _say_table(
    kind: str,
    found: dict[tuple[str, str, int], Found],
    variants: tuple[str, ...],
    counts: tuple[int, ...],
) -> None:
    first = next(name for name in (OURS, *variants) if name in variants)
    say(
        "",
        f"### {kind}, 24 new tokens, prompt of {NUM_PROMPT}, fp32, one core",
        "",
        "| clients | server | req/s | p50 s | p99 s | of the batch limit | req/CPU s | "
        f"req/s of {first} to it | req/CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for count in counts:
        for name in variants:
            one, ours = found[name, kind, count], found[first, kind, count]
            ratios, cpu_ratios = (
                [own / peer for own, peer in zip(own_rates, peers, strict=True)]
                for own_rates, peers in (
                    (ours.rates, one.rates),
                    (ours.cpu_rates, one.cpu_rates),
                )
            )
            share = f"{median(one.shares):.0%}" if one.shares else ""
            say(
                f"| {count} | {name} | {median(one.rates):.2f} | {median(one.p50_s):.2f} | "
                f"{median(one.p99_s):.2f} | {share} | {median(one.cpu_rates):.2f} | "
                f"{summed(ratios)} | {summed(cpu_ratios)} |"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)))
    parser.add_argument(
        "--variants", default="", help=f"of: {', '.join(VARIANTS)}".replace("%", "")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
