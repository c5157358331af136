"""Reads and writes `nla_meta.yaml` in the public schema. Knows neither tokenizers nor precedence.

Both public spellings are read (av/actor, ar/critic); av/ar is written. Keys that we do not know
are kept and written back, except under our own key, where they are an error.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from interlingua.store.atomic import write_atomically
from interlingua.store.contract.extension import OUR_KEY, extension_tree, read_extension
from interlingua.store.contract.sections import Section, merged
from interlingua.store.contract.statement import (
    DatasetSidecar,
    MarkerTokens,
    ModelSidecar,
    Role,
    Scale,
    norm_of,
)

FILE_NAME = "nla_meta.yaml"
MODEL_KIND = "nla_model"
DATASET_KIND = "nla_dataset"
READ_VERSIONS = {MODEL_KIND: (1, 2), DATASET_KIND: (1,)}  # the last is the one written
ROLES = {"av": Role.AV, "actor": Role.AV, "ar": Role.AR, "critic": Role.AR}
RAW_WORDS = (None, "raw", "none")

Sidecar = ModelSidecar | DatasetSidecar


class SidecarError(ValueError):
    """A sidecar is missing, is no YAML, or breaks its schema; the message names the file."""


def sidecar_path(target: Path | str) -> Path:
    """The path of the sidecar of a checkpoint folder or of a parquet; `@[a:b]` is ignored."""
    path = Path(re.sub(r"@\[-?\d*:-?\d*\]$", "", str(target)))
    if path.name == FILE_NAME or path.name.endswith(f".{FILE_NAME}"):
        return path
    # What has no suffix and is not there yet will be a folder.
    if path.is_dir() or not (path.suffix or path.exists()):
        return path / FILE_NAME
    return path.with_name(f"{path.name}.{FILE_NAME}")


def read_sidecar(target: Path | str) -> Sidecar:
    """The sidecar of a checkpoint folder or of a parquet."""
    path = sidecar_path(target)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(tree, Mapping):
            raise ValueError(f"it holds {type(tree).__name__}, expected a mapping")
        return _sidecar(Section(tree))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SidecarError(f"no usable sidecar at {path}: {error}") from error


def write_sidecar(sidecar: Sidecar, target: Path | str) -> Path:
    """The path of the sidecar, written whole or not at all."""
    path = sidecar_path(target)
    tree = _model_tree(sidecar) if isinstance(sidecar, ModelSidecar) else _dataset_tree(sidecar)
    # ASCII with escapes: PyYAML reads U+0085 and its like back as line breaks
    text = yaml.safe_dump(merged(tree, sidecar.other), sort_keys=False, allow_unicode=False)
    with write_atomically(path) as file:
        file.write(text.encode("ascii"))
    return path


def _sidecar(root: Section) -> Sidecar:
    kind = root.need(str, "kind")
    if kind not in READ_VERSIONS:
        raise ValueError(f"kind is {kind!r}; allowed: {', '.join(READ_VERSIONS)}")
    version = root.need(int, "schema_version")
    if version not in READ_VERSIONS[kind]:
        raise ValueError(f"{kind} has schema_version {version}; readable: {READ_VERSIONS[kind]}")
    return _model(root) if kind == MODEL_KIND else _dataset(root)


def _model(root: Section) -> ModelSidecar:
    role = root.need(str, "role")
    if role not in ROLES:
        raise ValueError(f"role is {role!r}; allowed: {', '.join(ROLES)}")
    # num_hidden_layers is the name of schema 1 and means K too, not the number of blocks. K may
    # stand in two places; where they differ the AR would be cut behind another block.
    critic = root.section("critic", "ar")
    inner = critic.take(int, "extraction_layer_index", "num_hidden_layers")
    outer = root.take(int, "extraction_layer_index")
    if None not in (inner, outer) and inner != outer:
        raise ValueError(f"extraction_layer_index is {outer}, but {inner} in the AR's section")
    shared = _shared(root, root.section("extraction"))
    return ModelSidecar(
        role=ROLES[role],
        stage=root.take(str, "stage"),
        base_checkpoint=root.take(str, "base_checkpoint"),
        d_model=root.need(int, "d_model"),
        block_index=outer if inner is None else inner,
        **shared,
        other=root.rest(),
    )


def _dataset(root: Section) -> DatasetSidecar:
    extraction = root.section("extraction")
    norm = extraction.take(str, "norm")
    if norm not in RAW_WORDS:
        raise ValueError(f"extraction.norm is {norm!r}; vectors are stored raw, so it must be none")
    shared = _shared(root, extraction)
    return DatasetSidecar(
        dataset_id=root.take(str, "dataset_id"),
        stage=root.need(str, "stage"),
        row_count=root.take(int, "row_count"),
        base_model=extraction.take(str, "base_model"),
        d_model=extraction.need(int, "d_model"),
        block_index=extraction.take(int, "layer_index"),
        **shared,
        other=root.rest(),
    )


def _shared(root: Section, extraction: Section) -> dict[str, Any]:
    """The fields of a Statement that both kinds store alike."""
    tokens, templates = root.section("tokens"), root.section("prompt_templates")
    return {
        "injection_scale": _scale(extraction, "injection_scale"),
        "mse_scale": _scale(extraction, "mse_scale"),
        "tokens": _tokens(tokens),
        "ar_suffix_ids": _suffix(tokens),
        "av_template": templates.take(str, "av", "actor"),
        "ar_template": templates.take(str, "ar", "critic"),
        "extension": read_extension(root),
    }


def _scale(extraction: Section, name: str) -> Scale | None:
    """The scale; None only where the key is absent, because null means raw vectors."""
    if not extraction.has(name):
        return None
    value = extraction.pop(name)
    if value in RAW_WORDS:
        return "raw"
    if value == "sqrt_d_model":
        return "sqrt_d"
    if isinstance(value, bool) or not isinstance(value, int | float):
        allowed = "null, raw, none, sqrt_d_model or a number"
        raise ValueError(f"{extraction.at(name)} is {value!r}; it must be {allowed}")
    return float(value)


def _tokens(tokens: Section) -> MarkerTokens | None:
    keys = ("injection_char", "injection_token_id")
    if not tokens.has(*keys):
        return None
    return MarkerTokens(
        marker=tokens.need(str, "injection_char"),
        marker_id=tokens.need(int, "injection_token_id"),
        left_id=tokens.need(int, "injection_left_neighbor_id"),
        right_id=tokens.need(int, "injection_right_neighbor_id"),
    )


def _suffix(tokens: Section) -> tuple[int, ...] | None:
    ids = tokens.take(list, "critic_suffix_ids")
    if ids is None:
        return None
    if any(type(item) is not int for item in ids):
        raise ValueError(f"{tokens.at('critic_suffix_ids')} is {ids!r}; it must be a list of int")
    return tuple(ids)


def _model_tree(sidecar: ModelSidecar) -> dict[str, object]:
    critic = {"extraction_layer_index": sidecar.block_index}
    is_ar = sidecar.role is Role.AR and sidecar.block_index is not None
    return {
        "kind": MODEL_KIND,
        "schema_version": READ_VERSIONS[MODEL_KIND][-1],
        "role": sidecar.role.value,
        **_stated(stage=sidecar.stage, base_checkpoint=sidecar.base_checkpoint),
        **_stated(d_model=sidecar.d_model, extraction_layer_index=sidecar.block_index),
        # the public readers of model sidecars expect numbers here, so sqrt_d is written out
        "extraction": _scales_tree(sidecar, d_model=sidecar.d_model),
        **_shared_tree(sidecar),
        **({"critic": critic} if is_ar else {}),
    }


def _dataset_tree(sidecar: DatasetSidecar) -> dict[str, object]:
    extraction = {
        **_stated(base_model=sidecar.base_model, d_model=sidecar.d_model),
        **_stated(layer_index=sidecar.block_index),
        "norm": "none",
        **_scales_tree(sidecar, d_model=None),
    }
    return {
        "kind": DATASET_KIND,
        "schema_version": READ_VERSIONS[DATASET_KIND][-1],
        **_stated(dataset_id=sidecar.dataset_id, stage=sidecar.stage, row_count=sidecar.row_count),
        "extraction": extraction,
        **_shared_tree(sidecar),
    }


def _shared_tree(sidecar: Sidecar) -> dict[str, object]:
    tokens: dict[str, object] = {}
    if sidecar.tokens is not None:
        tokens = {
            "injection_char": sidecar.tokens.marker,
            "injection_token_id": sidecar.tokens.marker_id,
            "injection_left_neighbor_id": sidecar.tokens.left_id,
            "injection_right_neighbor_id": sidecar.tokens.right_id,
        }
    if sidecar.ar_suffix_ids is not None:
        tokens["critic_suffix_ids"] = list(sidecar.ar_suffix_ids)
    templates = _stated(av=sidecar.av_template, ar=sidecar.ar_template)
    ours = {} if sidecar.extension is None else {OUR_KEY: extension_tree(sidecar.extension)}
    return {"tokens": tokens, "prompt_templates": templates, **ours}


def _scales_tree(sidecar: Sidecar, *, d_model: int | None) -> dict[str, object]:
    scales = _stated(injection_scale=sidecar.injection_scale, mse_scale=sidecar.mse_scale)
    words = {
        "raw": None,
        "sqrt_d": "sqrt_d_model" if d_model is None else norm_of("sqrt_d", d_model),
    }
    return {name: words[s] if isinstance(s, str) else s for name, s in scales.items()}


def _stated(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
