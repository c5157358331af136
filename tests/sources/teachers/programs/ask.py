"""Explain texts by an endpoint, in a process of its own for each line of what is read.

A line is a URL, and whether lost rows are asked again: `ask.py ROOT COUNT`. Says the process's id,
what it counted, and `gone` behind its end: killed, it counts nothing.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401  (once, and not in every process)
from tests.sources.teachers.asking import WHOLE, chat, passage, texts

AT_ONCE, SAMPLES, IN_FLIGHT = 20, 2, 6


def explain(root: str, count: str, url: str, *, repeats_lost: bool) -> None:
    teacher = chat(Path(root), url, concurrency=IN_FLIGHT, repeats_lost=repeats_lost)
    asked, found = texts(int(count)), Counter[str]()
    for start in range(0, len(asked), AT_ONCE):
        some = [(passage(text), WHOLE) for text in asked[start : start + AT_ONCE]]
        for own in teacher.explain(some, SAMPLES):
            found["explained"] += len(own)
    counts = {name: value for name, value in teacher.counts().items() if isinstance(value, int)}
    print(json.dumps({"explained": found["explained"], **counts}), flush=True)


def main() -> None:
    for line in sys.stdin:
        url, lost = line.split()
        pid = os.fork()  # what is imported is there: kills may come as fast as they like
        if not pid:
            explain(*sys.argv[1:], url, repeats_lost=lost == "again")
            os._exit(0)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
