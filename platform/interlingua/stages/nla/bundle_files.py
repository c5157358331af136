"""The files of a bundle, written, then opened again and compared with what was trained."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from interlingua.core.affine import fresh_affine
from interlingua.models.bundle.nla import NLA
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of
from interlingua.specs.extraction import recorded_reading
from interlingua.specs.training import AvSpec, BundleSpec
from interlingua.stages.nla.inputs import BundledInputs, BundleInputs, PairInputs
from interlingua.stages.nla.pair import is_reinforced
from interlingua.stages.sft.best_weights import AR_PREFIX, AV_PREFIX, weights_of
from interlingua.stages.sft.stage import TRAIN_VARIANCE
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.bundle import (
    AFFINE_NAME,
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
from interlingua.store.contract.statement import AffineFile, ModelSidecar, Role
from interlingua.store.familiarity import FAMILIARITY_NAME, OTHERS_NAME
from interlingua.store.hosts import opened_from
from interlingua.store.inputs import members
from interlingua.store.maps import DECODER_NAME, ENCODER_NAME
from interlingua.store.model_files import model_hashes

AFFINE, VALUE_HEAD = "affine.", "value_head.weight"
SUPERVISED, REINFORCED = "sft", "rl"  # the public release's words for a training


def write_bundle(spec: BundleSpec, inputs: BundleInputs[Artifact], out: Path) -> None:
    """Write every file, then the manifest; open the bundle and compare."""
    pair = inputs.pair
    for name in (AV_FOLDER, AR_FOLDER, MAPS_FOLDER, TOKENIZER_FOLDER):
        # A stage that is tried again finds the files of the attempt before it.
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir()
    source, revision = opened_from(pair.trunk)
    load_tokenizer(source, revision=revision).save_pretrained(out / TOKENIZER_FOLDER)
    av, ar = weights_of(pair.av, AV_PREFIX), weights_of(pair.ar, AR_PREFIX)
    affine = _write_affine(out / AV_FOLDER, spec.av, av)
    _write(
        out / AV_FOLDER / WEIGHTS_NAME, {n: w for n, w in av.items() if not n.startswith(AFFINE)}
    )
    _write(out / AR_FOLDER / WEIGHTS_NAME, {n: w for n, w in ar.items() if n != VALUE_HEAD})
    width = _width(inputs.hosts[spec.anchor].encoder)
    # Also a head that was never trained: what reads the vector out must not be guessed.
    head_DD = ar.get(VALUE_HEAD, torch.eye(width))
    _write(out / AR_FOLDER / VALUE_HEAD_NAME, {"weight": head_DD})
    _write_sidecars(out, spec, pair, affine, width)
    for tag, host in inputs.hosts.items():
        folder = out / MAPS_FOLDER / tag
        folder.mkdir()
        shutil.copyfile(host.encoder.path / ENCODER_NAME, folder / ENCODER_NAME)
        shutil.copyfile(host.decoder.path / DECODER_NAME, folder / DECODER_NAME)
        if (host.familiarity.path / FAMILIARITY_NAME).exists():  # else its rows were too few
            shutil.copyfile(host.familiarity.path / FAMILIARITY_NAME, folder / FAMILIARITY_NAME)
        shutil.copyfile(host.familiarity.path / OTHERS_NAME, folder / OTHERS_NAME)
    # After all files, because it has their hashes; and before the comparison, which loads it.
    write_manifest(out, _manifest(spec, inputs, out))
    _compare(out, av, ar)


def _write(path: Path, weights: Mapping[str, Tensor]) -> None:
    with write_atomically(path) as file:
        file.write(save({name: weight.contiguous() for name, weight in weights.items()}))


def _write_affine(folder: Path, spec: AvSpec, weights: Mapping[str, Tensor]) -> AffineFile | None:
    """Write the maps of the slots in full, whatever variant they were trained as."""
    own = {n.removeprefix(AFFINE): w for n, w in weights.items() if n.startswith(AFFINE)}
    if spec.injection.affine is None:
        return None
    width = next(weight.shape[-1] for name, weight in own.items() if name.startswith("offset"))
    slots = spec.injection.num_slots
    affine = fresh_affine(spec.injection.affine, num_slots=slots, width=width, seed=spec.seed)
    affine.load_state_dict(own)
    with torch.no_grad():
        _write(folder / AFFINE_NAME, {"weight": affine.weight_SDD(), "bias": affine.bias_SD()})
    digest = hashlib.sha256((folder / AFFINE_NAME).read_bytes()).hexdigest()
    return AffineFile(file=AFFINE_NAME, sha256=digest)


def _write_sidecars(
    out: Path,
    spec: BundleSpec,
    pair: PairInputs[Artifact],
    affine: AffineFile | None,
    width: int,
) -> None:
    tokenizer = load_tokenizer(str(out / TOKENIZER_FOLDER))
    contract = contract_of(
        tokenizer,
        width,
        av=spec.av,
        ar=spec.ar,
        affine=affine,
        train_variance=pair.ar.record.metrics[TRAIN_VARIANCE],
    )
    for role, folder in ((Role.AV, AV_FOLDER), (Role.AR, AR_FOLDER)):
        sidecar = ModelSidecar(
            role=role,
            stage=_training_of(pair),
            base_checkpoint=pair.trunk.record.label,
            d_model=contract.d_model,
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


def _training_of(pair: PairInputs[Artifact]) -> str:
    """The training that the pair comes from; one artifact of reinforcement holds both models."""
    return REINFORCED if is_reinforced(pair.av) else SUPERVISED


def _width(encoder: Artifact) -> int:
    weights = load((encoder.path / ENCODER_NAME).read_bytes())
    # [E, D]: the width of the space is the number of rows.
    return len(weights["weight"])


def _manifest(spec: BundleSpec, inputs: BundleInputs[Artifact], out: Path) -> Manifest:
    return Manifest(
        stage=_training_of(inputs.pair),
        anchor=spec.anchor,
        trunk=_opened(inputs.pair.trunk, out),
        av=spec.av,
        ar=spec.ar,
        hosts={tag: _host(host, out) for tag, host in inputs.hosts.items()},
        artifacts={path: one.record.fingerprint for path, one in members(inputs).items()},
    )


def _host(host: BundledInputs[Artifact], out: Path) -> BundledHost:
    read = recorded_reading(host.rows.record.spec)
    return BundledHost(
        model=_opened(host.host, out),
        block_index=read.block_indices[0],
        read=read.read,
        max_tokens=read.max_tokens,
        dtype=read.dtype,
        adds_special_tokens=read.adds_special_tokens,
    )


def _opened(model: Artifact, out: Path) -> Opened:
    source, revision = opened_from(model)
    # As it is seen from the bundle, so that both may be moved together.
    seen, files = os.path.relpath(source, out), model_hashes(Path(source))
    if revision is None:
        return Opened(source=seen, revision=None, files=files)
    name = model.record.spec["source"]
    return Opened(source=name, revision=revision, files=files, folder=seen)


def _compare(out: Path, av: Mapping[str, Tensor], ar: Mapping[str, Tensor]) -> None:
    """Raise unless the bundle opens to exactly what was trained."""
    opened = NLA.load(out)
    for name, module, weights in (
        ("AV", opened.av.verbalizer, {n: w for n, w in av.items() if not n.startswith(AFFINE)}),
        ("AR", opened.ar.reconstructor, ar),
    ):
        found = dict(module.named_parameters())
        for key, weight in weights.items():
            # Bit for bit: weights that were cast on the way would fail nowhere else.
            if not torch.equal(found[key].float(), weight):
                raise ValueError(f"{out}: the {name}'s {key} did not survive being saved")
