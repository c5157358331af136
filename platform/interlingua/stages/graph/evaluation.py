"""The stages from an NLA to its numbers: what it says of unseen rows, scores, gates, report.

What reads the evaluated split stands in artifacts of its own: nothing trained has it upstream.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from interlingua.specs.evaluation import Arm, EvaluationSpec, MethodsSpec, ReportSpec, ScoreSpec
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.generation import TEXT_ARMS, ReconstructSpec, Turn
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.hosts import extraction_stage, reading_of
from interlingua.stages.graph.learning import teach_stage
from interlingua.stages.graph.nla import Maps, Pair, speaking_stage
from interlingua.stages.graph.runs import (
    run_evaluate,
    run_methods,
    run_reconstruct,
    run_report,
    run_score,
)
from interlingua.store.artifact import Stage


class Unseen(NamedTuple):
    """What is evaluated: passages, every host's rows of the split, what the teacher says of it."""

    passages: Stage
    rows: Mapping[str, Stage]
    taught: Stage


def unseen_of(recipe: Recipe, hosts: Mapping[str, Stage], passages: Stage) -> Unseen:
    """The evaluated split, read."""
    split = recipe.evaluation.split
    rows = {
        tag: extraction_stage(host, passages, reading_of(recipe, host, (split,)))
        for tag, host in hosts.items()
    }
    anchor = (hosts[recipe.anchor], rows[recipe.anchor])
    return Unseen(passages, rows, teach_stage(recipe, recipe.av_lessons, split, passages, anchor))


def evaluation_stages(
    recipe: Recipe, maps: Maps, unseen: Unseen, start: Stage | None
) -> tuple[Stage, ...]:
    """Everything that is needed to trust, or distrust, one trained NLA; its evaluation last.

    `start` is the evaluation of what its training began with.
    """
    split, tags = recipe.evaluation.split.value, list(unseen.rows)
    turns = _turns(recipe, is_start=start is None)
    spoken = {
        tag: speaking_stage(
            recipe, maps.pair, {split: unseen.rows[tag]}, tag, maps.encoders, turns=turns
        )
        for tag in tags
    }
    heard = reconstructed_stage(recipe, maps.pair, unseen)
    scored = {
        tag: score_stage(
            recipe,
            maps,
            tag,
            {
                split: unseen.rows[tag],
                "spoken": spoken[tag],
                "reconstructed": heard,
                "passages": unseen.passages,
            },
        )
        for tag in tags
    }
    methods = methods_stage(recipe, maps, unseen.rows, spoken)
    others = {"passages": unseen.passages, "methods": methods}
    if start is not None:
        others["start"] = start
    evaluation = evaluation_stage(recipe, maps.pair, scored, others)
    return (heard, *spoken.values(), methods, *scored.values(), evaluation)


def reconstructed_stage(recipe: Recipe, pair: Pair, unseen: Unseen) -> Stage:
    """What the AR makes of texts that are known to be true."""
    # What is true of a token depends on how far the text has come: only the teacher knows.
    arms = TEXT_ARMS if isinstance(recipe.read, Pooled) else (Arm.GOLD,)
    return Stage(
        kind="reconstructed",
        label="-".join(pair.labels(recipe.evaluation.split)),
        spec=ReconstructSpec(
            split=recipe.evaluation.split,
            arms=arms,
            max_words=recipe.ar_lessons.teacher.max_words,
        ),
        run=run_reconstruct,
        inputs={
            "trunk": pair.trunk,
            "ar": pair.ar,
            "explanations": unseen.taught,
            "passages": unseen.passages,
        },
        revision=1,
    )


