"""The stages from explanations to a bundle. Knows how one is made from its inputs.

Encoders that are trained with the AV put it before everything that goes through them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from interlingua.specs.evaluation import Arm
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.generation import Turn, VerbalizeSpec
from interlingua.specs.maps import TunedEncoderSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.splits import Split
from interlingua.specs.training import (
    ArTraining,
    AvTraining,
    BundleSpec,
    DecoderSpec,
    TeachSpec,
)
from interlingua.stages.graph.hosts import (
    MOST_WORDS,
    RIDGE,
    HostRows,
    extraction_stage,
    reading_of,
)
from interlingua.stages.graph.runs import (
    run_ar,
    run_av,
    run_bundle,
    run_decoder,
    run_teach,
    run_tuned,
    run_verbalize,
)
from interlingua.store.artifact import Stage

LEARNING = (Split.AV_SFT, Split.AR_SFT)
SUPERVISED = "sft"


class LearningStages(NamedTuple):
    """What both models learn from: rows of the learning hosts, and explanations."""

    rows: Mapping[str, Stage]
    av_texts: Stage
    ar_texts: Stage
    dev_texts: Stage


class Pair(NamedTuple):
    """The two models, the trunk they stand on, and which training they come from."""

    trunk: Stage
    av: Stage
    ar: Stage
    phase: str = SUPERVISED

    def models(self) -> dict[str, Stage]:
        """The inputs of a stage that opens the pair."""
        return {"trunk": self.trunk, "av": self.av, "ar": self.ar}

    def labels(self, *parts: str) -> list[str]:
        """The parts of a label, with the phase where that is not the first."""
        return [*parts] if self.phase == SUPERVISED else [*parts, self.phase]


class Maps(NamedTuple):
    """The pair with the maps of every host, by tag."""

    pair: Pair
    encoders: Mapping[str, Stage]
    verbalized: Mapping[str, Stage]
    decoders: Mapping[str, Stage]


def learning_stages(
    recipe: Recipe, hosts: Mapping[str, Stage], rows: Mapping[str, HostRows], passages: Stage
) -> LearningStages:
    """Rows and explanations of the learning splits, and gold explanations of `dev`."""
    learning = {
        tag: extraction_stage(hosts[tag], passages, reading_of(hosts[tag], recipe.read, LEARNING))
        for tag in recipe.learning_tags()
    }
    anchor = hosts[recipe.anchor]

    def taught(lessons: TeachingSpec, split: Split, of: Stage) -> Stage:
        return teach_stage(recipe, lessons, split, passages, (anchor, of))

    return LearningStages(
        rows=learning,
        av_texts=taught(recipe.av_lessons, Split.AV_SFT, learning[recipe.anchor]),
        ar_texts=taught(recipe.ar_lessons, Split.AR_SFT, learning[recipe.anchor]),
        dev_texts=taught(recipe.av_lessons, Split.DEV, rows[recipe.anchor].dev),
    )


def av_stage(
    recipe: Recipe,
    learning: LearningStages,
    trunk: Stage,
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> Stage:
    """The verbalizer after supervised training."""
    spec = AvTraining(
        av=recipe.av,
        anchor=recipe.anchor,
        host_tags=recipe.learning_tags(),
        accepts_mixed_teachers=recipe.accepts_mixed_teachers,
    )
    inputs = {"trunk": trunk, "explanations": learning.av_texts}
    inputs |= _of_hosts(spec.host_tags, learning, rows, encoders)
    return Stage(
        kind="av",
        label="sft",
        spec=spec,
        run=run_av,
        inputs=inputs,
        revision=2,
        work=WorkKind.TRAINING,
    )


def ar_stage(
    recipe: Recipe,
    learning: LearningStages,
    trunk: Stage,
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> Stage:
    """The reconstructor after supervised training."""
    spec = ArTraining(
        ar=recipe.ar,
        anchor=recipe.anchor,
        host_tags=recipe.learning_tags(),
        centring=recipe.av.injection.centring,
        ridge=RIDGE,
        most_words=MOST_WORDS,
        accepts_mixed_teachers=recipe.accepts_mixed_teachers,
    )
    inputs = {"trunk": trunk, "explanations": learning.ar_texts}
    inputs |= _of_hosts(spec.host_tags, learning, rows, encoders)
    return Stage(
        kind="ar",
        label="sft",
        spec=spec,
        run=run_ar,
        inputs=inputs,
        revision=2,
        work=WorkKind.TRAINING,
    )


def tuned_encoder_stages(
    recipe: Recipe, av: Stage, rows: Mapping[str, HostRows], encoders: Mapping[str, Stage]
) -> dict[str, Stage]:
    """The trained hosts' encoders as the AV's training left them; none where it leaves them."""
    if recipe.av.encoder_learning_rate is None:
        return {}
    anchor = recipe.anchor
    stages = {}
    for tag in recipe.trained:
        read: ExtractSpec = rows[tag].fit.spec
        stages[tag] = Stage(
            kind="tuned_encoder",
            label=tag,
            spec=TunedEncoderSpec(host_tag=tag, block_index=read.block_indices[0], seed=0),
            run=run_tuned,
            inputs={
                "av": av,
                "dev": rows[tag].dev,
                "anchor_dev": rows[anchor].dev,
                "anchor_encoder": encoders[anchor],
            },
            revision=1,
        )
    return stages


def maps_stages(
    recipe: Recipe,
    pair: Pair,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> tuple[tuple[Stage, ...], Maps]:
    """What the pair says of `fit`, the ways back that are fitted on it, and the bundle."""
    verbalized = {tag: verbalize_stage(recipe, pair, rows[tag], tag, encoders) for tag in hosts}
    decoders = {
        tag: decoder_stage(pair, rows[tag], verbalized[tag], encoders[tag]) for tag in hosts
    }
    maps = Maps(pair, encoders, verbalized, decoders)
    bundle = bundle_stage(recipe, maps, hosts, rows)
    return (*verbalized.values(), *decoders.values(), bundle), maps


def verbalize_stage(
    recipe: Recipe, pair: Pair, own: HostRows, tag: str, encoders: Mapping[str, Stage]
) -> Stage:
    """What the pair makes of one host's rows of `fit`."""
    turn = Turn(arm=Arm.SAMPLED, split=Split.FIT, sampling=recipe.speaking.sampled(1), rows=None)
    return speaking_stage(recipe, pair, {"fit": own.fit}, tag, encoders, turns=(turn,))


