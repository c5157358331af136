"""The first steps of both learners over DeepSpeed, as one rank of them: <job.pickle> <out.json>."""

import json
import pickle
import sys
from pathlib import Path

import torch
from tests.stages.rl.stepping import first_steps

from interlingua.cluster.zero import ZeroEngine
from interlingua.stages.rl.av import Reference
from interlingua.stages.rl.local_roles import (
    LocalJudge,
    groups_of,
    opened_policy,
    opened_reconstructor,
    reconstructor_over,
    verbalizer_over,
)
from interlingua.stages.rl.roles import Roles


def zero_roles(job):
    """All roles, with weights that DeepSpeed steps."""
    spec = job.spec.rl

    def engine_of(module, learner):
        return ZeroEngine(
            module,
            groups_of(module, learner.learning_rate),
            learner,
            device="cpu",
            zero_stage=2,
            batch_rows=spec.num_samples,
            micro_batch_rows=job.micro_batch_rows,
        )

    av, ar = engine_of(opened_policy(job), spec.av), engine_of(opened_reconstructor(job), spec.ar)
    reconstructor = reconstructor_over(ar, job)
    reference = Reference(av, av.trained_weights(), batch_rows=64, device="cpu")
    return Roles(verbalizer_over(av, job), reconstructor, LocalJudge(reconstructor, reference))


if __name__ == "__main__":
    torch.set_num_threads(1)
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    roles = zero_roles(job)
    steps = first_steps(roles, job)
    if roles.av.rank == 0:
        Path(sys.argv[2]).write_text(json.dumps(steps))
    # Else a rank whose peers are gone may abort as Python ends.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