def score_stage(recipe: Recipe, maps: Maps, tag: str, evaluated: Mapping[str, Stage]) -> Stage:
    """All arms of one host, on the same rows."""
    decoder, verbalized = maps.decoders[tag], maps.verbalized[tag]
    read: ExtractSpec = evaluated[recipe.evaluation.split].spec
    return Stage(
        kind="scored",
        label="-".join(maps.pair.labels(tag)),
        spec=ScoreSpec(
            host_tag=tag,
            role=recipe.roles()[tag],
            block_index=read.block_indices[0],
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            split=recipe.evaluation.split,
            ridge=recipe.fitting.ridge,
            most_words=recipe.fitting.most_words,
            seed=recipe.speaking.seed,
        ),
        run=run_score,
        inputs={
            "fit": decoder.inputs["fit"],
            "verbalized": verbalized,
            "decoder": decoder,
            "encoder": maps.encoders[tag],
            f"{tag}_encoder": maps.encoders[tag],
            f"{recipe.anchor}_encoder": maps.encoders[recipe.anchor],
            **evaluated,
        },
        revision=2,
    )


def methods_stage(
    recipe: Recipe, maps: Maps, rows: Mapping[str, Stage], spoken: Mapping[str, Stage]
) -> Stage:
    """What published ways to fit and to score a decoder would report."""
    split = recipe.evaluation.split
    of_hosts = {
        f"{tag}_{name}": stage
        for tag in rows
        for name, stage in (
            ("fit", maps.decoders[tag].inputs["fit"]),
            (split.value, rows[tag]),
            ("encoder", maps.encoders[tag]),
            ("verbalized", maps.verbalized[tag]),
            ("spoken", spoken[tag]),
        )
    }
    return Stage(
        kind="methods",
        label="-".join(maps.pair.labels(recipe.name)),
        spec=MethodsSpec(
            host_tags=tuple(rows),
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            split=split,
            ridge=recipe.fitting.ridge,
            seed=recipe.speaking.seed,
        ),
        run=run_methods,
        inputs=of_hosts,
        revision=1,
    )


def evaluation_stage(
    recipe: Recipe, pair: Pair, scored: Mapping[str, Stage], others: Mapping[str, Stage]
) -> Stage:
    """The numbers of all hosts, and the gates."""
    return Stage(
        kind="evaluation",
        label="-".join(pair.labels(recipe.name)),
        spec=EvaluationSpec(
            split=recipe.evaluation.split,
            host_tags=tuple(scored),
            accepts=recipe.evaluation.accepts,
            seed=recipe.speaking.seed,
        ),
        run=run_evaluate,
        inputs={**others, **{f"{tag}_scored": stage for tag, stage in scored.items()}},
        revision=3,
        seals=True,
    )


def report_stage(recipe: Recipe, evaluations: Sequence[Stage], oracles: Sequence[Stage]) -> Stage:
    """The page that shows the first evaluation and all that it came from; others are its arms."""
    first, *others = evaluations
    return Stage(
        kind="report",
        label=recipe.name,
        spec=ReportSpec(recipe=recipe.name, shown_rows=recipe.evaluation.shown_rows),
        run=run_report,
        inputs={
            "evaluation": first,
            **{f"{arm.label}_evaluation": arm for arm in others},
            **{f"{one.label}_oracle": one for one in oracles},
        },
        revision=4,
    )


def _turns(recipe: Recipe, *, is_start: bool) -> tuple[Turn, ...]:
    """How the AV speaks of the evaluated rows; what it said untrained does not change later."""
    evaluation, speaking = recipe.evaluation, recipe.speaking
    samplings = {
        Arm.SAMPLED: speaking.sampled(evaluation.samples),
        Arm.GREEDY: speaking.greedy(),
        Arm.SHUFFLED_VECTORS: speaking.sampled(1),
        Arm.ZERO_VECTOR: speaking.sampled(1),
    }
    if is_start:
        samplings[Arm.UNTRAINED] = speaking.sampled(1)
    return tuple(
        Turn(arm=arm, split=evaluation.split, sampling=sampling, rows=evaluation.rows)
        for arm, sampling in samplings.items()
    )
