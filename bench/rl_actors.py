"""The AV with random weights in this process, AR and AV_init in Ray actors of their own."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bench.rl_roles import (
    Job,
    engine_over,
    random_policy,
    random_reconstructor,
    random_verbalizer,
)
from interlingua.cluster.av_rank import Line, RemoteReconstructor
from interlingua.cluster.roles import ReconstructorWorker, ReferenceWorker
from interlingua.cluster.supervisor import RoleHandles
from interlingua.models.pair.prompts import AvPrompt
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement, Workers
from interlingua.stages.rl.ar import EngineReconstructor
from interlingua.stages.rl.av import Policy, Reference
from interlingua.stages.rl.roles import Roles

ATTEMPT, PATIENCE_SECONDS = 1, 600.0
CARD_BYTES = 32 * 2**30


class RandomReference(ReferenceWorker):
    """AV_init with random weights."""

    def _open(self) -> None:
        job: Any = self._job
        _cap(job.device)
        engine = engine_over(random_policy(job)[0], job)
        self._reference = Reference(engine, None, batch_rows=job.batch_rows, device=job.device)


class RandomReconstructor(ReconstructorWorker):
    """The AR with random weights."""

    def _open(self) -> None:
        job: Any = self._job
        _cap(job.device)
        self._learner = EngineReconstructor(
            engine_over(random_reconstructor(job), job),
            width=job.config["width"],
            micro_batch_rows=job.micro_batch_rows,
            batch_rows=job.batch_rows,
            device=job.device,
        )


@contextmanager
def three_roles(ray: Any, job: Job) -> Iterator[tuple[Roles, Policy, AvPrompt]]:
    """The AV in this process, AR and AV_init in actors of their own, asked as the product asks."""
    workers = Workers(count=1, cpus=1, gpus=0 if job.device == "cpu" else 0.3)
    frozen = FrozenPlacement(workers=workers, device=job.device, batch_rows=job.batch_rows)
    learner = LearnerPlacement(
        workers=workers,
        device=job.device,
        batch_rows=job.batch_rows,
        micro_batch_rows=job.micro_batch_rows,
        zero_stage=None,
    )
    given = pickle.dumps(job)
    asked = {"num_cpus": workers.cpus, "num_gpus": workers.gpus}
    av_init = ray.remote(RandomReference).options(**asked).remote(given, frozen)
    ar = ray.remote(RandomReconstructor).options(**asked).remote(given, learner)
    for actor in (av_init, ar):
        ray.get(actor.join.remote(0, 1, ("127.0.0.1", 0)))
    ray.get([actor.begin.remote(ATTEMPT) for actor in (av_init, ar)])
    _cap(job.device)
    policy, prompt = random_policy(job)
    engine = engine_over(policy, job)
    line = Line(engine, None, job.out, patience_seconds=PATIENCE_SECONDS)
    line.open(ray.put(RoleHandles(ATTEMPT, (av_init,), (ar,))))
    av = random_verbalizer(engine, policy, prompt, job)
    try:
        yield Roles(av, RemoteReconstructor(line, job.out), line.judge), policy, prompt
    finally:
        for actor in (av_init, ar):
            ray.kill(actor)


def _cap(device: str) -> None:
    """No process takes more than a card of 32 GB has."""
    if device != "cpu":
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, CARD_BYTES / whole))
