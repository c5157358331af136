"""The content of an `nla_meta.yaml`, and one contract of several. Knows no YAML, no tokenizer.

`None` in a statement means that the source does not say. The public schema has no words for the
injection rule, the slots, the affine maps or the readout: those stand in our `Extension`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeVar

from interlingua.specs.checks import check_not_negative, check_positive, check_share
from interlingua.specs.injection import BosRule, Centring, InjectionRule, Readout, Replace

MARKER_FIELD = "{injection_char}"
HOST_FIELD = "{host_tag}"
EXPLANATION_FIELD = "{explanation}"

Scale = float | Literal["sqrt_d", "raw"]
T = TypeVar("T")


class ContractMismatch(ValueError):
    """Two parties that must agree (checkpoint, data set, tokenizer, files) do not."""


class Role(StrEnum):
    """The one of the two models that a checkpoint holds."""

    AV = "av"
    AR = "ar"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerTokens:
    """The marker and its fixed neighbours, as text and as token ids."""

    marker: str
    marker_id: int
    left_id: int
    right_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineFile:
    """The file of the per-slot affine maps, relative to the sidecar's folder."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """The facts that the public schema cannot state; stored under the one key `interlingua`."""

    injection_rule: InjectionRule
    num_slots: int
    marker_is_added: bool  # the marker is no character of the trunk's own vocabulary
    centring: Centring
    affine: AffineFile | None
    ar_readout: Readout
    ar_bos: BosRule
    train_variance: float | None  # the `train` denominator of fve_centred
    tokenizer_sha256: str | None
    chat_template_sha256: str | None

    def __post_init__(self) -> None:
        check_positive(self, num_slots=self.num_slots)
        if self.train_variance is not None:
            check_share(self, train_variance=self.train_variance)


