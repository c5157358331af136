"""The cells of a sweep as trials of Ray Tune. Knows no recipe: a trial builds given stages.

A finished cell is known by its fingerprint in the run root, so that what is left over after a kill
is a new Tuner of the missing ones, and nothing of Tune is kept. A trial that the scheduler stops
leaves its unfinished stage with a checkpoint: it is published nowhere, and may go on.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from interlingua.cluster.asked import groups_of
from interlingua.cluster.nodes import Cluster, fit_together
from interlingua.cluster.placement import bundle, check_possible
from interlingua.cluster.session import ray_session
from interlingua.cluster.trial_outcomes import (
    BEHIND_ALL,
    CAUSE,
    IS_FINISHED,
    SCORE,
    Outcome,
    Outcomes,
    Progress,
)
from interlingua.specs.placement import Placement, Workers
from interlingua.store.artifact import Stage, build
from interlingua.store.provenance import TRIAL_VARIABLE

MOST_TRIALS = 64
KEPT_OF_A_RUNG = 2  # one of so many goes on
FOLDER_PREFIX, LOCK_NAME = ".tune-", "lock"
# Read by Tune when it starts, in the driver and in the processes of trials.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours ends the command, and a second run goes on
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # what fails at once has no evaluation
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A stopped trial ends at its next evaluation, and its process takes another one.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}


class Trial(NamedTuple):
    """One cell as it is run: its stages, inputs first, and what they run with."""

    name: str
    stages: tuple[Stage, ...]
    placement: Placement


class Range(NamedTuple):
    """The numbers that a searcher may propose."""

    low: float
    high: float
    is_log: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Trials that Optuna proposes, and that ASHA stops where they fall behind on `dev`."""

    num_trials: int
    seed: int
    first_step: int  # before it nobody is stopped


