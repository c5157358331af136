"""RayTrainer: a training loop as a Ray Train `TorchTrainer`, its weights stepped by DeepSpeed.

A worker that dies takes its group with it; Train starts the group again, and the loop goes on from
its last checkpoint in the stage's folder. What the program itself raises ends the run at once.
"""

import os
import pickle
from pathlib import Path
from typing import Any

from interlingua.specs.placement import TrainingPlacement
from interlingua.stages.training import MakeProgram, TrainingJob
from interlingua.store.atomic import write_atomically

FAILURE_NAME, TRAIN_NAME = "failure.pickle", "ray_train"
# Read by Ray Train's controller and workers: how soon a dead worker is noticed.
ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}


class TrainerLost(RuntimeError):
    """The workers of a training run died more often than the placement allows."""


class RayTrainer:
    """Holds no state, so that it can travel to the stage that uses it."""

    def fit(self, make: MakeProgram, job: TrainingJob, place: TrainingPlacement) -> None:
        """Train on the workers that the placement asks for."""
        from ray import train
        from ray.train import LoggingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        os.environ.update(ENVIRONMENT)
        workers, failure = place.workers, job.out / FAILURE_NAME
        failure.unlink(missing_ok=True)
        resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
        trainer = TorchTrainer(
            run_rank,
            train_loop_config={"make": make, "job": job, "place": place},
            scaling_config=train.ScalingConfig(
                num_workers=workers.count,
                use_gpu=bool(workers.gpus),
                resources_per_worker=resources,
            ),
            run_config=train.RunConfig(
                name=job.out.name,
                storage_path=str(job.out / TRAIN_NAME),
                failure_config=train.FailureConfig(max_failures=place.failures_survived),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
            torch_config=TorchConfig(backend="nccl" if workers.gpus else "gloo"),
        )
        try:
            trainer.fit()
        except train.TrainingFailedError as error:
            _raise_cause(failure)
            raise TrainerLost(
                f"its workers died {place.failures_survived + 1} times (killed, out of memory, or "
                "crashed in native code); run again to go on from the last checkpoint"
            ) from error
        _raise_cause(failure)


def run_rank(config: dict[str, Any]) -> None:
    """The whole life of one worker; what the program raises is left for the driver to raise."""
    job: TrainingJob = config["job"]
    place: TrainingPlacement = config["place"]
    failure = job.out / FAILURE_NAME
    if failure.exists():
        return  # another rank has said why; Train's new attempt would only repeat it
    try:
        _train(config["make"], job, place)
    except Exception as error:
        # A complaint of a collective follows another rank's death: Train's matter, as is that.
        if not isinstance(error, (ConnectionError, RuntimeError)) or _is_ours(error):
            with write_atomically(failure) as file:
                file.write(_pickled(error))
            if place.workers.count == 1:
                return
        raise


def _train(make: MakeProgram, job: TrainingJob, place: TrainingPlacement) -> None:
    import torch

    from interlingua.cluster.zero import ZeroEngine
    from interlingua.stages.training import train

    torch.set_num_threads(job.threads)
    program = make(job)
    engine = ZeroEngine(
        program.module,
        program.groups(),
        program.optim,
        device=job.device,
        zero_stage=place.zero_stage,
        micro_batch_rows=place.micro_batch_rows,
    )
    train(program, engine, job)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.startswith("interlingua.")


def _pickled(error: BaseException) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:  # an error that holds what cannot travel: its words can
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _raise_cause(failure: Path) -> None:
    if failure.exists():
        raise pickle.loads(failure.read_bytes())
