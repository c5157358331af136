"""Public sidecars are read alike in every spelling and kept whole on a round trip."""

import json
import math
from pathlib import Path

import pytest
import yaml

from interlingua.specs.injection import BosRule, Centring, Readout, Replace
from interlingua.store.contract.file import (
    SidecarError,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)
from interlingua.store.contract.statement import (
    RELEASED,
    ContractMismatch,
    DatasetSidecar,
    MarkerTokens,
    ModelSidecar,
    Role,
    resolve_contract,
)

AR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
AV_TEMPLATE = "Here is the vector:\n\n<concept>{injection_char}</concept>\n\nPlease explain."
QWEN_TOKENS = MarkerTokens(marker="\u320e", marker_id=149705, left_id=29, right_id=522)
QWEN_SUFFIX = (1318, 29, 366, 1708, 29)

PUBLIC_MODEL = f"""\
kind: nla_model
schema_version: 2
role: av
stage: rl
base_checkpoint: Qwen/Qwen2.5-7B-Instruct
d_model: 3584
extraction_layer_index: 20
extraction:
  injection_scale: 150.0
  mse_scale: 59.86651818838306
tokens:
  injection_char: \u320e
  injection_token_id: 149705
  injection_left_neighbor_id: 29
  injection_right_neighbor_id: 522
  critic_suffix_ids: [1318, 29, 366, 1708, 29]
prompt_templates:
  av: {json.dumps(AV_TEMPLATE)}
  ar: '{AR_TEMPLATE}'
trained_on: [rl_qwen_L20]
parent_checkpoints: []
created_at: 2025-11-02T10:11:12+00:00
training:
  lr: 1.0e-05
"""
CODE_MODEL = (
    PUBLIC_MODEL.replace("role: av", "role: actor")
    .replace("\n  av:", "\n  actor:")
    .replace("\n  ar:", "\n  critic:")
)
PUBLIC_DATASET = f"""\
kind: nla_dataset
schema_version: 1
dataset_id: ar_sft_qwen_L20_0a1b2c3d
stage: ar_sft
row_count: 250000
extraction:
  base_model: Qwen/Qwen2.5-7B-Instruct
  d_model: 3584
  layer_index: 20
  norm: none
  corpus: ultra-fineweb
  corpus_slice: {{start: 0, length: 100000}}
  positions_per_doc: 10
tokens:
  injection_char: "\\u320E"
  injection_token_id: 149705
  injection_left_neighbor_id: 29
  injection_right_neighbor_id: 522
  critic_suffix_ids: [1318, 29, 366, 1708, 29]
prompt_templates: {{ar: '{AR_TEMPLATE}'}}
git_commit: 0a1b2c3
"""


def _read(folder: Path, text: str) -> ModelSidecar | DatasetSidecar:
    (folder / "nla_meta.yaml").write_text(text, encoding="utf-8")
    return read_sidecar(folder)


def test_a_public_model_sidecar_is_read(tmp_path: Path) -> None:
    sidecar = _read(tmp_path, PUBLIC_MODEL)
    assert isinstance(sidecar, ModelSidecar)
    assert (sidecar.role, sidecar.stage, sidecar.d_model) == (Role.AV, "rl", 3584)
    assert sidecar.block_index == 20
    assert sidecar.injection_scale == 150.0
    assert sidecar.mse_scale == pytest.approx(math.sqrt(3584))
    assert sidecar.tokens == QWEN_TOKENS
    assert sidecar.ar_suffix_ids == QWEN_SUFFIX
    assert (sidecar.av_template, sidecar.ar_template) == (AV_TEMPLATE, AR_TEMPLATE)
    assert sidecar.extension is None
    assert set(sidecar.other) == {"trained_on", "parent_checkpoints", "created_at", "training"}


def test_both_spellings_read_alike(tmp_path: Path) -> None:
    assert CODE_MODEL != PUBLIC_MODEL
    assert _read(tmp_path, CODE_MODEL) == _read(tmp_path, PUBLIC_MODEL)


@pytest.mark.parametrize("section", ["critic", "ar"])
@pytest.mark.parametrize("key", ["extraction_layer_index", "num_hidden_layers"])
def test_the_ar_states_k_under_two_names(tmp_path: Path, section: str, key: str) -> None:
    text = PUBLIC_MODEL.replace("role: av", "role: critic")
    text = text.replace("extraction_layer_index: 20", f"{section}: {{{key}: 20}}")
    sidecar = _read(tmp_path, text.replace("schema_version: 2", "schema_version: 1"))
    assert isinstance(sidecar, ModelSidecar)
    assert (sidecar.role, sidecar.block_index) == (Role.AR, 20)
    with pytest.raises(SidecarError, match="is 20, but 21 in the AR's section"):
        _read(tmp_path, PUBLIC_MODEL + f"{section}: {{{key}: 21}}\n")


def test_a_public_dataset_sidecar_is_read(tmp_path: Path) -> None:
    parquet = tmp_path / "ar_sft_shuf.parquet"
    path = sidecar_path(parquet)
    assert path.name == "ar_sft_shuf.parquet.nla_meta.yaml"
    path.write_text(PUBLIC_DATASET, encoding="utf-8")
    sidecar = read_sidecar(f"{parquet}@[0:5000]")
    assert isinstance(sidecar, DatasetSidecar)
    assert (sidecar.stage, sidecar.row_count, sidecar.block_index) == ("ar_sft", 250000, 20)
    assert (sidecar.injection_scale, sidecar.mse_scale) == (None, None)
    assert sidecar.tokens == QWEN_TOKENS
    assert sidecar.other["extraction"] == {
        "corpus": "ultra-fineweb",
        "corpus_slice": {"start": 0, "length": 100000},
        "positions_per_doc": 10,
    }