def speaking_stage(
    recipe: Recipe,
    pair: Pair,
    rows: Mapping[str, Stage],
    tag: str,
    encoders: Mapping[str, Stage],
    *,
    turns: tuple[Turn, ...],
) -> Stage:
    """What the pair makes of one host's rows of some splits, turn by turn."""
    read: ExtractSpec = next(iter(rows.values())).spec
    splits = sorted({turn.split for turn in turns})
    return Stage(
        kind="verbalized",
        label="-".join([*pair.labels(tag), *splits]),
        spec=VerbalizeSpec(
            host_tag=tag,
            block_index=read.block_indices[0],
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            turns=turns,
            seed=recipe.speaking.seed,
        ),
        run=run_verbalize,
        inputs={
            **pair.models(),
            **rows,
            f"{recipe.anchor}_encoder": encoders[recipe.anchor],
            f"{tag}_encoder": encoders[tag],
        },
        revision=2,
        work=WorkKind.VERBALIZING,
    )


def decoder_stage(pair: Pair, own: HostRows, verbalized: Stage, encoder: Stage) -> Stage:
    """The map back into one host."""
    spec: VerbalizeSpec = verbalized.spec
    return Stage(
        kind="decoder",
        label="-".join(pair.labels(spec.host_tag)),
        spec=DecoderSpec(host_tag=spec.host_tag, block_index=spec.block_index, ridge=RIDGE),
        run=run_decoder,
        inputs={"fit": own.fit, "verbalized": verbalized, "encoder": encoder},
        revision=2,
    )


def bundle_stage(
    recipe: Recipe, maps: Maps, hosts: Mapping[str, Stage], rows: Mapping[str, HostRows]
) -> Stage:
    """Everything that is needed to use the pair, in one folder."""
    pair, encoders, decoders = maps.pair, maps.encoders, maps.decoders
    tags = tuple(decoders)
    fit_rows = {tag: rows[tag].fit for tag in tags}
    of_hosts = {
        f"{tag}_{name}": stages[tag]
        for tag in tags
        for name, stages in (
            ("host", hosts), ("rows", fit_rows), ("encoder", encoders), ("decoder", decoders),
        )
    }  # fmt: skip
    return Stage(
        kind="bundle",
        label="-".join(pair.labels(recipe.name)),
        spec=BundleSpec(anchor=recipe.anchor, av=recipe.av, ar=recipe.ar, host_tags=tags),
        run=run_bundle,
        inputs={**pair.models(), **of_hosts},
        revision=2,
        seals=True,
    )


def _of_hosts(
    tags: tuple[str, ...],
    learning: LearningStages,
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> dict[str, Stage]:
    """What both models need of every learning host, and the texts that both are looked at by."""
    of_hosts = {"dev_explanations": learning.dev_texts}
    for tag in tags:
        of_hosts[f"{tag}_rows"] = learning.rows[tag]
        of_hosts[f"{tag}_dev"] = rows[tag].dev
        of_hosts[f"{tag}_encoder"] = encoders[tag]
    return of_hosts


def teach_stage(
    recipe: Recipe,
    lessons: TeachingSpec,
    split: Split,
    passages: Stage,
    anchor: tuple[Stage, Stage],
) -> Stage:
    """Explanations of a split; `anchor` is the host whose tokens are explained, and its rows."""
    host, rows = anchor
    # A passage as a whole is explained the same whoever reads it; a token only where it was read.
    read = {} if isinstance(recipe.read, Pooled) else {"host": host, "rows": rows}
    return Stage(
        kind="explanations",
        label=f"teacher-{split}",
        spec=TeachSpec(teacher=lessons.teacher, splits=(split,), samples=lessons.samples),
        run=run_teach,
        inputs={"passages": passages, **read},
        revision=2,
    )
