"""One rank: trains world_mini's AV under every ZeRO stage; rank 0 writes the losses as JSON."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.built import built_inputs

from interlingua.cluster.zero import ZeroEngine
from interlingua.recipes.world import world_mini
from interlingua.specs.injection import Full
from interlingua.specs.placement import SAMPLING_ZERO_STAGES, ZERO_STAGES
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft.av import AvProgram
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import Share, _dev_rows

NUM_STEPS, MICRO_ROWS = 20, 2
BF16_STEPS = 4  # enough for masters that bf16 cannot hold


def main(root: Path, out: Path) -> None:
    found = {}
    for stage in ZERO_STAGES:
        found[f"zero_{stage}"], program, engine = losses_of(root, stage, "float32", NUM_STEPS)
        # Ranks with other batches call every module as often, or wait for each other for ever.
        program._num_parts = 1 if stage == 0 else 5
        found[f"look_{stage}"] = [row["nll_real"] for row in _dev_rows(program, engine)]
    for stage in ZERO_STAGES:
        *_, engine = losses_of(root, stage, "bfloat16", BF16_STEPS)
        found[f"dtypes_{stage}"] = dtypes_of(engine.module)
        if stage in SAMPLING_ZERO_STAGES:
            found[f"masters_{stage}"] = masters_before_and_after(engine)
        rank = engine.rank
    if rank == 0:
        out.write_text(json.dumps(found))


def losses_of(root, zero_stage, dtype, num_steps):
    """The global losses of the first steps, and what is behind them."""
    program = AvProgram(job(root, dtype))
    engine = ZeroEngine(
        program.module,
        program.groups(),
        program.optim,
        device="cpu",
        zero_stage=zero_stage,
        batch_rows=program.batch_rows,
        micro_batch_rows=MICRO_ROWS,
    )
    share = Share(engine.rank, engine.world_size, MICRO_ROWS)
    steps = [engine.step(program.micro_batches(step, share), 1.0) for step in range(num_steps)]
    return [stepped.loss for stepped in steps], program, engine


def dtypes_of(module):
    """Those of weights and buffers: positions in RoPE are exact in fp32 alone."""
    kinds = {"weights": module.parameters(), "buffers": module.buffers()}
    return {
        kind: sorted({str(one.dtype) for one in several if one.is_floating_point()})
        for kind, several in kinds.items()
    }


def masters_before_and_after(engine):
    """The affine's fp32 masters: as trained, and after they were disturbed and loaded again."""
    before = affine_of(engine)
    with TemporaryDirectory() as folder:
        shared = Path(engine.gathered(folder)[0])
        engine.save(shared)
        engine.gathered(None)
        engine.load(shared)
        after = affine_of(engine)
        engine.gathered(None)
    return {"before": before, "after": after}


def affine_of(engine):
    (weight,) = (w for n, w in engine.trained_weights().items() if n.endswith("delta_MDD"))
    return weight.flatten()[:200].tolist()


def job(root, dtype):
    """World_mini's AV with affine maps."""
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "av")
    av = stage.spec.av
    av = replace(
        av,
        injection=replace(av.injection, affine=Full()),
        num_steps=NUM_STEPS,
        optim=replace(av.optim, dtype=dtype),
    )
    return TrainingJob(
        spec=replace(stage.spec, av=av),
        inputs=built_inputs(stage, root),
        out=root,
        micro_batch_rows=MICRO_ROWS,
        threads=1,
        device="cpu",
    )
