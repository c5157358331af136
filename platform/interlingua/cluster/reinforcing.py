"""RayReinforcer: the loop of reinforcement learning with every role in a placement group.

The AV's ranks run the loop in a Ray Train `TorchTrainer`. Whichever role dies, Train starts the
loop again, and it goes on from its last checkpoint, which holds both models. Knows no model.
"""

import json
import pickle
from typing import Any

from interlingua.cluster.failures import ERRORS_NAME, noted_errors
from interlingua.cluster.local import LocalReinforcer
from interlingua.cluster.nodes import Cluster
from interlingua.cluster.placement import placed_on, reserved
from interlingua.cluster.supervisor import Supervisor
from interlingua.cluster.training import ENDED_NAME, TrainerLost, fit_group
from interlingua.specs.placement import Single, ThreeGroups
from interlingua.stages.running.context import Ended, OnDevEval, Play, ignore_dev_eval
from interlingua.store.partial import target_of


class RolesLost(RuntimeError):
    """Roles died more often than the placement allows."""


class RayReinforcer:
    """Runs the loop on a cluster; in a trial of Ray Tune it also reports evaluations to it."""

    def __init__(self, on_dev_eval: OnDevEval | None = None) -> None:
        self._on_dev_eval = on_dev_eval

    def play(self, play: Play, job: Any, place: Single | ThreeGroups) -> Ended:
        """Run the loop with the roles where the placement has them."""
        if isinstance(place, Single):
            local = LocalReinforcer(self._on_dev_eval or ignore_dev_eval)
            return local.play(play, job, place)
        import ray

        placed_on(place, Cluster(ray))  # raises where the cluster is too small
        # Left by an earlier run of the stage: its end would be read as the end of this one.
        for name in (ENDED_NAME, ERRORS_NAME):
            (job.out / name).unlink(missing_ok=True)
        with reserved(ray, place, owner=str(target_of(job.out))) as groups:
            supervisor = (
                ray.remote(Supervisor)
                .options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
                .remote(pickle.dumps(job), place, groups, job.out)
            )
            try:
                supervisor.heal.remote()  # while Train starts
                is_trial = self._on_dev_eval is not None
                _fit(play, job, place, supervisor, is_trial=is_trial)
            finally:
                ray.kill(supervisor)  # and what it owns
        ended = Ended(**json.loads((job.out / ENDED_NAME).read_bytes()))
        (job.out / ENDED_NAME).unlink()
        return ended


def _fit(play: Play, job: Any, place: ThreeGroups, supervisor: Any, *, is_trial: bool) -> None:
    from interlingua.cluster.av_rank import run_rank  # with all that models need

    try:
        fit_group(
            run_rank,
            {
                "play": play,
                "job": job,
                "place": place,
                "supervisor": supervisor,
                "is_trial": is_trial,
            },
            is_trial=is_trial,
            out=job.out,
            workers=place.av.workers,
            backend="gloo" if place.av.device == "cpu" else "nccl",
            failures_survived=place.failures_survived,
        )
    except TrainerLost as lost:
        noted = noted_errors(job.out)
        if not noted:
            raise
        raise RolesLost(
            f"the roles of {job.out.name} died {place.failures_survived + 1} times: first "
            f"{noted[0]}; last {noted[-1]}; run again to go on from the last checkpoint"
        ) from lost
