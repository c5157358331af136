"""RayTrainer: a training loop as a Ray Train `TorchTrainer`, its weights stepped by DeepSpeed.

A worker that dies takes its group with it; Train starts the group again, and the loop goes on from
its last checkpoint in the stage's folder. What the program itself raises ends the run at once.
"""

import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlingua.cluster.failures import AttemptLost, is_complaint
from interlingua.cluster.local import LocalTrainer
from interlingua.cluster.placement import bundle, selector, wait_for_place
from interlingua.cluster.session import restored_handler
from interlingua.specs.placement import TrainingPlacement, Workers
from interlingua.stages.running.context import OnDevEval, ignore_dev_eval
from interlingua.store.atomic import write_atomically
from interlingua.store.partial import target_of

if TYPE_CHECKING:  # torch, which neither the driver needs nor what does not train
    from interlingua.stages.sft.job import TrainingJob
    from interlingua.stages.sft.loop import MakeProgram

FAILURE_NAME, ENDED_NAME, TRAIN_NAME = "failure.pickle", "ended.json", "ray_train"
# Read by Ray Train's controller and workers: how soon a dead worker is noticed.
ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    # It tells workers of a node that is being drained, which ours do not ask: a worker that dies is
    # replaced anyway. Its actor makes Ray print an error of its own.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


class TrainerLost(RuntimeError):
    """The workers of a training run died more often than the placement allows."""


class RayTrainer:
    """Trains on a cluster; in a trial of Ray Tune it also reports evaluations to the trial."""

    def __init__(self, on_dev_eval: OnDevEval | None = None) -> None:
        self._on_dev_eval = on_dev_eval

    def fit(self, make: "MakeProgram", job: "TrainingJob", place: TrainingPlacement) -> None:
        """Train on the workers that the placement asks for, or in this process."""
        if place.workers is None:
            LocalTrainer(self._on_dev_eval or ignore_dev_eval).fit(make, job, place)
            return
        import ray

        wait_for_place(ray, str(target_of(job.out)), place.workers)
        is_trial = self._on_dev_eval is not None
        fit_group(
            run_rank,
            {"make": make, "job": job, "place": place, "is_trial": is_trial},
            is_trial=is_trial,
            out=job.out,
            workers=place.workers,
            backend="nccl" if place.workers.gpus else "gloo",
            failures_survived=place.failures_survived,
        )


def fit_group(
    loop: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    *,
    out: Path,
    workers: Workers,
    backend: str,
    failures_survived: int,
    is_trial: bool = False,
) -> None:
    """Run `loop(config)` in every rank of a group until it ends, or raise what ended it."""
    from ray import train
    from ray.train.torch import TorchConfig, TorchTrainer

    os.environ.update(ENVIRONMENT)
    (out / FAILURE_NAME).unlink(missing_ok=True)
    trainer = TorchTrainer(
        loop,
        train_loop_config=config,
        scaling_config=_scaling(workers),
        run_config=_run_config(out, failures_survived, is_trial=is_trial),
        torch_config=TorchConfig(backend=backend),
    )
    try:
        # Ray's aborts a training that is over, also when Ctrl-C is for what comes after it.
        with restored_handler(signal.SIGINT):
            trainer.fit()
    except train.TrainingFailedError as error:
        _raise_cause(out)
        raise TrainerLost(
            f"its workers died {failures_survived + 1} times (killed, out of memory, or "
            "crashed in native code); run again to go on from the last checkpoint"
        ) from error
    finally:
        shutil.rmtree(out / TRAIN_NAME, ignore_errors=True)  # all that counts is in our own files
    _raise_cause(out)


def _run_config(out: Path, failures_survived: int, *, is_trial: bool) -> Any:
    from ray import train
    from ray.train import LoggingConfig
    from ray.tune.integration.ray_train import TuneReportCallback

    return train.RunConfig(
        name=out.stem,
        storage_path=str(out / TRAIN_NAME),
        failure_config=train.FailureConfig(max_failures=failures_survived),
        logging_config=LoggingConfig(log_level="ERROR"),
        callbacks=[TuneReportCallback()] if is_trial else [],
    )


def _scaling(workers: Workers) -> Any:
    from ray import train

    return train.ScalingConfig(
        num_workers=workers.count,
        use_gpu=bool(workers.gpus),
        resources_per_worker={"CPU": workers.cpus} | bundle(workers),
        label_selector=selector(workers) or None,
    )


def run_rank(config: dict[str, Any]) -> None:
    """Train in one rank; leave for the driver what the program raised."""
    job: TrainingJob = config["job"]
    place: TrainingPlacement = config["place"]
    if is_given_up(job.out):
        return
    assert place.workers is not None
    with cause_left(job.out, place.workers.count):
        _train(config["make"], job, place, on_dev_eval_of(config))


def is_given_up(out: Path) -> bool:
    """True where a rank left its failure, or the lock is lost: a new attempt would repeat it."""
    return (out / FAILURE_NAME).exists() or not out.is_dir()


@contextmanager
def cause_left(out: Path, num_workers: int) -> Iterator[None]:
    """Leave what the program raises in the block for the driver to raise, and end the run."""
    try:
        yield
    except Exception as error:
        # Deaths, and complaints of collectives that follow them, are Train's matter.
        if not isinstance(error, AttemptLost) and not is_complaint(error):
            if out.is_dir():  # who lost the lock has no folder, and nobody who asks
                with write_atomically(out / FAILURE_NAME) as file:
                    file.write(_pickled(error))
            # Ended without an error, Train tries no more. Of several ranks the others wait in a
            # collective, and only an error makes Train end them.
            if num_workers == 1:
                return
        raise


def on_dev_eval_of(config: dict[str, Any]) -> OnDevEval:
    """What a rank does with evaluations: in a trial, hand them on to it."""
    return _to_trial if config["is_trial"] else ignore_dev_eval


def _to_trial(step: int, numbers: Mapping[str, float]) -> None:
    from ray import train

    # By every rank: Train waits for all of them.
    train.report(reported(step, numbers))


def reported(step: int, numbers: Mapping[str, float]) -> dict[str, float]:
    """An evaluation as Ray Tune is told of it; of `dev_score` less is better."""
    return {"step": step, **{f"dev_{name}": value for name, value in numbers.items()}}


def _train(
    make: "MakeProgram", job: "TrainingJob", place: TrainingPlacement, on_dev_eval: OnDevEval
) -> None:
    import torch

    from interlingua.cluster.zero import ZeroEngine
    from interlingua.stages.sft.loop import train

    torch.set_num_threads(job.threads)
    program = make(job)
    engine = ZeroEngine(
        program.module,
        program.groups(),
        program.optim,
        device=job.device,
        zero_stage=place.zero_stage,
        batch_rows=program.batch_rows,
        micro_batch_rows=place.micro_batch_rows,
    )
    train(program, engine, job, on_dev_eval)


def _pickled(error: BaseException) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:  # an error that holds what cannot travel: its words can
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _raise_cause(out: Path) -> None:
    failure = out / FAILURE_NAME
    if failure.exists():
        raise pickle.loads(failure.read_bytes())
