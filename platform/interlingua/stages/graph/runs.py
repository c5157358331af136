"""What each stage runs, imported when it runs: a dry run needs neither torch nor transformers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.evaluation import EvaluationSpec, MethodsSpec, ReportSpec, ScoreSpec
from interlingua.specs.extraction import AdoptedHostSpec, ExtractSpec
from interlingua.specs.generation import ReconstructSpec, VerbalizeSpec
from interlingua.specs.maps import EncoderSpec, TunedEncoderSpec
from interlingua.specs.rl import RlTraining
from interlingua.specs.training import (
    ArTraining,
    AvTraining,
    BundleSpec,
    DecoderSpec,
    TeachSpec,
)
from interlingua.specs.world import OracleSpec, PassagesSpec, WorldHostSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact

Inputs = Mapping[str, Artifact]
Metrics = Mapping[str, Any]


def run_passages(spec: PassagesSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rows.passages import run

    return run(spec, inputs, out, context)


def run_pretrain(spec: WorldHostSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rows.hosts import run

    return run(spec, inputs, out, context)


def run_extract(spec: ExtractSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rows.activations import run

    return run(spec, inputs, out, context)


def run_adopt(spec: AdoptedHostSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rows.adopted_hosts import run

    return run(spec, inputs, out, context)


def run_fit(spec: EncoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.maps.encoders import run

    return run(spec, inputs, out, context)


def run_oracle(spec: OracleSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.maps.oracle import run

    return run(spec, inputs, out, context)


def run_teach(spec: TeachSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rows.explanations import run

    return run(spec, inputs, out, context)


def run_av(spec: AvTraining, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.sft.stage import run_av

    return run_av(spec, inputs, out, context)


def run_ar(spec: ArTraining, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.sft.stage import run_ar

    return run_ar(spec, inputs, out, context)


def run_tuned(spec: TunedEncoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.maps.encoders import run_tuned

    return run_tuned(spec, inputs, out, context)


def run_verbalize(spec: VerbalizeSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.nla.verbalize import run

    return run(spec, inputs, out, context)


def run_reconstruct(spec: ReconstructSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.nla.reconstruct import run

    return run(spec, inputs, out, context)


def run_decoder(spec: DecoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.maps.decoders import run

    return run(spec, inputs, out, context)


def run_bundle(spec: BundleSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.nla.bundle import run

    return run(spec, inputs, out, context)


def run_score(spec: ScoreSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.evaluation.score import run

    return run(spec, inputs, out, context)


def run_evaluate(spec: EvaluationSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.evaluation.evaluate import run

    return run(spec, inputs, out, context)


def run_report(spec: ReportSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.evaluation.report import run

    return run(spec, inputs, out, context)


def run_methods(spec: MethodsSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.evaluation.methods import run

    return run(spec, inputs, out, context)


def run_rl(spec: RlTraining, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.rl.loop import run

    return run(spec, inputs, out, context)
