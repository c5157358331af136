"""Which rows of an evaluation are examples: chosen by rule, so that nobody chose them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

UNESCAPED = "!*'()"  # beside letters, digits and _.-~, by encodeURIComponent
NUM_FIRST = 2
PREDICTOR = "greedy"
RULE = (
    f"Of every host, among the rows of predictor {PREDICTOR}: the first {NUM_FIRST} by the ids of "
    "their passages, which are hashes; the worst, the median and the best by fve_centred_own; and "
    "the first, by the same ids, that names a fact which does not hold. Nobody chose them."
)


class Ask(Protocol):
    """A server: the answer to a request."""

    def __call__(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a POST of a body, or to a GET."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row and why it is an example."""

    row: Mapping[str, Any]
    reasons: tuple[str, ...]


def chosen_rows(ask: Ask, evaluation: str, host: str) -> tuple[list[Chosen], int]:
    """The examples of a host in the order of the rule, each once; of how many rows."""
    reasons: dict[int, list[str]] = {}
    rows: dict[int, Mapping[str, Any]] = {}
    total = 0
    for reason, asked in _questions(num_rows(ask, evaluation, host)):
        answer = ask(rows_path(evaluation), {"host": host, "predictor": PREDICTOR, **asked})
        total = max(total, answer["total"])
        for row in answer["rows"]:
            rows.setdefault(row["row"], row)
            reasons.setdefault(row["row"], []).append(reason)
    return [Chosen(rows[number], tuple(why)) for number, why in reasons.items()], total


def num_rows(ask: Ask, evaluation: str, host: str) -> int:
    """How many rows of a host are chosen from."""
    asked = {"host": host, "predictor": PREDICTOR, "limit": 1}
    total: int = ask(rows_path(evaluation), asked)["total"]
    if not total:
        raise ValueError(f"{evaluation} has no row of predictor {PREDICTOR} of {host}")
    return total


def rows_path(evaluation: str) -> str:
    """Where the rows of an evaluation are asked for."""
    return f"{evaluation_path(evaluation)}/rows"


def evaluation_path(evaluation: str) -> str:
    """The address of an evaluation, escaped as the page escapes it."""
    return f"/v1/evaluations/{quote(evaluation, safe=UNESCAPED)}"


def _questions(total: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "first", {"order": "passage", "limit": NUM_FIRST}
    yield "worst", {"order": "worst", "limit": 1}
    yield "median", {"order": "worst", "offset": (total - 1) // 2, "limit": 1}
    yield "best", {"order": "best", "limit": 1}
    yield "first false claim", {"order": "passage", "claims": "any_false", "limit": 1}
