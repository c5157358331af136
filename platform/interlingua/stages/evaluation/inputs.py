"""What scoring needs of a host: its rows and their texts, of `fit` and of the evaluated split."""

from collections.abc import Mapping
from typing import Generic, NamedTuple

from interlingua.store.inputs import Member


class ScoreInputs(NamedTuple, Generic[Member]):
    """One host, and the texts that no AV wrote; the encoders are its own and the anchor's."""

    fit: Member
    fit_texts: Member
    rows: Member
    texts: Member
    reconstructed: Member
    decoder: Member
    encoders: Mapping[str, Member]
    passages: Member


class MethodsHost(NamedTuple, Generic[Member]):
    """One host as methods are compared on it."""

    fit: Member
    fit_texts: Member
    rows: Member
    texts: Member
    encoder: Member
