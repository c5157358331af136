"""The stages from a trained pair to a bundle. Knows how one is made from its inputs."""

from collections.abc import Mapping
from typing import NamedTuple

from interlingua.specs.evaluation import Arm
from interlingua.specs.extraction import ExtractSpec
from interlingua.specs.generation import Turn, VerbalizeSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.training import (
    BundleSpec,
    DecoderSpec,
)
from interlingua.stages.graph.hosts import (
    HostRows,
)
from interlingua.stages.graph.runs import (
    run_bundle,
    run_decoder,
    run_verbalize,
)
from interlingua.store.artifact import Stage

SUPERVISED = "sft"


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
        tag: decoder_stage(recipe, pair, rows[tag], verbalized[tag], encoders[tag]) for tag in hosts
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


def decoder_stage(
    recipe: Recipe, pair: Pair, own: HostRows, verbalized: Stage, encoder: Stage
) -> Stage:
    """The map back into one host."""
    spec: VerbalizeSpec = verbalized.spec
    return Stage(
        kind="decoder",
        label="-".join(pair.labels(spec.host_tag)),
        spec=DecoderSpec(
            host_tag=spec.host_tag, block_index=spec.block_index, ridge=recipe.fitting.ridge
        ),
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
