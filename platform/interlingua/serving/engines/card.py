"""What clients see of a bundle, from its folder alone. Opens no model."""

import json
from pathlib import Path

from interlingua.serving.backend import Card, HostCard, Limits
from interlingua.specs.extraction import LastToken, Pooled, Reading, Spans, TokenPositions
from interlingua.specs.injection import AfterBlock, Centring
from interlingua.store.bundle import (
    MAPS_FOLDER,
    BundledHost,
    Manifest,
    Opened,
    bundle_digest,
    source_of,
)
from interlingua.store.contract.statement import HOST_FIELD
from interlingua.store.familiarity import read_others
from interlingua.store.maps import read_decoder

READS: dict[type[Reading], str] = {
    Pooled: "pooled",
    LastToken: "last_token",
    TokenPositions: "token",
    Spans: "sentence",
}
DEPTH_NAMES = ("num_hidden_layers", "n_layer", "num_layers")


def card_of(folder: Path, manifest: Manifest, limits: Limits) -> Card:
    """The card of a bundle that was read from this folder."""
    injection = manifest.av.injection
    return Card(
        name=folder.resolve().name,
        digest=bundle_digest(folder),
        trunk=_name(manifest.trunk),
        stage=manifest.stage,
        anchor=manifest.anchor,
        width=len(read_decoder(folder / MAPS_FOLDER / manifest.anchor).centre_E),
        num_slots=injection.num_slots,
        rule="after_block" if isinstance(injection.rule, AfterBlock) else "replace",
        has_affine=injection.affine is not None,
        hosts={tag: _host_card(folder, tag, host) for tag, host in manifest.hosts.items()},
        limits=limits,
        names_host=HOST_FIELD in manifest.av.template,
        is_centred=injection.centring is Centring.HOST_MEAN,
        created_at=int((folder / "manifest.json").stat().st_mtime),
    )


def _host_card(folder: Path, tag: str, host: BundledHost) -> HostCard:
    maps = folder / MAPS_FOLDER / tag
    mean_D = read_decoder(maps).mean_D
    source = Path(source_of(host.model, folder))
    return HostCard(
        tag=tag,
        width=len(mean_D),
        block_index=host.block_index,
        num_blocks=_depth(source),
        max_tokens=host.max_tokens,
        reads=READS[type(host.read)],
        reads_from=_first_read(host.read),
        dtype=host.dtype,
        # A model of the hub is fetched when it is first asked for.
        is_here=host.model.revision is not None or source.is_dir(),
        mean_D=mean_D,
        others_KD=read_others(maps),
    )


def _first_read(read: Reading) -> int:
    match read:
        case Spans():
            return read.min_sentence
        case TokenPositions():
            return read.min_position
        case Pooled() | LastToken():
            return 0


def _name(model: Opened) -> str:
    return model.source if model.revision is not None else Path(model.source).name


def _depth(source: Path) -> int | None:
    try:
        config = json.loads((source / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    found = [config[name] for name in DEPTH_NAMES if isinstance(config.get(name), int)]
    return found[0] if found else None
