"""The stages from an NLA to its numbers: its texts of unseen rows, scores, gates, report.

What reads the evaluated split stands in artifacts of its own: nothing trained has it upstream.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from interlingua.specs.evaluation import (
    EvaluationSpec,
    LikelihoodSpec,
    MethodsSpec,
    Predictor,
    ReportSpec,
    ScoreSpec,
)
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.generation import NearestSpec, ReconstructSpec, Turn
from interlingua.specs.recipe import Recipe
from interlingua.specs.world import WorldTeacher
from interlingua.stages.evaluation.evaluate import EvaluationInputs, evaluation_stage
from interlingua.stages.evaluation.inputs import (
    LikelihoodInputs,
    MethodsHost,
    MethodsInputs,
    ScoreInputs,
)
from interlingua.stages.evaluation.likelihood import likelihood_stage
from interlingua.stages.evaluation.methods import methods_stage
from interlingua.stages.evaluation.report import ReportInputs, report_stage
from interlingua.stages.evaluation.score import scored_stage
from interlingua.stages.graph.hosts import rows_stage
from interlingua.stages.graph.learning import LearningStages, explained_stage
from interlingua.stages.graph.nla import Maps, Pair, verbalized_by
from interlingua.stages.nla.inputs import PairInputs, ReaderInputs, ServedPair, WriterInputs
from interlingua.stages.nla.nearest import NearestInputs, nearest_stage
from interlingua.stages.nla.reconstruct import ReconstructInputs, ServedTexts, reconstructed_stage
from interlingua.stages.rows.explanations import ReadTokens
from interlingua.store.artifact import Stage

WORDS_OF_FACTS = 40  # of a list of facts, where the teacher has no bound of its own


class Unseen(NamedTuple):
    """The evaluated split: passages, every host's rows of it, the teacher's texts of it."""

    passages: Stage
    rows: Mapping[str, Stage]
    explanations: Stage


class KnownTexts(NamedTuple):
    """The AR's vectors of texts that no AV wrote: for all hosts, and for one that is learned from.

    Of a held-out host no rows of `av_sft` are read, so that no row of it is the nearest.
    """

    reconstructed: Stage
    nearest: Stage | None


def unseen_of(recipe: Recipe, hosts: Mapping[str, Stage], passages: Stage) -> Unseen:
    """Stages that read the evaluated split, shared by all evaluations of a recipe."""
    split = recipe.evaluation.split
    rows = {tag: rows_stage(recipe, tag, host, passages, (split,)) for tag, host in hosts.items()}
    # Rows at tokens are joined only where all hosts have one tokenizer: the anchor's is theirs.
    tokens = ReadTokens(hosts[recipe.anchor], rows[recipe.anchor])
    explanations = explained_stage(recipe, recipe.av_lessons, split, passages, tokens)
    return Unseen(passages, rows, explanations)


def evaluation_stages(
    recipe: Recipe, maps: Maps, unseen: Unseen, learning: LearningStages, start: Stage | None
) -> tuple[Stage, ...]:
    """Everything that is needed to trust, or distrust, one trained NLA; its evaluation last.

    `start` is the evaluation of what its training began with.
    """
    split, pair = recipe.evaluation.split, maps.pair
    # Later training does not change the texts of the untrained AV, and no server has it.
    turns = _turns(recipe, has_untrained=start is None and isinstance(pair.models, PairInputs))
    texts = {
        tag: verbalized_by(
            recipe, pair, {split: rows}, maps.encoders, turns=turns, passages=unseen.passages
        )
        for tag, rows in unseen.rows.items()
    }
    reconstructed = _reconstructed(recipe, pair, unseen)
    nearest, likelihood = (
        _nearest(recipe, maps, unseen, learning),
        _likelihood(recipe, maps, unseen),
    )
    known = {tag: KnownTexts(reconstructed, nearest.get(tag)) for tag in unseen.rows}
    scored = {tag: _scored(recipe, maps, unseen, texts[tag], known[tag]) for tag in unseen.rows}
    methods = _methods(recipe, maps, unseen, texts)
    evaluation = evaluation_stage(
        EvaluationSpec(
            split=split,
            host_tags=tuple(scored),
            accepts=recipe.evaluation.accepts,
            seed=recipe.speaking.seed,
        ),
        EvaluationInputs(scored, likelihood, methods, unseen.passages, start),
        pair.labels(recipe.name),
    )
    # The evaluation last: `graph_of` takes it from there.
    of_hosts = (*nearest.values(), *texts.values(), *likelihood.values(), *scored.values())
    return (reconstructed, *of_hosts, methods, evaluation)


def page_of(
    recipe: Recipe,
    evaluations: Sequence[Stage],
    oracles: Sequence[Stage],
    familiarity: Sequence[Stage],
) -> Stage:
    """The page of the first evaluation and all that it came from, with the others beside it."""
    first, *others = evaluations
    return report_stage(
        ReportSpec(recipe=recipe.name, shown_rows=recipe.evaluation.shown_rows),
        ReportInputs(
            first,
            {other.label: other for other in others},
            {oracle.label: oracle for oracle in oracles},
            {one.label: one for one in familiarity},
        ),
    )


def _reconstructed(recipe: Recipe, pair: Pair, unseen: Unseen) -> Stage:
    """The AR's vectors of texts that are known to be true."""
    split, teacher = recipe.evaluation.split, recipe.ar_lessons.teacher
    spec = ReconstructSpec(
        split=split,
        predictors=tuple(_text_predictors(recipe)),
        max_words=teacher.max_words if isinstance(teacher, WorldTeacher) else WORDS_OF_FACTS,
    )
    texts, models = (unseen.explanations, unseen.passages), pair.models
    if isinstance(models, ServedPair):
        asked = ServedTexts(models.served, *texts)
        return reconstructed_stage(spec, asked, pair.labels(split))
    inputs = ReconstructInputs(models.trunk, models.ar, *texts)
    return reconstructed_stage(spec, inputs, pair.labels(split))


