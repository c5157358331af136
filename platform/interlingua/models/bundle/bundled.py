"""The files of a bundle, checked, and the models and maps opened from them. Knows no text."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import torch
from safetensors.torch import load

from interlingua.core.affine import FullAffine
from interlingua.core.familiarity import Familiarity
from interlingua.core.maps import Decoder
from interlingua.core.shared_space import HostMap, SharedSpace
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import chat_template_sha256, contract_of, tokenizer_sha256
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trained import trained_reconstructor, trained_verbalizer
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.specs.training import AvSpec
from interlingua.store.bundle import (
    AFFINE_NAME,
    AR_FOLDER,
    AV_FOLDER,
    MAPS_FOLDER,
    TOKENIZER_FOLDER,
    VALUE_HEAD_NAME,
    WEIGHTS_NAME,
    Manifest,
    source_of,
)
from interlingua.store.contract.check import (
    verify_affine,
    verify_ar,
    verify_av,
    verify_hashes,
    verify_width,
)
from interlingua.store.contract.file import read_sidecar
from interlingua.store.contract.statement import (
    Contract,
    ContractMismatch,
    ModelSidecar,
    Role,
    resolve_contract,
)
from interlingua.store.familiarity import read_familiarity
from interlingua.store.maps import read_decoder, read_encoder


def checked_contract(folder: Path, manifest: Manifest) -> Contract:
    """The contract of both sidecars, checked against manifest, tokenizer and files."""
    contract, other = (
        resolve_contract(checkpoint=_sidecar(folder / name, role, manifest.stage))
        for name, role in ((AV_FOLDER, Role.AV), (AR_FOLDER, Role.AR))
    )
    tokenizer = load_tokenizer(str(folder / TOKENIZER_FOLDER))
    # Made again from the specs that trained the pair: a sidecar that was edited, with its hash in
    # the manifest made to fit, still differs from it.
    expected = contract_of(
        tokenizer,
        contract.d_model,
        av=manifest.av,
        ar=manifest.ar,
        affine=contract.extension.affine,
        train_variance=contract.extension.train_variance,
    )
    for sidecar in (contract, other):
        _check_agrees(sidecar, expected, folder)
    verify_av(contract, tokenizer)
    verify_ar(contract, tokenizer)
    verify_affine(contract, folder / AV_FOLDER)
    verify_hashes(
        contract,
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        chat_template_sha256=chat_template_sha256(tokenizer),
    )
    return contract


def opened_av(folder: Path, manifest: Manifest, contract: Contract, device: str) -> Verbalizer:
    """The AV as it was bundled."""
    trunk, revision = source_of(manifest.trunk, folder), manifest.trunk.revision
    verbalizer = trained_verbalizer(
        trunk,
        _without_affine(manifest),
        load((folder / AV_FOLDER / WEIGHTS_NAME).read_bytes()),
        revision=revision,
        device=device,
    )
    if contract.extension.affine is not None:
        verbalizer.affine = _opened_affine(folder / AV_FOLDER / AFFINE_NAME).to(device)
    return verbalizer


def opened_ar(folder: Path, manifest: Manifest, contract: Contract, device: str) -> Reconstructor:
    """The AR as it was bundled."""
    weights = load((folder / AR_FOLDER / WEIGHTS_NAME).read_bytes())
    # A head is in the file also where none was trained; then a fresh AR has the same one.
    head_DD = load((folder / AR_FOLDER / VALUE_HEAD_NAME).read_bytes())["weight"]
    trained = {"value_head.weight": head_DD} if manifest.ar.trains_value_head else {}
    reconstructor = trained_reconstructor(
        source_of(manifest.trunk, folder),
        manifest.ar,
        {**weights, **trained},
        revision=manifest.trunk.revision,
        device=device,
    )
    verify_width(contract, reconstructor.width)
    return reconstructor


def opened_familiarity(folder: Path, manifest: Manifest) -> Mapping[str, Familiarity]:
    """How far from `fit` an activation is, by the host; without hosts of too few rows."""
    found = {tag: read_familiarity(folder / MAPS_FOLDER / tag) for tag in manifest.hosts}
    return {tag: one for tag, one in found.items() if one is not None}


def opened_maps(folder: Path, manifest: Manifest) -> tuple[SharedSpace, Mapping[str, Decoder]]:
    """The shared space with the encoders of all hosts, and their decoders by tag."""
    maps, decoders = {}, {}
    for tag in dict.fromkeys((manifest.anchor, *manifest.hosts)):
        encoder = read_encoder(folder / MAPS_FOLDER / tag)
        maps[tag] = HostMap(
            torch.from_numpy(encoder.weight_ED).float(), torch.from_numpy(encoder.mean_D).float()
        )
        decoders[tag] = read_decoder(folder / MAPS_FOLDER / tag)
    space = SharedSpace(
        maps,
        anchor=manifest.anchor,
        centring=manifest.av.injection.centring,
        is_trained=False,
    )
    return space, decoders


def _sidecar(folder: Path, role: Role, stage: str) -> ModelSidecar:
    sidecar = read_sidecar(folder)
    if not isinstance(sidecar, ModelSidecar) or (sidecar.role, sidecar.stage) != (role, stage):
        raise ContractMismatch(
            f"{folder}: the sidecar is not of the role {role} and the stage {stage!r}, as which "
            "the model was bundled; build the bundle again"
        )
    return sidecar


def _check_agrees(sidecar: Contract, expected: Contract, folder: Path) -> None:
    # A sidecar states its scales as the norms that they come to.
    stated, trained = (
        replace(each, injection_scale=each.injection_norm(), mse_scale=each.mse_norm() or "raw")
        for each in (sidecar, expected)
    )
    differing = [
        f"{field.name} {getattr(stated, field.name)!r}, trained as {getattr(trained, field.name)!r}"
        for field in fields(Contract)
        if getattr(stated, field.name) != getattr(trained, field.name)
    ]
    if differing:
        raise ContractMismatch(
            f"{folder}: a sidecar contradicts how the pair was trained: {'; '.join(differing)} "
            "(symptom of going on: fluent texts about other vectors)"
        )


def _without_affine(manifest: Manifest) -> AvSpec:
    """The AV as it is opened: its maps come from their own file."""
    injection = replace(manifest.av.injection, affine=None)
    return replace(manifest.av, injection=injection, affine_learning_rate=None)


def _opened_affine(path: Path) -> FullAffine:
    """The maps as the file has them, whatever variant they were trained as."""
    maps = load(path.read_bytes())
    num_slots, width, _ = maps["weight"].shape
    affine = FullAffine(num_slots, width, num_maps=num_slots)
    with torch.no_grad():
        # The file holds A, the module its difference from the identity.
        affine.delta_MDD.copy_(maps["weight"] - torch.eye(width))
        affine.offset_MD.copy_(maps["bias"])
    return affine.requires_grad_(False)