@pytest.mark.parametrize("text", [PUBLIC_MODEL, CODE_MODEL, PUBLIC_DATASET])
def test_foreign_keys_survive_a_round_trip(tmp_path: Path, text: str) -> None:
    sidecar = _read(tmp_path, text)
    write_sidecar(sidecar, tmp_path)
    assert read_sidecar(tmp_path) == sidecar
    before, after = yaml.safe_load(text), yaml.safe_load((tmp_path / "nla_meta.yaml").read_text())
    spelled_alike = {key for key in before if key not in ("role", "prompt_templates")}
    assert {key: after[key] for key in spelled_alike} == {key: before[key] for key in spelled_alike}
    assert "interlingua" not in after


@pytest.mark.parametrize(
    ("written", "read", "norm"),
    [
        ("null", "raw", None),
        ("raw", "raw", None),
        ("none", "raw", None),
        ("sqrt_d_model", "sqrt_d", math.sqrt(3584)),
        ("80000", 80000.0, 80000.0),
    ],
)
def test_scales_are_read_by_the_public_rules(
    tmp_path: Path, written: str, read: object, norm: float | None
) -> None:
    text = PUBLIC_MODEL.replace("150.0", written).replace("59.86651818838306", written)
    sidecar = _read(tmp_path, text)
    assert (sidecar.injection_scale, sidecar.mse_scale) == (read, read)
    contract = resolve_contract(checkpoint=sidecar)
    assert (contract.injection_norm(), contract.mse_norm()) == (norm, norm)
    write_sidecar(sidecar, tmp_path)
    stored = yaml.safe_load((tmp_path / "nla_meta.yaml").read_text())["extraction"]
    assert stored == {"injection_scale": norm, "mse_scale": norm}


def test_an_absent_injection_scale_is_an_error_and_an_absent_mse_scale_is_not(
    tmp_path: Path,
) -> None:
    contract = resolve_contract(dataset=_read(tmp_path, PUBLIC_DATASET))
    assert contract.mse_norm() == math.sqrt(3584)
    with pytest.raises(ContractMismatch, match="no source states injection_scale"):
        contract.injection_norm()


def test_without_our_extension_the_released_defaults_hold(tmp_path: Path) -> None:
    contract = resolve_contract(checkpoint=_read(tmp_path, PUBLIC_MODEL))
    assert contract.extension == RELEASED
    assert RELEASED.injection_rule == Replace()
    assert (RELEASED.num_slots, RELEASED.affine, RELEASED.centring) == (1, None, Centring.NONE)
    assert (RELEASED.ar_readout, RELEASED.ar_bos) == (Readout.RAW, BosRule.TOKENIZER_DEFAULT)
    assert contract.av_message() == AV_TEMPLATE.replace("{injection_char}", "\u320e")
    assert contract.ar_prompt("a {x} b").startswith("Summary of the following text: <text>a {x} b<")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: nla_model", "kind: nla", "kind is 'nla'; allowed: nla_model, nla_dataset"),
        ("schema_version: 2", "schema_version: 3", "schema_version 3"),
        ("role: av", "role: judge", "role is 'judge'"),
        ("d_model: 3584\n", "", "d_model is missing"),
        ("d_model: 3584", "d_model: wide", "d_model is 'wide'; it must be int"),
        ("d_model: 3584", "d_model: true", "d_model is True; it must be int"),
        ("injection_scale: 150.0", "injection_scale: big", "extraction.injection_scale is 'big'"),
        ("injection_scale: 150.0", "injection_scale: -1", "injection_scale is -1.0"),
        ("injection_token_id: 149705", "x: 1", "tokens.injection_token_id is missing"),
        ("[1318, 29,", "[1318, a,", "tokens.critic_suffix_ids is .* list of int"),
        ("  av: ", "  actor: other\n  av: ", "prompt_templates.av: av and actor differ"),
        (
            "tokens:\n",
            "interlingua: {rule: add}\ntokens:\n",
            "interlingua.injection_rule is missing",
        ),
        ("role: av", "role: [", "nla_meta.yaml"),
        (PUBLIC_MODEL, "- 1", "holds list, expected a mapping"),
        (PUBLIC_MODEL, "", "holds NoneType, expected a mapping"),
    ],
)
def test_a_broken_sidecar_is_one_error_that_names_the_file(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SidecarError, match=message) as caught:
        _read(tmp_path, PUBLIC_MODEL.replace(old, new))
    assert str(tmp_path / "nla_meta.yaml") in str(caught.value)


def test_a_missing_sidecar_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SidecarError, match="no usable sidecar at .*x.parquet.nla_meta.yaml"):
        read_sidecar(tmp_path / "x.parquet@[3:9]")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("run/iter_3", "run/iter_3/nla_meta.yaml"),
        ("a.parquet@[:5]", "a.parquet.nla_meta.yaml"),
        ("a.parquet.nla_meta.yaml", "a.parquet.nla_meta.yaml"),
        ("ckpt/nla_meta.yaml", "ckpt/nla_meta.yaml"),
    ],
)
def test_where_a_sidecar_lies(target: str, expected: str) -> None:
    assert sidecar_path(target) == Path(expected)


def test_a_folder_with_a_dot_in_its_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "qwen2.5").mkdir()
    assert sidecar_path(tmp_path / "qwen2.5") == tmp_path / "qwen2.5" / "nla_meta.yaml"
