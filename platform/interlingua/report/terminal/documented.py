"""Numbers of the recipe `demo` as they are documented, by machine, to put beside those of a run.

On one machine the demo gives the same numbers each time; on another the models were trained with
other rounding, and are others. Knows no rows and no model.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from interlingua.report.numbers import HELD_OUT, LESS, START, TRAINED, Number, Numbers
from interlingua.specs.evaluation import Predictor

FILE_NAME = "demo.json"
RECIPE = "demo"
ANCHOR = "toy-qwen3-1p7b"
PLACES = {TRAINED: "trained hosts", HELD_OUT: "held-out host", ANCHOR: "anchor"}
# What the table in docs/results.md has, by the label of its line.
LINES: dict[str, tuple[str, str]] = {
    "sampled (T=1)": (Predictor.SAMPLED, "fve_centred_own"),
    "gain of RL": (f"{Predictor.SAMPLED}{LESS}{START}", "fve_centred_own"),
    "greedy": (Predictor.GREEDY, "fve_centred_own"),
    "teacher's explanations": (Predictor.TEACHER, "fve_centred_own"),
    "all true facts, in the teacher's words": (Predictor.ALL_FACTS, "fve_centred_own"),
    "ridge from the words of the same texts": (Predictor.BAG_OF_WORDS, "fve_centred_own"),
    "NLA minus that ridge": (
        f"{Predictor.SAMPLED}{LESS}{Predictor.BAG_OF_WORDS}",
        "fve_centred_own",
    ),
    "NLA minus a network on the same words": (
        f"{Predictor.SAMPLED}{LESS}{Predictor.WORD_NETWORK}",
        "fve_centred_own",
    ),
    "NLA minus a ridge from word pairs": (
        f"{Predictor.SAMPLED}{LESS}{Predictor.WORD_PAIRS}",
        "fve_centred_own",
    ),
    "constant vector": (Predictor.CONSTANT_VECTOR, "fve_centred_own"),
    "all that a greedy text names is true": (Predictor.GREEDY, "all_true_share"),
}
SHOWN = ("sampled (T=1)", "gain of RL")  # beside those of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """The numbers of one machine; `versions` is empty where they were not noted."""

    machine: str
    date: str
    versions: Mapping[str, str]
    numbers: tuple[Number, ...]

    def get(self, host: str, predictor: str, metric: str) -> Number | None:
        """One number, over passages."""
        wanted = (host, str(predictor), metric)
        return next((n for n in self.numbers if (n.host, n.predictor, n.metric) == wanted), None)


def documented() -> list[Documented]:
    """What the package's file has, a machine an entry."""
    text = files("interlingua.published").joinpath(FILE_NAME).read_text()
    return [_machine(entry) for entry in json.loads(text)["machines"]]


def beside_documented(numbers: Numbers, *, recipe: str = RECIPE) -> list[str]:
    """At most eight lines: this run's numbers and the documented ones; none for another recipe.

    They agree where each value lies within the other's interval. Both intervals resample the same
    passages and leave out what another training gives, so that this is a look at size, no test.
    """
    if recipe != RECIPE:
        return []
    known = documented()
    lines = list(_lines(numbers, known))
    if not lines:
        return []
    names = ", ".join(f"{one.machine} ({one.date})" for one in known)
    agreeing = all("differs" not in line for line in lines)
    verdict = "agree" if agreeing else "do not all agree"
    return [
        f"FVE of this run on {cpu_model()}, then as documented on {names}:",
        *lines,
        f"They {verdict}: each value within the other's interval, on the same passages; another "
        "machine rounds otherwise in training (docs/reproducibility.md).",
    ]


def _lines(numbers: Numbers, known: Sequence[Documented]) -> Iterator[str]:
    for label in SHOWN:
        predictor, metric = LINES[label]
        for host, words in PLACES.items():
            if (own := numbers.get(host, str(predictor), metric)) is None:
                continue
            # Of other passages than the recipe has nothing is documented.
            others = [
                other
                for one in known
                if (other := one.get(host, predictor, metric)) and other.num_units == own.num_units
            ]
            if not others:
                continue
            cells = [
                f"{interval_words(other)} {'agrees' if agrees(own, other) else 'differs'}"
                for other in others
            ]
            yield f"  {label}, {words}: {'; '.join([interval_words(own), *cells])}"


def agrees(one: Number, other: Number) -> bool:
    """Whether each value lies within the other's interval."""
    return one.low <= other.value <= one.high and other.low <= one.value <= other.high


def interval_words(number: Number) -> str:
    """As docs/results.md prints a number: `.50 [.46, .54]`."""
    value, low, high = (_short(x) for x in (number.value, number.low, number.high))
    return f"{value} [{low}, {high}]"


def _short(value: float) -> str:
    return f"{value:z.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def cpu_model() -> str:
    """The name of this machine's processor."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].replace("(R)", "").replace("(TM)", "").strip()
    return platform.processor() or platform.machine()


def entry_of(
    numbers: Numbers, *, machine: str, date: str, versions: Mapping[str, str]
) -> dict[str, Any]:
    """What the file has of a finished evaluation."""
    found = [
        numbers.get(host, str(predictor), metric)
        for predictor, metric in LINES.values()
        for host in PLACES
    ]
    return {
        "machine": machine,
        "date": date,
        "versions": dict(versions),
        "numbers": [asdict(one) for one in found if one is not None],
    }


def _machine(entry: Mapping[str, Any]) -> Documented:
    names = [field.name for field in fields(Number)]
    numbers = (Number(**{name: row[name] for name in names}) for row in entry["numbers"])
    return Documented(
        machine=entry["machine"],
        date=entry["date"],
        versions=entry["versions"],
        numbers=tuple(numbers),
    )
