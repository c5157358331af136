"""A whole bundle with random weights, for benches of serving: its host is its own trunk, cut.

54 million parameters in fp32, 32,000 tokens. Words are token ids, and no token ends a text.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from interlingua.core.maps import Decoder, Encoder
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of, fresh_reconstructor, fresh_verbalizer
from interlingua.recipes.parts import WORLD_AR, WORLD_AV
from interlingua.specs.extraction import Pooled
from interlingua.specs.injection import Centring, InjectionSpec, Replace
from interlingua.specs.training import ArSpec, AvSpec
from interlingua.store.bundle import (
    AR_FOLDER,
    AV_FOLDER,
    MAPS_FOLDER,
    TOKENIZER_FOLDER,
    VALUE_HEAD_NAME,
    WEIGHTS_NAME,
    BundledHost,
    Manifest,
    Opened,
    write_manifest,
)
from interlingua.store.contract.file import write_sidecar
from interlingua.store.contract.statement import ModelSidecar, Role
from interlingua.store.maps import write_decoder, write_encoder
from interlingua.store.model_files import model_hashes

HOST = "bench"
WIDTH, NUM_BLOCKS, NUM_IDS, READ_BLOCK = 512, 12, 32_000, 5
NUM_PROMPT, NUM_BEHIND = 60, 12  # tokens of the AV's prompt, and how many stand behind the vector
MARKER, TRUNK_FOLDER = "\u320e", "trunk"
# Wider than a trained model's: else one text is drawn whatever vector goes in.
SPREAD = 0.06


def bench_bundle(folder: Path) -> Path:
    """Write trunk and bundle below a folder; returns the bundle's."""
    trunk, out = folder / TRUNK_FOLDER, folder / "bundle"
    _save_trunk(trunk)
    for name in (AV_FOLDER, AR_FOLDER, f"{MAPS_FOLDER}/{HOST}"):
        (out / name).mkdir(parents=True)
    tokenizer = load_tokenizer(str(trunk))
    tokenizer.save_pretrained(out / TOKENIZER_FOLDER)
    av, ar = _specs()
    _write_models(out, trunk, av, ar)
    _write_sidecars(out, tokenizer, av, ar)
    eye, none = np.eye(WIDTH), np.zeros(WIDTH)
    write_encoder(out / MAPS_FOLDER / HOST, Encoder(weight_ED=eye, mean_D=none))
    write_decoder(out / MAPS_FOLDER / HOST, Decoder(weight_DE=eye, centre_E=none, mean_D=none))
    opened = Opened(source=f"../{TRUNK_FOLDER}", revision=None, files=model_hashes(trunk))
    read = Pooled(include_first=False)
    host = BundledHost(
        model=opened, block_index=READ_BLOCK, read=read, max_tokens=512, dtype="float32"
    )
    manifest = Manifest(
        stage="sft", anchor=HOST, trunk=opened, av=av, ar=ar, hosts={HOST: host}, artifacts={}
    )
    write_manifest(out, manifest)
    return out


def _save_trunk(folder: Path) -> None:
    torch.manual_seed(0)
    config = Qwen3Config(
        hidden_size=WIDTH,
        num_hidden_layers=NUM_BLOCKS,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        intermediate_size=3 * WIDTH,
        vocab_size=NUM_IDS,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    vocabulary = {str(token): token for token in range(NUM_IDS - 1)} | {MARKER: NUM_IDS - 1}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.save_pretrained(folder)


def _specs() -> tuple[AvSpec, ArSpec]:
    before, behind = range(1, NUM_PROMPT - NUM_BEHIND), range(100, 100 + NUM_BEHIND)
    injection = InjectionSpec(
        rule=Replace(), num_slots=1, scale="sqrt_d", centring=Centring.NONE, affine=None
    )
    template = f"{_words(before)} {{injection_char}} {_words(behind)}"
    av = replace(WORLD_AV, template=template, injection=injection, lora=None)
    ar = replace(WORLD_AR, template="1 {explanation} 2 3", block_index=0, lora=None)
    return av, ar


def _words(ids: range) -> str:
    return " ".join(map(str, ids))


def _write_models(out: Path, trunk: Path, av: AvSpec, ar: ArSpec) -> None:
    (out / AV_FOLDER / WEIGHTS_NAME).write_bytes(_saved(fresh_verbalizer(str(trunk), av)))
    reconstructor = fresh_reconstructor(str(trunk), ar)
    (out / AR_FOLDER / VALUE_HEAD_NAME).write_bytes(save({"weight": torch.eye(WIDTH)}))
    (out / AR_FOLDER / WEIGHTS_NAME).write_bytes(_saved(reconstructor, but="value_head.weight"))


def _saved(module: nn.Module, *, but: str = "") -> bytes:
    trained = {n: w.detach() for n, w in module.named_parameters() if w.requires_grad and n != but}
    return save({name: weight.contiguous() for name, weight in trained.items()})


def _write_sidecars(out: Path, tokenizer: PreTrainedTokenizerBase, av: AvSpec, ar: ArSpec) -> None:
    contract = contract_of(tokenizer, WIDTH, av=av, ar=ar, train_variance=0.5)
    for role, folder in ((Role.AV, AV_FOLDER), (Role.AR, AR_FOLDER)):
        sidecar = ModelSidecar(
            role=role,
            stage="sft",
            base_checkpoint=HOST,
            d_model=WIDTH,
            block_index=contract.block_index,
            injection_scale=contract.injection_scale,
            mse_scale=contract.mse_scale,
            tokens=contract.tokens,
            ar_suffix_ids=contract.ar_suffix_ids,
            av_template=contract.av_template,
            ar_template=contract.ar_template,
            extension=contract.extension,
        )
        write_sidecar(sidecar, out / folder)
