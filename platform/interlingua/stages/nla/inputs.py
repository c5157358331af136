"""Inputs of the stages of a trained pair: the pair itself, and the maps and rows of its hosts."""

from collections.abc import Mapping
from typing import Generic, NamedTuple

from interlingua.store.inputs import Member


class PairInputs(NamedTuple, Generic[Member]):
    """The two models and the trunk they stand on.

    One artifact of reinforcement learning is both: it holds both models' weights.
    """

    trunk: Member
    av: Member
    ar: Member


class WriterInputs(NamedTuple, Generic[Member]):
    """The AV alone, and the trunk it stands on."""

    trunk: Member
    av: Member


class ReaderInputs(NamedTuple, Generic[Member]):
    """The AR alone, and the trunk it stands on."""

    trunk: Member
    ar: Member


class ServedPair(NamedTuple, Generic[Member]):
    """A pair behind a URL, as its server described it."""

    served: Member


class BundledInputs(NamedTuple, Generic[Member]):
    """A host of a bundle: the model, rows that state how it is read, its maps and their reach."""

    host: Member
    rows: Member
    encoder: Member
    decoder: Member
    familiarity: Member


class BundleInputs(NamedTuple, Generic[Member]):
    """All that a bundle brings together."""

    pair: PairInputs[Member]
    hosts: Mapping[str, BundledInputs[Member]]
