"""Clients of a server in a process of their own, in a closed loop: each asks, waits, asks again.

    python -m bench.serve_clients < PLAN > FOUND     # both JSON

They begin one after the other over `spread` seconds, so that requests do not all arrive together.
"""

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit


def main() -> None:
    """Carry out the plan of standard input."""
    plan = json.load(sys.stdin)
    json.dump(_carried_out(plan), sys.stdout)


def _carried_out(plan: dict[str, Any]) -> dict[str, Any]:
    clients, spread = plan["clients"], plan["spread"]
    begun = time.monotonic()

    def client(number: int) -> list[tuple[int, float, str]]:
        bodies = plan["bodies"][number::clients]
        time.sleep(spread * number / clients)
        places = range(number, len(plan["bodies"]), clients)
        return [
            (place, *found)
            for place, found in zip(places, _asked(plan["url"], bodies), strict=True)
        ]

    with ThreadPoolExecutor(clients) as pool:
        found = [one for own in pool.map(client, range(clients)) for one in own]
    found.sort()
    return {
        "seconds": time.monotonic() - begun,
        "latencies": [seconds for _, seconds, _ in found],
        "answers": [answer for *_, answer in found],
    }


def _asked(url: str, bodies: list[str]) -> list[tuple[float, str]]:
    """Seconds and answers of one client, over one connection."""
    parts, found = urlsplit(url), []
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=900)
    for body in bodies:
        begun = time.monotonic()
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{url} answered {answer.status}: {content[:500]}")
        found.append((time.monotonic() - begun, content))
    connection.close()
    return found


if __name__ == "__main__":
    main()
