"""The stages from explanations to the supervised pair. Knows how one is made from its inputs.

Encoders that are trained with the AV put it before everything that goes through them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.maps import TunedEncoderSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.splits import Split
from interlingua.specs.training import (
    ArTraining,
    AvTraining,
    TeachSpec,
)
from interlingua.stages.graph.hosts import (
    HostRows,
    extraction_stage,
    reading_of,
)
from interlingua.stages.graph.runs import (
    run_ar,
    run_av,
    run_teach,
    run_tuned,
)
from interlingua.store.artifact import Stage

LEARNING = (Split.AV_SFT, Split.AR_SFT)


class LearningStages(NamedTuple):
    """What both models learn from: rows of the learning hosts, and explanations."""

    rows: Mapping[str, Stage]
    av_texts: Stage
    ar_texts: Stage
    dev_texts: Stage


def learning_stages(
    recipe: Recipe, hosts: Mapping[str, Stage], rows: Mapping[str, HostRows], passages: Stage
) -> LearningStages:
    """Rows and explanations of the learning splits, and gold explanations of `dev`."""
    learning = {
        tag: extraction_stage(hosts[tag], passages, reading_of(recipe, hosts[tag], LEARNING))
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
        ridge=recipe.fitting.ridge,
        most_words=recipe.fitting.most_words,
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
            spec=TunedEncoderSpec(
                host_tag=tag, block_index=read.block_indices[0], seed=recipe.fitting.seed
            ),
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
