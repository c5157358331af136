"""Recipe -> stages: the one place that knows the order. Knows no backend and runs nothing."""

from collections.abc import Iterable, Mapping, Sequence

from interlingua.specs.extraction import AdoptedHostSpec, ExtractSpec, Pooled
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.stages.graph.evaluation import evaluation_stages, report_stage, unseen_of
from interlingua.stages.graph.hosts import (
    HostRows,
    adopted_stage,
    both_splits,
    encoder_stage,
    encoder_stages,
    host_stages,
    oracle_stage,
    passages_stage,
    rows_of,
    trained_encoders,
)
from interlingua.stages.graph.learning import (
    LearningStages,
    ar_stage,
    av_stage,
    learning_stages,
    tuned_encoder_stages,
)
from interlingua.stages.graph.nla import Maps, Pair, maps_stages
from interlingua.stages.graph.rl import learning_inputs, rl_stages
from interlingua.store.artifact import Stage


def graph_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Every stage of the recipe: inputs first, expensive hosts before cheap ones."""
    passages = passages_stage(recipe)
    hosts = host_stages(recipe)
    rows = {tag: rows_of(recipe, host, passages) for tag, host in hosts.items()}
    oracles = []
    if isinstance(recipe.read, Pooled):  # the oracle knows passages as a whole
        oracles = [oracle_stage(recipe, host_rows, passages) for host_rows in rows.values()]
    encoders = encoder_stages(recipe, rows)
    learning = learning_stages(recipe, hosts, rows, passages)
    nla, maps = nla_stages(recipe, learning, hosts, rows, encoders)
    unseen = unseen_of(recipe, hosts, passages)
    evaluated = evaluation_stages(recipe, maps, unseen, start=None)
    inputs = learning_inputs(recipe, hosts, passages)
    reinforced = tuple(inputs.values())[1:] if recipe.rl else ()  # the passages stand above
    start, evaluated_rl = evaluated[-1], []
    for run in recipe.rl:
        learned, again = rl_stages(recipe, run, maps, hosts, rows, inputs)
        looked_at = evaluation_stages(recipe, again, unseen, start=start)
        reinforced = (*reinforced, *learned, *looked_at)
        evaluated_rl.append(looked_at[-1])
    stages = (
        passages,
        *hosts.values(),
        *(stage for host_rows in rows.values() for stage in host_rows),
        *learning.rows.values(),
        *unseen.rows.values(),
        unseen.taught,
        *encoders.values(),
        *nla,
        *evaluated,
        *reinforced,
        *oracles,
        report_stage(recipe, evaluated_rl or [start], oracles),
    )
    return joined([stages])


def joined(graphs: Iterable[Sequence[Stage]]) -> tuple[Stage, ...]:
    """One graph of several: what is equal in them stands once, whatever else is called the same."""
    return tuple({stage.key: stage for graph in graphs for stage in graph}.values())


def nla_stages(
    recipe: Recipe,
    learning: LearningStages,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> tuple[tuple[Stage, ...], Maps]:
    """The stages of the pair, of the maps that go with it, and of the bundle; and the maps."""
    trunk = hosts[recipe.anchor]
    av = av_stage(recipe, learning, trunk, rows, encoders)
    if tuned := tuned_encoder_stages(recipe, av, rows, encoders):
        encoders = encoder_stages(recipe, rows, tuned)
    ar = ar_stage(recipe, learning, trunk, rows, encoders)
    pair = Pair(trunk, av, ar)
    fitted, maps = maps_stages(recipe, pair, hosts, rows, encoders)
    stages = (
        learning.av_texts,
        learning.ar_texts,
        learning.dev_texts,
        av,
        *tuned.values(),
        *(encoders[tag] for tag in recipe.held_out if tuned),
        ar,
        *fitted,
    )
    return stages, maps


def added_host_stages(
    recipe: Recipe, host: AdoptedHostSpec, *, block_index: int, max_tokens: int, dtype: str
) -> tuple[Stage, ...]:
    """What it takes to fit a host from elsewhere to the recipe's trained ones, as they are used."""
    if host.tag in recipe.roles():
        raise ValueError(f"AdoptedHostSpec.tag is {host.tag}; {recipe.name} has a host of that tag")
    passages = passages_stage(recipe)
    read = ExtractSpec(
        host_tag=host.tag,
        block_indices=(block_index,),
        read=recipe.read,
        max_tokens=max_tokens,
        dtype=dtype,
        splits=(Split.FIT,),
    )
    own = both_splits(adopted_stage(host), passages, read)
    hosts = host_stages(recipe)
    rows = {tag: rows_of(recipe, stage, passages) for tag, stage in hosts.items()}
    learning, encoders = (
        learning_stages(recipe, hosts, rows, passages),
        encoder_stages(recipe, rows),
    )
    av = av_stage(recipe, learning, hosts[recipe.anchor], rows, encoders)
    tuned = tuned_encoder_stages(recipe, av, rows, encoders)
    anchor, trained = trained_encoders(recipe, rows, tuned)
    targets = trained or {recipe.anchor: anchor}
    return needed_for("encoder", (encoder_stage(recipe.fitting, own, targets, anchor),))


def needed_for(kind: str, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a kind and all that they need, inputs first."""
    needed: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        for upstream in stage.inputs.values():
            visit(upstream)
        needed.setdefault(stage.key, stage)

    for stage in stages:
        if stage.kind == kind:
            visit(stage)
    return tuple(needed.values())
