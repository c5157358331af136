"""The benches use what the package has. A script that measures says what it did not measure.

Parity is no matter of course: another vector is none.
"""

import ast
import importlib
from collections.abc import Iterator
from math import nan
from pathlib import Path

from bench import gpu_parity
from bench.gpu import LINES, main, parser
from bench.gpu_sizes import rehearsal
from bench.lines import Line, Number, Outcome, run_lines

BENCHES = Path(__file__).parents[1] / "bench"


def test_what_a_bench_imports_of_the_package_is_there():
    """Most are run by hand, some only where their peers are installed."""
    named = {
        (node.module, alias.name)
        for path in BENCHES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("interlingua.")
        for alias in node.names
    }
    assert len(named) > 80
    missing = [
        f"{module}.{name}"
        for module, name in sorted(named)
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


def _line(name: str, *numbers: Number, error: Exception | None = None, reserved_s: float = 0):
    def measure(sizes: None) -> Iterator[Number]:
        yield from numbers
        if error is not None:
            raise error

    return Line(name=name, reserved_s=reserved_s, measure=measure)


def _number(*rounds: float, at_most: float | None = None) -> Number:
    return Number(name="speed", unit="tokens/s", rounds=rounds, at_most=at_most)


def _outcomes(*lines: Line[None], budget_s: float = 60) -> list[Outcome]:
    return list(run_lines(lines, None, budget_s=budget_s))


def test_a_line_that_fails_stops_no_other_and_keeps_its_numbers(capsys):
    failed, whole = _outcomes(
        _line("one", _number(3), error=RuntimeError("out of memory")), _line("two", _number(1, 2))
    )
    assert failed.problem == "RuntimeError: out of memory" and len(failed.numbers) == 1
    assert whole.problem is None
    assert "speed: 1.5 (1-2) tokens/s" in capsys.readouterr().out


def test_a_line_whose_turn_does_not_fit_is_named_and_not_run(capsys):
    long, short = _outcomes(
        _line("long", _number(1), reserved_s=100), _line("short", _number(1)), budget_s=50
    )
    assert long.problem.startswith("not run: it reserves 100 s") and long.numbers == ()
    assert short.problem is None
    assert "long: not run" in capsys.readouterr().out


def test_what_is_beyond_its_bound_no_number_or_nothing_is_a_problem():
    beyond, odd, nothing, within = _outcomes(
        _line("a", _number(1, 3, at_most=2), _number(1)),
        _line("b", _number(nan, at_most=2)),
        _line("c"),
        _line("d", _number(1, 2, at_most=2)),
    )
    assert beyond.problem == "speed is 3, above 2" and len(beyond.numbers) == 2
    assert odd.problem == "speed is not finite"
    assert nothing.problem == "it measured nothing"
    assert within.problem is None


def test_without_a_card_or_in_no_time_the_exit_code_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(parser().parse_args([])) == 1
    assert "NOT RUN: no GPU" in capsys.readouterr().out
    assert main(parser().parse_args(["--rehearsal", "--budget-s", "1"])) == 1
    assert f"0 of {len(LINES)} lines measured" in capsys.readouterr().out


def test_another_vector_is_no_parity(monkeypatch):
    assert not [n.problem for n in gpu_parity.injection(rehearsal()) if n.problem]
    own = gpu_parity.vectors()
    calls = iter([own, own.flip(0), own, own, own, own])
    monkeypatch.setattr(gpu_parity, "vectors", lambda: next(calls))
    problems = [n.problem for n in gpu_parity.injection(rehearsal())]
    assert problems[0] is not None and problems[1:] == [None, None, None]
