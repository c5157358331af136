"""What each stage runs, imported when it runs: a dry run needs neither torch nor transformers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.extraction import AdoptedHostSpec, ExtractSpec
from interlingua.specs.maps import EncoderSpec, TunedEncoderSpec
from interlingua.specs.training import (
    ArTraining,
    AvTraining,
    BundleSpec,
    DecoderSpec,
    TeachSpec,
    VerbalizeSpec,
)
from interlingua.specs.world import PassagesSpec, RoomSpec, WorldHostSpec
from interlingua.stages.backend import Context
from interlingua.store.artifact import Artifact

Inputs = Mapping[str, Artifact]
Metrics = Mapping[str, Any]


def run_passages(spec: PassagesSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.passages import run

    return run(spec, inputs, out, context)


def run_pretrain(spec: WorldHostSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.pretrain import run

    return run(spec, inputs, out, context)


def run_extract(spec: ExtractSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.extract import run

    return run(spec, inputs, out, context)


def run_adopt(spec: AdoptedHostSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.adopt import run

    return run(spec, inputs, out, context)


def run_fit(spec: EncoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.fit import run

    return run(spec, inputs, out, context)


def run_room(spec: RoomSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.room import run

    return run(spec, inputs, out, context)


def run_teach(spec: TeachSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.teach import run

    return run(spec, inputs, out, context)


def run_av(spec: AvTraining, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.sft import run_av

    return run_av(spec, inputs, out, context)


def run_ar(spec: ArTraining, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.sft import run_ar

    return run_ar(spec, inputs, out, context)


def run_tuned(spec: TunedEncoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.fit import run_tuned

    return run_tuned(spec, inputs, out, context)


def run_verbalize(spec: VerbalizeSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.verbalize import run

    return run(spec, inputs, out, context)


def run_decoder(spec: DecoderSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.decode import run

    return run(spec, inputs, out, context)


def run_bundle(spec: BundleSpec, inputs: Inputs, out: Path, context: Context) -> Metrics:
    from interlingua.stages.bundle import run

    return run(spec, inputs, out, context)
