"""Search the settings of reinforcement learning: `interlingua sweep rl world_mini --trials 6`.

Optuna proposes them through Ray Tune, and ASHA stops what falls behind on `dev`. A stopped run is
published nowhere; it has its checkpoint, and goes on where the same settings are run again.
"""

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlingua.commands.command_line import parser, prepared_root, resolved, table_console
from interlingua.commands.sweeping.sweep import SweepProgress, build_shared
from interlingua.commands.sweeping.tuners import words
from interlingua.report.tables.grid import Grid, Row, rich_tables, value_cell, words_cell
from interlingua.specs.recipe import Recipe
from interlingua.store.artifact import find
from interlingua.store.atomic import write_atomically
from interlingua.sweeps.search import DIALS, RlSearch, rl_search

SEARCHES = "searches"


def search_main(arguments: argparse.Namespace) -> None:
    """Propose, run and stop trials, then show them by their score on `dev`."""
    recipe = resolved(arguments)
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{recipe.name} cannot be run here: its corpus is not included")
    search = rl_search(recipe, arguments.dials, seed=arguments.seed)
    shared = search.shared()
    if not recipe.rl:
        print(
            f"{recipe.name} has no reinforcement learning; searched is a short run of "
            f"{search.base.rl[0].num_steps} steps behind an AV that is trained whole for "
            f"{search.base.av.num_steps} steps"
        )
    if arguments.dry_run:
        _show_plan(search, arguments)
        return
    root = prepared_root(arguments.root)
    print(f"rl-{recipe.name}: {arguments.trials} trials in {root}", flush=True)
    build_shared(search.base, shared, root)
    outcomes = _searched(search, root, arguments)
    ranked = sorted(outcomes, key=lambda one: (one.state != "finished", one.score or 0.0))
    path = _written(search, ranked, root)
    console = table_console()
    for table in rich_tables(trials_grid(search, ranked), console.width):
        console.print(table)
    console.print(f"trials: {path}", markup=False, soft_wrap=True)


def search_parser() -> argparse.ArgumentParser:
    """The arguments of tuners.rl."""
    made = parser("tuners.rl", __doc__ or "")
    made.add_argument("--trials", type=int, default=20, help="default: 20")
    made.add_argument(
        "--dials", type=words, default=(), help=f"of {', '.join(DIALS)} (default: all)"
    )
    made.add_argument("--seed", type=int, default=0, help="of the search and of every trial")
    return made


def _searched(search: RlSearch, root: Path, arguments: argparse.Namespace) -> list[Any]:
    from interlingua.cluster.tuning import Range, Search, in_process, run_trials

    (run,) = search.base.rl
    return run_trials(
        _Turned(search),
        {name: Range(one.low, one.high, one.is_log) for name, one in search.dials.items()},
        root,
        placement=in_process(search.base.placement),
        progress=SweepProgress(arguments.trials, 0),
        search=Search(
            num_trials=arguments.trials,
            seed=arguments.seed,
            first_step=run.watch.evaluate_every,
        ),
    )


class _Turned:
    """The trial of a configuration; it travels to the processes of trials."""

    def __init__(self, search: RlSearch) -> None:
        self._search = search

    def __call__(self, config: Mapping[str, float]) -> Any:
        from interlingua.cluster.tuning import Trial, in_process

        placement = in_process(self._search.base.placement)
        return Trial("rl", self._search.own(config), placement)


def trials_grid(search: RlSearch, outcomes: Sequence[Any]) -> Grid:
    """Every trial with its settings, the best that finished first."""
    rows = [
        Row(
            labels=(outcome.trial_id, outcome.state),
            cells=(
                words_cell("-")
                if outcome.score is None
                else value_cell(
                    f"{outcome.trial_id}||dev_fve|trial",
                    -outcome.score,
                    text=f"{-outcome.score:.3f}",
                ),
                words_cell(outcome.step),
                *(
                    value_cell(
                        f"{outcome.trial_id}||{name}|trial",
                        outcome.config[name],
                        text=f"{outcome.config[name]:.3g}",
                    )
                    for name in search.dials
                ),
            ),
        )
        for outcome in outcomes
    ]
    return Grid(
        title="Trials of reinforcement learning",
        caption="FVE on dev at the last evaluation, on the same rows for all; stopped: by ASHA, at "
        "that step. The best of a search is chosen on dev and by one seed: run it over seeds "
        "before you believe it.",
        labels=("trial", "state"),
        columns=("FVE on dev", "step", *search.dials),
        rows=tuple(rows),
    )


def _written(search: RlSearch, outcomes: Sequence[Any], root: Path) -> Path:
    folder = root / SEARCHES
    folder.mkdir(exist_ok=True)
    path = folder / f"rl-{search.base.name}.csv"
    text = io.StringIO()
    names = ("trial_id", "state", "score", "step", "seconds", "cause", *search.dials)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for one in outcomes:
        own = {name: getattr(one, name) for name in names[:6]}
        writer.writerow({**own, **{name: one.config[name] for name in search.dials}})
    with write_atomically(path) as file:
        file.write(text.getvalue().encode())
    return path


def _show_plan(search: RlSearch, arguments: argparse.Namespace) -> None:
    (run,) = search.base.rl
    print(f"rl-{search.base.name}: {arguments.trials} trials of at most {run.num_steps} steps")
    for name, dial in search.dials.items():
        scale = "log" if dial.is_log else "linear"
        print(f"  {name}: {dial.low:g} to {dial.high:g}, {scale}")
    print("\nbuilt once, before the trials:")
    for stage in search.shared():
        state = "done" if find(stage, arguments.root) is not None else "missing"
        print(f"  {stage.name:40} {stage.fingerprint} {state}")
