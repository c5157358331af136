"""The stages behind a trained pair: its texts of `fit`, the decoders fitted on them, a bundle."""

from collections.abc import Mapping
from typing import NamedTuple

from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import Turn, VerbalizeSpec
from interlingua.specs.maps import FromExplanations
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.training import BundleSpec
from interlingua.stages.maps.decoder import (
    DecoderInputs,
    EncodedInputs,
    decoder_stage,
    encoded_decoder_stage,
)
from interlingua.stages.maps.encoder import HostRows
from interlingua.stages.maps.familiarity import familiarity_stage
from interlingua.stages.nla.bundle import bundle_stage
from interlingua.stages.nla.inputs import BundledInputs, BundleInputs, PairInputs, ServedPair
from interlingua.stages.nla.verbalize import VerbalizeInputs, verbalized_stage
from interlingua.stages.sft.stage import SUPERVISED
from interlingua.store.artifact import Stage


class Pair(NamedTuple):
    """The two models on their trunk, and which training they come from."""

    models: PairInputs[Stage] | ServedPair[Stage]
    phase: str = SUPERVISED

    @property
    def trained(self) -> PairInputs[Stage]:
        """The models of a pair that was trained here; a served one has none."""
        assert isinstance(self.models, PairInputs)
        return self.models

    def labels(self, *parts: str) -> list[str]:
        """The parts of a label, with the phase where that is not the first."""
        # Labels are for people: without the phase there would be two `decoder/TAG`.
        return [*parts] if self.phase == SUPERVISED else [*parts, self.phase]


class Fitted(NamedTuple):
    """A pair's texts of `fit`, and the decoders that are fitted on them, by host."""

    verbalized: Mapping[str, Stage]
    decoders: Mapping[str, Stage]


class Maps(NamedTuple):
    """The pair with the maps of every host, by tag."""

    pair: Pair
    encoders: Mapping[str, Stage]
    verbalized: Mapping[str, Stage]
    decoders: Mapping[str, Stage]
    familiarity: Mapping[str, Stage]


def maps_stages(
    recipe: Recipe,
    pair: Pair,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> tuple[tuple[Stage, ...], Maps]:
    """The pair's texts of `fit`, the decoders that are fitted on them, and the bundle."""
    verbalized, decoders = fitted_decoders(recipe, pair, rows, encoders)
    # Of the rows alone: the same whatever the pair was trained on.
    familiar = {
        tag: familiarity_stage(recipe.fitting, host, rows[tag]) for tag, host in hosts.items()
    }
    bundled = {
        tag: BundledInputs(host, rows[tag].fit, encoders[tag], decoders[tag], familiar[tag])
        for tag, host in hosts.items()
    }
    bundle = bundle_stage(
        BundleSpec(anchor=recipe.anchor, av=recipe.av, ar=recipe.ar, host_tags=tuple(hosts)),
        BundleInputs(pair.trained, bundled),
        pair.labels(recipe.name),
    )
    stages = (*verbalized.values(), *decoders.values(), *familiar.values(), bundle)
    return stages, Maps(pair, encoders, verbalized, decoders, familiar)


def fitted_decoders(
    recipe: Recipe,
    pair: Pair,
    rows: Mapping[str, HostRows[Stage]],
    encoders: Mapping[str, Stage],
) -> Fitted:
    """The pair's texts of `fit`, and the decoders that are fitted on them."""
    turn = Turn(
        predictor=Predictor.SAMPLED,
        split=Split.FIT,
        sampling=recipe.speaking.sampled(1),
        rows=None,
    )
    verbalized = {
        tag: verbalized_by(recipe, pair, {Split.FIT: own.fit}, encoders, turns=(turn,))
        for tag, own in rows.items()
    }
    decoders = {
        tag: _decoder(recipe, pair, rows[tag].fit, texts, encoders)
        for tag, texts in verbalized.items()
    }
    return Fitted(verbalized, decoders)


def _decoder(
    recipe: Recipe, pair: Pair, fit: Stage, texts: Stage, encoders: Mapping[str, Stage]
) -> Stage:
    """The way back into the host whose rows of `fit` and their texts these are."""
    tag, ridge = texts.spec.host_tag, recipe.fitting.ridge
    if isinstance(recipe.fitting.decoder, FromExplanations):
        return decoder_stage(ridge, DecoderInputs(fit, texts, encoders[tag]), pair.labels(tag))
    own = {one: encoders[one] for one in dict.fromkeys((recipe.anchor, tag))}
    return encoded_decoder_stage(
        recipe.anchor,
        recipe.av.injection.centring,
        ridge,
        EncodedInputs(fit, own),
        pair.labels(tag),
    )


def verbalized_by(
    recipe: Recipe,
    pair: Pair,
    rows: Mapping[Split, Stage],
    encoders: Mapping[str, Stage],
    *,
    turns: tuple[Turn, ...],
    passages: Stage | None = None,
) -> Stage:
    """The pair's texts and vectors of one host's rows of some splits, turn by turn."""
    read = next(iter(rows.values())).spec
    # Two inputs, not all encoders: another host of the recipe must not change a fingerprint.
    own_and_anchor = dict.fromkeys((recipe.anchor, read.host_tag))
    return verbalized_stage(
        VerbalizeSpec(
            host_tag=read.host_tag,
            block_index=read.block_indices[0],
            anchor=recipe.anchor,
            centring=recipe.av.injection.centring,
            turns=turns,
            seed=recipe.speaking.seed,
        ),
        VerbalizeInputs(
            pair.models, rows, {tag: encoders[tag] for tag in own_and_anchor}, passages
        ),
        pair.labels(read.host_tag),
    )
