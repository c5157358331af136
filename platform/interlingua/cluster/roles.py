"""The workers of AR and AV_init on a cluster, each one rank of its role's group.

A worker answers the attempt that it was begun for and no other, so that what is left of an earlier
attempt can neither move weights nor read them. Knows neither the loop nor who supervises it.
"""

import gc
import os
import pickle
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlingua.cluster.failures import StaleAttempt
from interlingua.specs.placement import FrozenPlacement, LearnerPlacement
from interlingua.store.atomic import write_atomically
from interlingua.store.peak import note_peak

if TYPE_CHECKING:  # who only supervises workers needs no model
    import numpy as np
    from torch import nn

    from interlingua.specs.training import OptimSpec
    from interlingua.stages.rl.ar import EngineReconstructor
    from interlingua.stages.rl.av import Reference
    from interlingua.stages.rl.job import RlJob
    from interlingua.stages.rl.roles import Rollouts
    from interlingua.stages.sft.engine import Engine, Stepped


class RoleWorker:
    """One rank: where it is, its place in the group, and which attempt it answers."""

    def __init__(self, job: bytes, place: FrozenPlacement | LearnerPlacement) -> None:
        opened: RlJob = pickle.loads(job)
        self._job = replace(opened, device=place.device, batch_rows=place.batch_rows)
        self._rank, self._num_ranks = 0, 1
        self._attempt: int | None = None

    def address(self) -> tuple[str, int]:
        """Address where the group's ranks may meet: this node, and a port that is free now."""
        import ray

        with socket.create_server(("", 0)) as listener:
            return ray.util.get_node_ip_address(), listener.getsockname()[1]

    def join(self, rank: int, num_ranks: int, address: tuple[str, int]) -> None:
        """Take a place in the group."""
        import torch

        torch.set_num_threads(self._job.threads)
        self._rank, self._num_ranks = rank, num_ranks
        # Read by torch.distributed when a ZeRO engine is made, where ranks wait for each other.
        os.environ |= {
            "MASTER_ADDR": address[0],
            "MASTER_PORT": str(address[1]),
            "RANK": str(rank),
            "WORLD_SIZE": str(num_ranks),
            "LOCAL_RANK": "0",  # Ray shows a worker its own devices alone
        }

    def ping(self) -> None:
        """Return, unless the worker is busy or stuck."""

    def begin(self, attempt: int) -> None:
        """Open the models as they are before the first step, for this attempt."""
        # None meanwhile: a worker that failed to open must answer no attempt at all.
        self._attempt = None
        self._open()
        self._attempt = attempt

    def _open(self) -> None:
        raise NotImplementedError

    def _check(self, attempt: int) -> None:
        if attempt != self._attempt:
            raise StaleAttempt(f"attempt {attempt} is over; this role answers {self._attempt}")


class ReferenceWorker(RoleWorker):
    """AV_init: a copy of the AV that is never trained."""

    _reference: "Reference | None" = None

    def log_probs(self, attempt: int, rollouts: "Rollouts") -> "np.ndarray":
        """Log-probabilities of the tokens of this rank's M samples under AV_init, [M, T]."""
        self._check(attempt)
        assert self._reference is not None
        rows = slice(self._rank, None, self._num_ranks)
        own = replace(
            rollouts,
            v_BE=rollouts.own_v_NE[rows],  # a sample of each: any number of ranks may share them
            **{name: getattr(rollouts, name)[rows] for name in ROWS},
        )
        return self._reference.log_probs(own)

    def _open(self) -> None:
        if self._reference is None:  # nothing ever changes it
            self._reference = opened_reference(self._job)
            note_peak(self._job.out)


class ReconstructorWorker(RoleWorker):
    """The AR over its own engine."""

    _learner: "EngineReconstructor | None" = None

    def __init__(self, job: bytes, place: LearnerPlacement) -> None:
        super().__init__(job, place)
        self._job = replace(self._job, micro_batch_rows=place.micro_batch_rows)
        self._place = place

    def reconstruct(self, attempt: int, rollouts: "Rollouts") -> "np.ndarray":
        """Vectors that the AR rebuilds from this rank's M samples, [M, E]."""
        return self._own(attempt).reconstruct(rollouts.ar_prompts_NT[self._rank :: self._num_ranks])

    def step(
        self, attempt: int, rollouts: "Rollouts", *, variance: float, factor: float, seed: int
    ) -> "Stepped":
        """Step the AR on these samples, all ranks together."""
        return self._own(attempt).step(rollouts, variance=variance, factor=factor, seed=seed)

    def save(self, attempt: int, folder: Path) -> None:
        """Write weights and optimizer into a folder."""
        self._own(attempt).save(folder)
        note_peak(self._job.out)

    def load(self, attempt: int, folder: Path) -> None:
        """Go on from the weights and optimizer of a folder."""
        self._own(attempt).load(folder)

    def write_weights(self, attempt: int, path: Path) -> None:
        """Write the trained weights into a file: they are too large to be sent."""
        from safetensors.torch import save

        # A collective where ZeRO has sharded them: every rank calls it, and one writes.
        weights = self._own(attempt).weights()
        if self._rank == 0:
            with write_atomically(path) as file:
                file.write(save(weights))

    def _own(self, attempt: int) -> "EngineReconstructor":
        self._check(attempt)
        assert self._learner is not None
        return self._learner

    def _open(self) -> None:
        from interlingua.stages.rl.local_roles import opened_reconstructor, reconstructor_over

        if self._learner is not None:  # two of them may not fit
            self._learner.close()
            self._learner = None
            gc.collect()
        spec = self._job.spec.rl
        engine = engine_over(
            opened_reconstructor(self._job), spec.ar or spec.av, self._job, self._place
        )
        self._learner = reconstructor_over(engine, self._job)


ROWS = ("ids_NT", "log_probs_NT", "ar_prompts_NT")
WORKERS: Mapping[str, type[RoleWorker]] = {"av_init": ReferenceWorker, "ar": ReconstructorWorker}


def engine_over(
    module: "nn.Module", learner: "OptimSpec | None", job: "RlJob", place: LearnerPlacement
) -> "Engine":
    """Engine of a role that learns: plain torch, or DeepSpeed where a ZeRO stage is named."""
    from interlingua.stages.rl.local_roles import groups_of
    from interlingua.stages.sft.engine import TorchEngine

    assert learner is not None
    groups = groups_of(module, learner.learning_rate)
    if place.zero_stage is None:
        return TorchEngine(module, groups, learner, place.device)
    from interlingua.cluster.zero import ZeroEngine

    return ZeroEngine(
        module,
        groups,
        learner,
        device=place.device,
        zero_stage=place.zero_stage,
        batch_rows=job.spec.rl.num_samples,
        micro_batch_rows=place.micro_batch_rows,
    )


def opened_reference(job: "RlJob") -> "Reference":
    """AV_init, held in the dtype of the AV's forward."""
    import torch

    from interlingua.models.pair.trained import cast_weights
    from interlingua.stages.rl.av import Reference
    from interlingua.stages.rl.local_roles import groups_of, opened_policy
    from interlingua.stages.sft.engine import TorchEngine

    spec = job.spec.rl
    learner: Any = spec.av or spec.ar
    policy = opened_policy(job)
    cast_weights(policy, getattr(torch, learner.dtype))
    groups = groups_of(policy, learner.learning_rate)
    # It runs forwards and is never stepped. No autocast: its weights have that dtype already.
    optim = replace(learner, dtype="float32")
    engine = TorchEngine(policy, groups, optim, job.device)
    return Reference(engine, None, batch_rows=job.batch_rows, device=job.device)
