"""Recipe -> stages: the one place that knows the order. Knows no backend and runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from interlingua.specs.extraction import TokenPositions
from interlingua.specs.models import HostSpec
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.evaluation import evaluation_stages, page_of, unseen_of
from interlingua.stages.graph.hosts import (
    encoder_stages,
    host_stage_of,
    host_stages,
    rows_of,
    trained_encoders,
)
from interlingua.stages.graph.learning import (
    LearningStages,
    learning_stages,
    supervised_ar,
    supervised_av,
    teacher_models,
    tuned_encoder_stages,
)
from interlingua.stages.graph.nla import Maps, Pair, maps_stages
from interlingua.stages.graph.rl import rl_rows, rl_stages
from interlingua.stages.maps.encoder import HostRows, encoder_stage
from interlingua.stages.maps.oracle import oracle_stage
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import Stage


class Begun(NamedTuple):
    """What every recipe begins with: texts, hosts, their rows and maps, and what to learn from.

    Encoders are as fitted; where the AV's training changes them, `nla_stages` replaces them.
    """

    passages: Stage
    hosts: Mapping[str, Stage]
    rows: Mapping[str, HostRows[Stage]]
    encoders: Mapping[str, Stage]
    learning: LearningStages


def begun(recipe: Recipe) -> Begun:
    """The stages up to what both models learn from."""
    passages = passages_stage(recipe.passages)
    hosts = host_stages(recipe, passages)
    rows = {tag: rows_of(recipe, tag, host, passages) for tag, host in hosts.items()}
    learning = learning_stages(recipe, hosts, rows, passages)
    return Begun(passages, hosts, rows, encoder_stages(recipe, rows), learning)


def graph_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Every stage of the recipe: inputs first, expensive hosts before cheap ones."""
    passages, hosts, rows, encoders, learning = begun(recipe)
    oracles = []
    # Of a text so far no oracle knows what is true.
    if recipe.has_truth and not isinstance(recipe.read, TokenPositions):
        seed = recipe.fitting.seed
        oracles = [oracle_stage(host_rows, passages, seed=seed) for host_rows in rows.values()]
    nla, maps = nla_stages(recipe, learning, hosts, rows, encoders)
    unseen = unseen_of(recipe, hosts, passages)
    evaluated = evaluation_stages(recipe, maps, unseen, learning, start=None)
    rl_learning = rl_rows(recipe, hosts, passages)
    # Without a run nothing reads the rows of `rl`: they are not made.
    reinforced = tuple(rl_learning.rows.values()) if recipe.rl else ()
    start, evaluated_rl = evaluated[-1], []
    for run in recipe.rl:
        learned, again = rl_stages(recipe, run, maps, hosts, rows, rl_learning)
        evaluated_again = evaluation_stages(recipe, again, unseen, learning, start=start)
        reinforced = (*reinforced, *learned, *evaluated_again)
        evaluated_rl.append(evaluated_again[-1])
    stages = (
        passages,
        *hosts.values(),
        *(stage for host_rows in rows.values() for stage in host_rows),
        *learning.rows.values(),
        *unseen.rows.values(),
        *teacher_models([unseen.explanations]),
        unseen.explanations,
        *(encoders[tag] for tag in (recipe.anchor, *recipe.trained)),
        *nla,
        *evaluated,
        *reinforced,
        *oracles,
        page_of(recipe, evaluated_rl or [start], oracles, list(maps.familiarity.values())),
    )
    return joined([stages])


def joined(graphs: Iterable[Sequence[Stage]]) -> tuple[Stage, ...]:
    """One graph of several: stages with equal keys stand once, at their first place.

    What a stage needs and none names, such as the weights of a host, stands before it.
    """
    return _with_needed(stage for graph in graphs for stage in graph)


def nla_stages(
    recipe: Recipe,
    learning: LearningStages,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> tuple[tuple[Stage, ...], Maps]:
    """The stages of the pair, its maps and its bundle, inputs first; and the maps by host."""
    trunk = hosts[recipe.anchor]
    av = supervised_av(recipe, learning, trunk, rows, encoders)
    # The AR learns vectors of the space that the AV's training left, so its encoders come first.
    if tuned := tuned_encoder_stages(recipe, av, rows, encoders):
        encoders = encoder_stages(recipe, rows, tuned)
    ar = supervised_ar(recipe, learning, trunk, rows, encoders)
    pair = Pair(PairInputs(trunk, av, ar))
    fitted, maps = maps_stages(recipe, pair, hosts, rows, encoders)
    texts = (learning.av_texts, learning.ar_texts, learning.dev_texts)
    stages = (
        *teacher_models(texts),
        *texts,
        *filter(None, [av.inputs.start_model, av.inputs.start]),
        av,
        *tuned.values(),
        *(encoders[tag] for tag in recipe.held_out),  # fitted to what the AV's training left
        ar,
        *fitted,
    )
    return stages, maps


def added_host_stages(recipe: Recipe, host: HostSpec) -> tuple[Stage, ...]:
    """The stages that fit a host from elsewhere to the recipe's trained encoders, inputs first."""
    if host.tag in recipe.roles():
        raise ValueError(f"HostSpec.tag is {host.tag}; {recipe.name} has a host of that tag")
    passages, hosts, rows, encoders, learning = begun(recipe)
    with_it = replace(recipe, hosts=(*recipe.hosts, host), held_out=(*recipe.held_out, host.tag))
    own = rows_of(with_it, host.tag, host_stage_of(host, passages), passages)
    av = supervised_av(recipe, learning, hosts[recipe.anchor], rows, encoders)
    # The encoders that the pair is used with: those from before the AV's training span another
    # space.
    tuned = tuned_encoder_stages(recipe, av, rows, encoders)
    anchor, trained = trained_encoders(recipe, rows, tuned)
    targets = trained or {recipe.anchor: anchor}
    return needed_for("encoder", (encoder_stage(recipe.fitting, own, targets, anchor),))


def needed_for(kind: str, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a kind and all that they need, inputs first."""
    return _with_needed(stage for stage in stages if stage.kind == kind)


def _with_needed(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    needed: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key in needed:
            return
        for upstream in stage.upstream.values():
            visit(upstream)
        # Behind its inputs: the order of insertion is the order of building.
        needed[stage.key] = stage

    for stage in stages:
        visit(stage)
    return tuple(needed.values())
