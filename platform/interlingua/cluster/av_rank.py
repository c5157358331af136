"""One rank of the AV: it runs the loop, and rank 0 alone asks the AR and AV_init.

Every rank of the AV gets their answers. Knows neither where the roles are nor who starts them
again. Ids and small vectors travel between them; weights go through files.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from interlingua.cluster.failures import AttemptLost, RoleDied, answers, note_error
from interlingua.cluster.roles import engine_over
from interlingua.cluster.supervisor import RoleHandles
from interlingua.cluster.training import ENDED_NAME, cause_left, is_given_up, on_dev_eval_of
from interlingua.specs.placement import ThreeGroups
from interlingua.stages.rl.job import RlJob
from interlingua.stages.rl.local_roles import opened_policy, verbalizer_over
from interlingua.stages.rl.roles import Judgement, Roles, Rollouts
from interlingua.stages.running.context import OnDevEval, Play
from interlingua.stages.sft.engine import Engine, Stepped
from interlingua.store.atomic import write_atomically
from interlingua.store.peak import note_peak

WEIGHTS_NAME = "ar_weights.safetensors"

Asked = Sequence[tuple[str, Any]]  # role and what it is to answer
Ask = Callable[[RoleHandles], Asked]


def run_rank(config: dict[str, Any]) -> None:
    """Open the AV and run the loop in one rank; leave for the driver what ended it."""
    job: RlJob = config["job"]
    place: ThreeGroups = config["place"]
    if is_given_up(job.out):
        return
    num_ranks = place.av.workers.count
    with cause_left(job.out, num_ranks):
        try:
            _play(config["play"], job, place, config["supervisor"], on_dev_eval_of(config))
        except RuntimeError as error:
            # Of several ranks' errors most only follow from a death, which itself says nothing.
            if num_ranks == 1 and not isinstance(error, AttemptLost):
                note_error(job.out, error)
            raise


def _play(
    play: Play, job: RlJob, place: ThreeGroups, supervisor: Any, on_dev_eval: OnDevEval
) -> None:
    from ray import train

    is_first = train.get_context().get_world_rank() == 0
    begun = supervisor.begin.remote() if is_first else None  # the AV is opened meanwhile
    torch.set_num_threads(job.threads)
    job = replace(
        job,
        device=place.av.device,
        micro_batch_rows=place.av.micro_batch_rows,
        batch_rows=place.av.batch_rows,
    )
    spec = job.spec.rl
    engine = engine_over(opened_policy(job), spec.av or spec.ar, job, place.av)
    line = Line(engine, supervisor, job.out, patience_seconds=place.patience_seconds)
    line.open(begun)
    roles = Roles(verbalizer_over(engine, job), RemoteReconstructor(line, job.out), line.judge)
    ended = play(job, roles, on_dev_eval)
    note_peak(job.out)
    if is_first:
        with write_atomically(job.out / ENDED_NAME) as file:
            file.write(json.dumps(asdict(ended)).encode())


class Line:
    """Rank 0's line to the roles: it alone asks, and every rank gets the answer."""

    def __init__(
        self, engine: Engine, supervisor: Any, out: Path, *, patience_seconds: float
    ) -> None:
        self._engine, self._supervisor, self._out = engine, supervisor, out
        self._patience_seconds = patience_seconds
        self._handles: RoleHandles | None = None

    @property
    def is_first(self) -> bool:
        """True in rank 0 once the roles are ready: it alone asks them."""
        return self._handles is not None

    def open(self, begun: Any) -> None:
        """Wait for the roles to be ready for this attempt."""
        if begun is not None:
            # Longer than what the supervisor waits for in it: else the wrong error would win.
            (self._handles,) = self._answers([("supervisor", begun)], patience=9)
        # A barrier: no rank begins the loop before the roles answer this attempt.
        self._engine.gathered(None)

    def asked(self, ask: Ask) -> dict[str, list[Any]]:
        """Answers by role, in the order of its ranks; the same in every rank of the AV."""
        by_role: dict[str, list[Any]] = {}
        if self._handles is not None:
            asked = ask(self._handles)
            for (role, _), answer in zip(asked, self._answers(asked), strict=True):
                by_role.setdefault(role, []).append(answer)
        # A collective: the ranks that ask nobody must call it, too, or rank 0 hangs here.
        found: dict[str, list[Any]] = self._engine.gathered(by_role)[0]
        return found

    def judge(self, rollouts: Rollouts) -> Judgement:
        """Vectors of the AR and log-probabilities of AV_init, asked for at the same time."""
        import ray

        started = time.perf_counter()

        def ask(handles: RoleHandles) -> Asked:
            sent = ray.put(rollouts)  # once: the workers of a node share it
            reconstructed = [
                ("ar", w.reconstruct.remote(handles.attempt, sent)) for w in handles.ar
            ]
            found = [
                ("av_init", w.log_probs.remote(handles.attempt, sent)) for w in handles.av_init
            ]
            return [*reconstructed, *found]

        parts = self.asked(ask)
        waited = time.perf_counter() - started
        return Judgement(_interleaved(parts["ar"]), _interleaved(parts["av_init"]), waited)

    def _answers(self, asked: Asked, patience: int = 1) -> list[Any]:
        import ray

        try:
            return answers(ray, asked, patience_seconds=patience * self._patience_seconds)
        except AttemptLost as error:
            note_error(self._out, error)
            if isinstance(error, RoleDied):
                self._supervisor.heal.remote()  # while Train starts the loop again
            raise


class RemoteReconstructor:
    """The AR as the loop sees it: every call goes to all ranks of its group at once."""

    def __init__(self, line: Line, out: Path) -> None:
        self._line, self._out = line, out

    def step(self, rollouts: Rollouts, *, variance: float, factor: float, seed: int) -> Stepped:
        """Step the AR on these samples, all its ranks together."""
        import ray

        def ask(handles: RoleHandles) -> Asked:
            sent = ray.put(rollouts)
            given = {"variance": variance, "factor": factor, "seed": seed}
            return [("ar", w.step.remote(handles.attempt, sent, **given)) for w in handles.ar]

        # Loss and norm are those of the global batch, alike in every rank of the AR.
        stepped: Stepped = self._line.asked(ask)["ar"][0]
        return stepped

    def save(self, folder: Path) -> None:
        """Have weights and optimizer written by the ranks that hold them."""
        self._line.asked(
            lambda handles: [("ar", w.save.remote(handles.attempt, folder)) for w in handles.ar]
        )

    def load(self, folder: Path) -> None:
        """Have weights and optimizer read from a checkpoint."""
        self._line.asked(
            lambda handles: [("ar", w.load.remote(handles.attempt, folder)) for w in handles.ar]
        )

    def weights(self) -> dict[str, Tensor]:
        """Trained weights by name, by way of a file; empty but in rank 0, which alone writes."""
        path = self._out / WEIGHTS_NAME

        def ask(handles: RoleHandles) -> Asked:
            return [("ar", w.write_weights.remote(handles.attempt, path)) for w in handles.ar]

        self._line.asked(ask)
        if not self._line.is_first:
            return {}
        weights = load(path.read_bytes())
        path.unlink()
        return weights


def _interleaved(parts: Sequence[np.ndarray]) -> np.ndarray:
    """All rows in their order: part r of R holds rows r, r + R, r + 2 R, ..."""
    rows = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for rank, part in enumerate(parts):
        rows[rank :: len(parts)] = part
    return rows