RELEASED = Extension(  # how every public release works that says nothing of it
    injection_rule=Replace(),
    num_slots=1,
    marker_is_added=False,
    centring=Centring.NONE,
    affine=None,
    ar_readout=Readout.RAW,
    ar_bos=BosRule.TOKENIZER_DEFAULT,
    train_variance=None,
    tokenizer_sha256=None,
    chat_template_sha256=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The facts of an NLA that one source (arguments, a checkpoint, a data set) states."""

    d_model: int | None = None
    block_index: int | None = None
    injection_scale: Scale | None = None
    mse_scale: Scale | None = None
    tokens: MarkerTokens | None = None
    ar_suffix_ids: tuple[int, ...] | None = None
    av_template: str | None = None
    ar_template: str | None = None
    extension: Extension | None = None

    def __post_init__(self) -> None:
        if self.d_model is not None:
            check_positive(self, d_model=self.d_model)
        if self.block_index is not None:
            check_not_negative(self, block_index=self.block_index)
        for name, scale in (
            ("injection_scale", self.injection_scale),
            ("mse_scale", self.mse_scale),
        ):
            is_number = isinstance(scale, int | float) and 0 < scale < math.inf
            if not is_number and scale not in (None, "sqrt_d", "raw"):
                allowed = "sqrt_d, raw or a positive number"
                raise ValueError(f"{type(self).__name__}.{name} is {scale!r}; it must be {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSidecar(Statement):
    """The sidecar of a checkpoint (`kind: nla_model`); `other` is what we do not interpret."""

    role: Role
    stage: str | None = None
    base_checkpoint: str | None = None
    other: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSidecar(Statement):
    """The sidecar of a parquet (`kind: nla_dataset`); `other` is what we do not interpret."""

    stage: str
    dataset_id: str | None = None
    row_count: int | None = None
    base_model: str | None = None
    other: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The facts that training, sampling and rewards share: resolved from files, or from specs."""

    d_model: int
    block_index: int | None
    injection_scale: Scale | None
    mse_scale: Scale
    tokens: MarkerTokens
    ar_suffix_ids: tuple[int, ...] | None
    av_template: str | None
    ar_template: str | None
    extension: Extension

    def injection_norm(self) -> float | None:
        """The L2 norm that injected vectors get; None where they stay raw."""
        if self.injection_scale is None:
            raise ContractMismatch(
                "no source states injection_scale, and there is no safe default (symptom of a "
                "wrong one: fluent but unrelated explanations); give it explicitly"
            )
        return norm_of(self.injection_scale, self.d_model)

    def mse_norm(self) -> float | None:
        """The L2 norm at which the AR's loss compares vectors; None where they stay raw."""
        return norm_of(self.mse_scale, self.d_model)

    def av_message(self) -> str:
        """The AV's user message with the marker run in it, before the chat template."""
        return av_message(self.av_template, self.tokens.marker, self.extension.num_slots)

    def ar_prompt(self, explanation: str) -> str:
        """The AR's whole prompt for an explanation; it takes no chat template."""
        return _filled("AR", self.ar_template, EXPLANATION_FIELD, explanation)


def av_message(template: str | None, marker: str, num_slots: int) -> str:
    """The template with a run of markers in it; any other field of it stays."""
    return _filled("AV", template, MARKER_FIELD, marker * num_slots)


def norm_of(scale: Scale, d_model: int) -> float | None:
    """The L2 norm that a scale means at width d_model; None for raw vectors."""
    if scale == "raw":
        return None
    return math.sqrt(d_model) if scale == "sqrt_d" else float(scale)


def resolve_contract(
    *,
    explicit: Statement | None = None,
    checkpoint: Statement | None = None,
    dataset: Statement | None = None,
) -> Contract:
    """The one contract: explicit argument > checkpoint sidecar > data set sidecar.

    A scale and the extension are choices, so the first source wins; a checkpoint that says nothing
    of the extension was trained by the released one, whatever the data set says. The rest are
    facts: where checkpoint and data set contradict each other, only an explicit argument decides.
    """
    silent = Statement()
    e, c, d = explicit or silent, checkpoint or silent, dataset or silent
    injection_scale: Scale | None = _first(e.injection_scale, c.injection_scale, d.injection_scale)
    trained_by = RELEASED if checkpoint is not None else None
    # An absent mse_scale has a default. For injection_scale none is safe, so that None stays None
    # and is an error where an AV asks for it (`injection_norm`).
    return Contract(
        d_model=_stated("d_model", _agreed("d_model", e.d_model, c.d_model, d.d_model)),
        block_index=_agreed("block_index", e.block_index, c.block_index, d.block_index),
        injection_scale=injection_scale,
        mse_scale=_first(e.mse_scale, c.mse_scale, d.mse_scale) or "sqrt_d",
        tokens=_stated("tokens", _agreed("tokens", e.tokens, c.tokens, d.tokens)),
        ar_suffix_ids=_agreed("ar_suffix_ids", e.ar_suffix_ids, c.ar_suffix_ids, d.ar_suffix_ids),
        av_template=_agreed("av_template", e.av_template, c.av_template, d.av_template),
        ar_template=_agreed("ar_template", e.ar_template, c.ar_template, d.ar_template),
        extension=_first(e.extension, c.extension, trained_by, d.extension) or RELEASED,
    )


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _agreed(name: str, explicit: T | None, checkpoint: T | None, dataset: T | None) -> T | None:
    if explicit is None and checkpoint is not None and dataset not in (None, checkpoint):
        raise ContractMismatch(
            f"{name}: the checkpoint says {checkpoint!r}, the data set {dataset!r} (symptom of "
            "going on: trained under one prompt, sampled under another); give it explicitly"
        )
    return _first(explicit, checkpoint, dataset)


def _stated(name: str, value: T | None) -> T:
    if value is None:
        raise ContractMismatch(f"no source states {name}; give a sidecar that does, or give it")
    return value


def _filled(model: str, template: str | None, name: str, text: str) -> str:
    if template is None:
        raise ContractMismatch(f"no source states the {model} template; give a sidecar that does")
    if template.count(name) != 1:
        raise ContractMismatch(
            f"the {model} template holds {name} {template.count(name)} times, expected once: "
            f"{template!r}"
        )
    # Not str.format: templates hold other fields, and texts may hold braces.
    return template.replace(name, text)
