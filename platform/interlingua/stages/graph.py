"""Recipe -> stages: the one place that knows the order. Knows no backend and runs nothing."""

from collections.abc import Mapping, Sequence

from interlingua.specs.extraction import AdoptedHostSpec, ExtractSpec, Pooled
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.stages.backend import name_of
from interlingua.stages.host_stages import (
    HostRows,
    adopted_stage,
    both_splits,
    encoder_stage,
    encoder_stages,
    host_stages,
    passages_stage,
    room_stage,
    rows_of,
    trained_encoders,
)
from interlingua.stages.nla_stages import (
    Lesson,
    Pair,
    ar_stage,
    av_stage,
    bundle_stage,
    decoder_stage,
    lesson_of,
    tuned_encoder_stages,
    verbalize_stage,
)
from interlingua.store.artifact import Stage


def graph_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Every stage of the recipe: inputs first, expensive hosts before cheap ones."""
    passages = passages_stage(recipe)
    hosts = host_stages(recipe)
    rows = {tag: rows_of(host, passages, recipe.read) for tag, host in hosts.items()}
    rooms = []
    if isinstance(recipe.read, Pooled):  # the oracle knows passages as a whole
        rooms = [room_stage(host_rows, passages) for host_rows in rows.values()]
    encoders = encoder_stages(recipe, rows)
    lesson = lesson_of(recipe, hosts, rows, passages)
    return (
        passages,
        *hosts.values(),
        *(stage for host_rows in rows.values() for stage in host_rows),
        *lesson.rows.values(),
        *encoders.values(),
        *nla_stages(recipe, lesson, hosts, rows, encoders),
        *rooms,
    )


def nla_stages(
    recipe: Recipe,
    lesson: Lesson,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows],
    encoders: Mapping[str, Stage],
) -> tuple[Stage, ...]:
    """The pair, the maps that go with it, and the bundle."""
    trunk = hosts[recipe.anchor]
    av = av_stage(recipe, lesson, trunk, rows, encoders)
    tuned: dict[str, Stage] = {}
    if recipe.av.encoder_learning_rate is not None:
        tuned = tuned_encoder_stages(recipe, av, rows, encoders)
        encoders = encoder_stages(recipe, rows, tuned)
    ar = ar_stage(recipe, lesson, trunk, rows, encoders)
    pair = Pair(trunk, av, ar)
    verbalized = {tag: verbalize_stage(recipe, pair, rows[tag], tag, encoders) for tag in hosts}
    decoders = {tag: decoder_stage(rows[tag], verbalized[tag], encoders[tag]) for tag in hosts}
    return (
        lesson.av_texts,
        lesson.ar_texts,
        lesson.dev_texts,
        av,
        *tuned.values(),
        *(encoders[tag] for tag in recipe.held_out if tuned),
        ar,
        *verbalized.values(),
        *decoders.values(),
        bundle_stage(recipe, pair, hosts, rows, encoders, decoders),
    )


def added_host_stages(
    recipe: Recipe, host: AdoptedHostSpec, *, block_index: int, max_tokens: int, dtype: str
) -> tuple[Stage, ...]:
    """What it takes to fit a host from elsewhere to the recipe's trained ones."""
    if host.tag in recipe.roles():
        raise ValueError(f"AdoptedHostSpec.tag is {host.tag}; {recipe.name} has a host of that tag")
    passages = passages_stage(recipe)
    read = ExtractSpec(
        host_tag=host.tag,
        block_indices=(block_index,),
        read=Pooled(include_first=False),
        max_tokens=max_tokens,
        dtype=dtype,
        splits=(Split.FIT,),
    )
    own = both_splits(adopted_stage(host), passages, read)
    rows = {
        tag: rows_of(stage, passages, recipe.read) for tag, stage in host_stages(recipe).items()
    }
    anchor, trained = trained_encoders(recipe, rows)
    targets = trained or {recipe.anchor: anchor}
    return needed_for("encoder", (encoder_stage(own, targets, anchor),))


def needed_for(kind: str, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a kind and all that they need, inputs first."""
    needed: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        for upstream in stage.inputs.values():
            visit(upstream)
        needed.setdefault(name_of(stage), stage)

    for stage in stages:
        if stage.kind == kind:
            visit(stage)
    return tuple(needed.values())
