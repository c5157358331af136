"""What a running stage reports, in few words for people. Knows no console."""

from pathlib import Path
from typing import Any

from interlingua.store.progress import TIME, last_metrics, numbers_of, read_dev_evals

MOST_OF_STEP, MOST_OF_DEV, MOST_LETTERS = 4, 2, 70


def last_report(out: Path) -> dict[str, Any] | None:
    """The newest report, with the numbers of the last evaluation on `dev` beside it."""
    if (report := last_metrics(out)) is None:
        return None
    of_dev = (numbers_of(dev_eval) for dev_eval in read_dev_evals(out)[-1:])
    return report | {f"dev_{name}": value for numbers in of_dev for name, value in numbers.items()}


def shown_steps(report: dict[str, Any]) -> str:
    """How far it is; of something that has no known end, how far it came."""
    num_steps = report.get("num_steps")
    return f"{report['step']}" if num_steps is None else f"{report['step']}/{num_steps}"


def shown_numbers(report: dict[str, Any]) -> str:
    """The first of what a step reports and of the last evaluation on `dev`, as a line holds them.

    Those of `dev` stay: they are what a training is stopped by.
    """
    names = [name for name in report if name not in ("step", "num_steps", TIME, "seconds_left")]
    of_dev = [name for name in names if name.startswith("dev_")][:MOST_OF_DEV]
    own = [name for name in names if not name.startswith("dev_")][:MOST_OF_STEP]
    while own and len(_line(report, own + of_dev)) > MOST_LETTERS:
        own.pop()
    return _line(report, own + of_dev)


def _line(report: dict[str, Any], names: list[str]) -> str:
    return " ".join(f"{name} {report[name]:.3g}" for name in names)
