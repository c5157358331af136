"""Inputs of scoring: a host's rows and their texts, of `fit` and of the evaluated split."""

from collections.abc import Mapping
from typing import Generic, NamedTuple

from interlingua.stages.nla.inputs import PairInputs, WriterInputs
from interlingua.store.inputs import Member


class ScoreInputs(NamedTuple, Generic[Member]):
    """One host, and the texts that no AV wrote; the encoders are its own and the anchor's.

    A host that nothing is learned from has no rows of `av_sft`, and `nearest` is None.
    """

    fit: Member
    fit_texts: Member
    rows: Member
    texts: Member
    reconstructed: Member
    decoder: Member
    encoders: Mapping[str, Member]
    passages: Member
    nearest: Member | None


class LikelihoodInputs(NamedTuple, Generic[Member]):
    """The AV, one host's rows, the teacher's explanations, and which passages are of one document.

    The encoders are the host's and the anchor's.
    """

    writer: WriterInputs[Member]
    rows: Member
    explanations: Member
    encoders: Mapping[str, Member]
    passages: Member


class MethodsHost(NamedTuple, Generic[Member]):
    """One host on which methods are compared: its rows and their texts, its maps."""

    fit: Member
    fit_texts: Member
    rows: Member
    texts: Member
    encoder: Member
    decoder: Member


class MethodsInputs(NamedTuple, Generic[Member]):
    """Every host that the methods are compared on, by tag, and the documents of passages."""

    hosts: Mapping[str, MethodsHost[Member]]
    passages: Member


class CellHost(NamedTuple, Generic[Member]):
    """A host's rows of the split, the AV's texts of them, and its encoder."""

    rows: Member
    texts: Member
    encoder: Member


class CellInputs(NamedTuple, Generic[Member]):
    """The AV that is measured with the AR that is not trained with it, and the hosts by tag."""

    pair: PairInputs[Member]
    explanations: Member
    hosts: Mapping[str, CellHost[Member]]