def run_trials(
    trial_of: Callable[[Mapping[str, Any]], Trial],
    space: Mapping[str, Sequence[str] | Range],
    root: Path,
    *,
    placement: Placement,
    progress: Progress,
    search: Search | None = None,
) -> list[Outcome]:
    """Run every trial of the space to its end; one that fails keeps no other from its own.

    Without a search the space is a grid.
    """
    with ray_session(ENVIRONMENT) as ray, _storage(root) as storage:
        from ray import tune

        outcomes = Outcomes(progress)
        own, concurrent = _resources(placement, Cluster(ray))
        tuner = tune.Tuner(
            tune.with_resources(_trainable(trial_of, root), own),
            param_space={name: _domain(values) for name, values in space.items()},
            tune_config=tune.TuneConfig(
                **({} if search is None else _searching(search)),
                max_concurrent_trials=concurrent,
                # A process imports what models need once, not once a cell.
                reuse_actors=True,
                trial_name_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=str(storage),
                verbose=0,
                callbacks=[_callback(outcomes)],
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it is said in our own words
        tuner.fit()
        return outcomes.all


def _domain(values: Sequence[str] | Range) -> Any:
    from ray import tune

    if isinstance(values, Range):
        return (tune.loguniform if values.is_log else tune.uniform)(values.low, values.high)
    return tune.grid_search(list(values))


def _searching(search: Search) -> dict[str, Any]:
    """The part of Tune's configuration that proposes and stops trials."""
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    try:
        import optuna
    except ImportError as error:
        raise ValueError("a search needs Optuna: pip install 'interlingua[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scheduler = ASHAScheduler(
        time_attr="step",
        # Beyond the last report: who comes so far is not stopped, but ends by itself.
        max_t=BEHIND_ALL + 1,
        grace_period=search.first_step,
        reduction_factor=KEPT_OF_A_RUNG,
    )
    return {
        "metric": SCORE,
        "mode": "min",
        "num_samples": search.num_trials,
        "scheduler": scheduler,
        "search_alg": OptunaSearch(seed=search.seed),
    }


def in_process(placement: Placement) -> Placement:
    """The placement of a cell: one worker trains in the trial's process, several in a group."""
    training = placement.training
    if training.workers is None or training.workers.count > 1:
        return placement
    return replace(placement, training=replace(training, workers=None))


def _resources(placement: Placement, cluster: Cluster) -> tuple[dict[str, float], int | None]:
    """What a trial's own process takes, and how many trials may run; None: as its process fits.

    A trial whose training is a group holds next to nothing itself, so that Tune would start them
    all: as many are let in as have place for all their groups.
    """
    groups = groups_of(placement)
    devices = [placement.training.device]
    if placement.verbalizing.workers is None:
        devices.append(placement.verbalizing.device)
    own = Workers(
        count=1,
        cpus=0.01 if groups else placement.cpus_per_stage,
        # Also beside groups: what the cell scores is scored in its own process.
        gpus=0 if set(devices) == {"cpu"} else placement.gpus_per_stage,
    )
    run, count = (own, *groups), 1
    check_possible("a trial", run, cluster)
    if not groups:
        return bundle(own), None
    nodes = [*cluster.alive(), *cluster.added().nodes]
    while count < MOST_TRIALS and fit_together([run] * (count + 1), nodes):
        count += 1
    return bundle(own), count


def _trainable(
    trial_of: Callable[[Mapping[str, Any]], Trial], root: Path
) -> Callable[[dict[str, Any]], None]:
    from ray import tune

    def train_cell(config: dict[str, Any]) -> None:
        try:
            run_trial(trial_of(config), root)
        except Exception as error:
            # Reported, not raised: Tune would print its stack, and lose what it was caused by.
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            tune.report({"step": BEHIND_ALL, CAUSE: cause})

    return train_cell


def run_trial(trial: Trial, root: Path) -> None:
    """Build the stages of a cell in this process; evaluations on `dev` go to the trial."""
    from ray import tune

    from interlingua.cluster.extraction import RayPool
    from interlingua.cluster.reinforcing import RayReinforcer
    from interlingua.cluster.training import RayTrainer, reported
    from interlingua.stages.running.context import Context

    # The record of what is built here says which trial it was.
    os.environ[TRIAL_VARIABLE] = tune.get_context().get_trial_id()

    last: dict[str, float] = {}

    def on_dev_eval(step: int, numbers: Mapping[str, float]) -> None:
        last.update(reported(step, numbers))
        tune.report(dict(last))

    context = Context(
        trial.placement, RayPool(), RayTrainer(on_dev_eval), RayReinforcer(on_dev_eval)
    )
    for stage in trial.stages:
        build(stage, root, context, trial.placement)
    # Behind the last step, where no scheduler stops it any more.
    tune.report({**last, "step": BEHIND_ALL, IS_FINISHED: 1})


def _trial_name(trial: Any) -> str:
    return str(trial.trial_id)


@contextmanager
def _storage(root: Path) -> Iterator[Path]:
    """A folder for what Tune writes, where every node sees it; gone after the block.

    Those that killed commands left are removed first: who lives holds the lock of its own.
    """
    for left in root.glob(f"{FOLDER_PREFIX}*/{LOCK_NAME}"):
        with suppress(OSError), left.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=root))
    try:
        with (folder / LOCK_NAME).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _callback(outcomes: Outcomes) -> Any:
    """A callback of Tune; its class can be made only where Ray is imported."""
    from ray.tune import Callback

    class Watching(Callback):
        outcomes: Outcomes

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune stores callbacks with the tuner, which nobody restores

        def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            self.outcomes.start(trial)

        def on_trial_result(
            self, iteration: int, trials: list, trial: Any, result: dict, **info: Any
        ) -> None:
            self.outcomes.report(trial, result)

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            self.outcomes.end(trial, is_dead=False)

        def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            self.outcomes.end(trial, is_dead=True)

    watching = Watching()
    watching.outcomes = outcomes
    return watching
