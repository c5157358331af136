"""A bundle whose files are all proved, of which any part can be opened by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from interlingua.models.bundle.bundled import checked_contract, opened_ar, opened_av
from interlingua.models.bundle.host_maps import HostMaps
from interlingua.models.bundle.host_readers import HostReaders
from interlingua.models.bundle.shared_weights import SharedWeights, frozen
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.trained import cast_weights
from interlingua.models.sampling.batched import BatchReconstructor, BatchVerbalizer
from interlingua.specs.hosts import DTYPES
from interlingua.store.bundle import TOKENIZER_FOLDER, Manifest, check_models, read_manifest
from interlingua.store.contract.statement import Contract

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedBundle:
    """The folder of a bundle, what it says, and where and in which dtype AV and AR run.

    Without a dtype they have that of their training; hosts always have that of theirs.
    What its models have in common, and with others of the same `shared`, is held once.
    """

    folder: Path
    manifest: Manifest
    contract: Contract
    device: str
    dtype: torch.dtype | None
    shared: SharedWeights

    @classmethod
    def of(
        cls,
        path: str | Path,
        device: str,
        *,
        dtype: str | None = None,
        shared: SharedWeights | None = None,
    ) -> Self:
        """The bundle; raises at the first thing that is not as it was bundled, or does not fit."""
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype}; it must be one of {', '.join(DTYPES)}")
        folder = Path(path)
        manifest = read_manifest(folder)
        # All files are proved before the first weight is opened: a wrong trunk opens without an
        # error and gives fluent texts about other vectors.
        check_models(folder, manifest)
        contract = checked_contract(folder, manifest)
        return cls(
            folder=folder,
            manifest=manifest,
            contract=contract,
            device=device,
            dtype=None if dtype is None else getattr(torch, dtype),
            shared=shared or SharedWeights(),
        )

    def av(self) -> BatchVerbalizer:
        """The AV, opened."""
        verbalizer = opened_av(self.folder, self.manifest, self.contract, self.device)
        if self.dtype is not None:  # the trunk alone: the maps before it work in fp32
            cast_weights(verbalizer.trunk, self.dtype)
        self.shared.share(frozen(verbalizer))
        return BatchVerbalizer(
            verbalizer,
            load_tokenizer(str(self.folder / TOKENIZER_FOLDER)),
            self.contract,
            device=self.device,
            batch_rows=BATCH_ROWS,
        )

    def ar(self) -> BatchReconstructor:
        """The AR, opened."""
        reconstructor = opened_ar(self.folder, self.manifest, self.contract, self.device)
        if self.dtype is not None:
            cast_weights(reconstructor.model, self.dtype)
        self.shared.share(frozen(reconstructor))
        return BatchReconstructor(
            reconstructor,
            load_tokenizer(str(self.folder / TOKENIZER_FOLDER)),
            self.contract,
            device=self.device,
            batch_rows=BATCH_ROWS,
        )

    def maps(self) -> HostMaps:
        """The maps of its hosts."""
        return HostMaps.opened(self.folder, self.manifest)

    def readers(self) -> HostReaders:
        """Its hosts, each opened at its first text."""
        return HostReaders(self.folder, self.manifest.hosts, self.device, self.shared)
