"""The stages that both models learn from, and the supervised pair.

Where encoders are trained with the AV, everything that uses them comes after its training.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from interlingua.specs.extraction import Spans, TokenPositions
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExtractiveTeacher, LocalTeacher, TeacherSpec
from interlingua.specs.training import ArTraining, AvTraining, Base, Start, TeachSpec
from interlingua.stages.graph.hosts import rows_stage
from interlingua.stages.maps.encoder import Encoded, HostRows, tuned_encoder_stage
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.stages.rows.explanations import (
    ExplanationsInputs,
    ReadTokens,
    explanations_stage,
)
from interlingua.stages.sft.job import LearningHost, LearningInputs
from interlingua.stages.sft.stage import START, ar_stage, av_stage
from interlingua.store.artifact import Stage

LEARNING = (Split.AV_SFT, Split.AR_SFT)
START_MODEL, TEACHER_MODEL = "av-start", "teacher"  # the labels of their stages


class LearningStages(NamedTuple):
    """Rows of the mapped hosts and explanations, from which both models learn."""

    rows: Mapping[str, Stage]
    av_texts: Stage
    ar_texts: Stage
    dev_texts: Stage


def learning_stages(
    recipe: Recipe,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows[Stage]],
    passages: Stage,
) -> LearningStages:
    """Rows and explanations of the learning splits, and the teacher's explanations of `dev`."""
    learning = {
        tag: rows_stage(recipe, tag, hosts[tag], passages, LEARNING) for tag in recipe.mapped_tags()
    }
    tokens = ReadTokens(hosts[recipe.anchor], learning[recipe.anchor])
    dev_tokens = ReadTokens(hosts[recipe.anchor], rows[recipe.anchor].dev)
    av_lessons, ar_lessons = recipe.av_lessons, recipe.ar_lessons
    return LearningStages(
        rows=learning,
        av_texts=explained_stage(recipe, av_lessons, Split.AV_SFT, passages, tokens),
        ar_texts=explained_stage(recipe, ar_lessons, Split.AR_SFT, passages, tokens),
        # One set of texts of `dev` for both models, by the AV's teacher.
        dev_texts=explained_stage(recipe, av_lessons, Split.DEV, passages, dev_tokens),
    )


def explained_stage(
    recipe: Recipe,
    lessons: TeachingSpec,
    split: Split,
    passages: Stage,
    tokens: ReadTokens[Stage],
) -> Stage:
    """Explanations of a split; `tokens` are the anchor and its rows."""
    # A passage or a sentence is explained the same whoever reads it; a token only where it was.
    read = tokens if isinstance(recipe.read, TokenPositions) else None
    spans = recipe.read if isinstance(recipe.read, Spans) else None
    teacher = lessons.teacher
    asks_host = isinstance(teacher, ExtractiveTeacher) and teacher.next_tokens > 0
    return explanations_stage(
        TeachSpec(teacher=teacher, splits=(split,), samples=lessons.samples, spans=spans),
        ExplanationsInputs(
            passages, read, tokens.host if asks_host else None, _teacher_model(teacher)
        ),
    )


def teacher_models(texts: Iterable[Stage]) -> tuple[Stage, ...]:
    """The models of teachers that run here, before the texts that need them."""
    return tuple(one.inputs.model for one in texts if one.inputs.model is not None)


def supervised_av(
    recipe: Recipe,
    learning: LearningStages,
    trunk: Stage,
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> Stage:
    """The verbalizer after supervised training; what it goes on from is among its inputs."""
    spec = AvTraining(
        av=recipe.av,
        anchor=recipe.anchor,
        host_tags=recipe.learning_tags(),
        accepts_teachers=recipe.accepts_teachers,
    )
    hosts = _learning_hosts(learning, rows, encoders)
    inputs = LearningInputs(
        trunk,
        learning.av_texts,
        learning.dev_texts,
        hosts,
        start_model=_start_model(recipe.av.start),
    )
    if recipe.av_start is None:
        return av_stage(spec, inputs)
    start = av_stage(replace(spec, av=recipe.av_start), inputs, label=START)
    return av_stage(spec, inputs._replace(start=start))


def supervised_ar(
    recipe: Recipe,
    learning: LearningStages,
    trunk: Stage,
    rows: Mapping[str, HostRows[Stage]],
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
        accepts_teachers=recipe.accepts_teachers,
    )
    hosts = _learning_hosts(learning, rows, encoders)
    return ar_stage(spec, LearningInputs(trunk, learning.ar_texts, learning.dev_texts, hosts))


def tuned_encoder_stages(
    recipe: Recipe,
    av: Stage,
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> dict[str, Stage]:
    """The trained hosts' encoders as the AV's training left them; none where it trains none."""
    if recipe.av.encoder_learning_rate is None:
        return {}
    # Scored like fitted ones, so that their records can be set beside each other.
    anchor = Encoded(rows[recipe.anchor], encoders[recipe.anchor])
    return {
        tag: tuned_encoder_stage(recipe.fitting, av, rows[tag], anchor) for tag in recipe.trained
    }


def _start_model(start: Start) -> Stage | None:
    """The model that an AV's training begins with in the trunk's place, if one does."""
    if isinstance(start, Base):
        return None
    return adopted_stage(
        HubHost(
            tag=START_MODEL,
            source=start.source,
            revision=start.revision,
            files_sha256=start.files_sha256,
        )
    )


def _teacher_model(teacher: TeacherSpec) -> Stage | None:
    """The model that explains, if one does that runs here."""
    if not isinstance(teacher, LocalTeacher):
        return None
    return adopted_stage(
        HubHost(
            tag=TEACHER_MODEL,
            source=teacher.source,
            revision=teacher.revision,
            files_sha256=teacher.files_sha256,
        )
    )


def _learning_hosts(
    learning: LearningStages,
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> dict[str, LearningHost[Stage]]:
    return {
        tag: LearningHost(own, rows[tag].dev, encoders[tag]) for tag, own in learning.rows.items()
    }