def _text_predictors(recipe: Recipe) -> Iterator[Predictor]:
    yield Predictor.TEACHER
    # What is true of a token depends on how far the text has come: only the teacher knows.
    if isinstance(recipe.read, TokenPositions):
        return
    if recipe.has_truth:
        yield from (Predictor.GENERAL_FACTS, Predictor.ALL_FACTS)
    yield Predictor.PASSAGE_TEXT


def _scored(recipe: Recipe, maps: Maps, unseen: Unseen, texts: Stage, known: KnownTexts) -> Stage:
    """All predictors of one host, on the same rows."""
    tag = texts.spec.host_tag
    decoder = maps.decoders[tag]
    return scored_stage(
        ScoreSpec(
            host_tag=tag,
            role=recipe.roles()[tag],
            block_index=texts.spec.block_index,
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            split=recipe.evaluation.split,
            ridge=recipe.fitting.ridge,
            most_words=recipe.fitting.most_words,
            seed=recipe.speaking.seed,
        ),
        ScoreInputs(
            # The rows and texts of the decoder's own fit: controls are fitted on what it had.
            fit=decoder.inputs.fit,
            fit_texts=maps.verbalized[tag],
            rows=unseen.rows[tag],
            texts=texts,
            reconstructed=known.reconstructed,
            nearest=known.nearest,
            decoder=decoder,
            encoders={one: maps.encoders[one] for one in dict.fromkeys((recipe.anchor, tag))},
            passages=unseen.passages,
        ),
        maps.pair.labels(tag),
    )


def _nearest(
    recipe: Recipe, maps: Maps, unseen: Unseen, learning: LearningStages
) -> dict[str, Stage]:
    """The teacher's explanations of the nearest rows, by learning host, as the AR reads them."""
    models, split = maps.pair.models, recipe.evaluation.split
    reader = models if isinstance(models, ServedPair) else ReaderInputs(models.trunk, models.ar)
    return {
        tag: nearest_stage(
            NearestSpec(
                host_tag=tag,
                block_index=unseen.rows[tag].spec.block_indices[0],
                split=split,
                rows=recipe.evaluation.rows,
                seed=recipe.speaking.seed,
            ),
            NearestInputs(reader, unseen.rows[tag], own, learning.av_texts, maps.encoders[tag]),
            maps.pair.labels(tag),
        )
        for tag, own in learning.rows.items()
    }


def _likelihood(recipe: Recipe, maps: Maps, unseen: Unseen) -> dict[str, Stage]:
    """The NLL of the teacher's explanations by host; a served pair gives none."""
    models = maps.pair.models
    if isinstance(models, ServedPair):
        return {}
    return {
        tag: likelihood_stage(
            LikelihoodSpec(
                host_tag=tag,
                block_index=rows.spec.block_indices[0],
                anchor=recipe.anchor,
                centring=recipe.av.injection.centring,
                split=recipe.evaluation.split,
                rows=recipe.evaluation.rows,
                seed=recipe.speaking.seed,
            ),
            LikelihoodInputs(
                WriterInputs(models.trunk, models.av),
                rows,
                unseen.explanations,
                {one: maps.encoders[one] for one in dict.fromkeys((recipe.anchor, tag))},
                unseen.passages,
            ),
            maps.pair.labels(tag),
        )
        for tag, rows in unseen.rows.items()
    }


def _methods(recipe: Recipe, maps: Maps, unseen: Unseen, texts: Mapping[str, Stage]) -> Stage:
    """The comparison of published ways to fit and to score a decoder."""
    hosts = {
        tag: MethodsHost(
            fit=maps.decoders[tag].inputs.fit,
            fit_texts=maps.verbalized[tag],
            rows=own,
            texts=texts[tag],
            encoder=maps.encoders[tag],
            decoder=maps.decoders[tag],
        )
        for tag, own in unseen.rows.items()
    }
    return methods_stage(
        MethodsSpec(
            host_tags=tuple(hosts),
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            split=recipe.evaluation.split,
            ridge=recipe.fitting.ridge,
            seed=recipe.speaking.seed,
        ),
        MethodsInputs(hosts, unseen.passages),
        maps.pair.labels(recipe.name),
    )


def _turns(recipe: Recipe, *, has_untrained: bool) -> tuple[Turn, ...]:
    """The predictors for which the AV writes about the evaluated rows, with their sampling."""
    evaluation, speaking = recipe.evaluation, recipe.speaking
    samplings = {
        Predictor.SAMPLED: speaking.sampled(evaluation.samples),
        Predictor.GREEDY: speaking.greedy(),
        Predictor.SHUFFLED_VECTORS: speaking.sampled(1),
        Predictor.ZERO_VECTOR: speaking.sampled(1),
    }
    if has_untrained:
        samplings[Predictor.UNTRAINED] = speaking.sampled(1)
    return tuple(
        Turn(predictor=predictor, split=evaluation.split, sampling=sampling, rows=evaluation.rows)
        for predictor, sampling in samplings.items()
    )
