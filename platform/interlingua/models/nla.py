"""A trained NLA: activations to text and back, from one folder. Needs no Ray.

nla = NLA.load("runs/bundle/world-...")
nla.describe("dear friend, the farmer ...", host="pythia-410m").explanation
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors.torch import load

from interlingua.core.geometry import cosine, nmse, rescale
from interlingua.models.activations import Reader
from interlingua.models.bundled import (
    checked_contract,
    opened_affine,
    opened_maps,
    without_affine,
)
from interlingua.models.hosts import load_tokenizer
from interlingua.models.prompts import explanation_in
from interlingua.models.reconstructor import Reconstructor
from interlingua.models.speaker import Listener, Speaker
from interlingua.models.trained import trained_reconstructor, trained_verbalizer
from interlingua.models.verbalizer import Verbalizer
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.splits import Split
from interlingua.specs.training import SamplingSpec
from interlingua.store.bundle import (
    AFFINE_NAME,
    AR_FOLDER,
    AV_FOLDER,
    TOKENIZER_FOLDER,
    VALUE_HEAD_NAME,
    WEIGHTS_NAME,
    BundledHost,
    Manifest,
    read_manifest,
    source_from,
)
from interlingua.store.contract import Contract
from interlingua.store.contract_check import (
    verify_width,
)
from interlingua.store.maps import Decoder

GREEDY = SamplingSpec(seed=0, temperature=0.0, samples=1, max_new_tokens=128)
BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class Description:
    """What the AV said of one activation; `explanation` is None where it did not close its tag."""

    explanation: str | None
    text: str
    log_prob: float


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrip:
    """An activation, its explanation, and what of it came back (both in the units of n(h))."""

    description: Description
    activation_D: np.ndarray
    rebuilt_D: np.ndarray
    cosine: float
    nmse: float


class NLA:
    """A pair of models with the maps of its hosts; made by `load`."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        contract: Contract,
        pair: tuple[Verbalizer, Reconstructor],
        device: str,
    ) -> None:
        self.manifest, self.contract = manifest, contract
        self.verbalizer, self.reconstructor = pair
        self._folder, self._device = folder, device
        tokenizer = load_tokenizer(str(folder / TOKENIZER_FOLDER))
        self.speaker = Speaker(
            self.verbalizer, tokenizer, contract, device=device, batch_rows=BATCH_ROWS
        )
        self.listener = Listener(
            self.reconstructor, tokenizer, contract, device=device, batch_rows=BATCH_ROWS
        )
        self.space, self.decoders = opened_maps(folder, manifest)
        self._readers: dict[str, Reader] = {}

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Open a bundle; files, tokenizer, markers, widths and weights are checked."""
        folder = Path(path)
        manifest = read_manifest(folder)
        contract = checked_contract(folder, manifest)
        trunk = source_from(manifest.trunk.source, folder)
        revision = manifest.trunk.revision
        verbalizer = trained_verbalizer(
            trunk,
            without_affine(manifest),
            load((folder / AV_FOLDER / WEIGHTS_NAME).read_bytes()),
            revision=revision,
            device=device,
        )
        if contract.extension.affine is not None:
            verbalizer.affine = opened_affine(folder / AV_FOLDER / AFFINE_NAME).to(device)
        weights = load((folder / AR_FOLDER / WEIGHTS_NAME).read_bytes())
        head_DD = load((folder / AR_FOLDER / VALUE_HEAD_NAME).read_bytes())["weight"]
        trained = {"value_head.weight": head_DD} if manifest.ar.trains_value_head else {}
        reconstructor = trained_reconstructor(
            trunk, manifest.ar, {**weights, **trained}, revision=revision, device=device
        )
        verify_width(contract, reconstructor.width)
        return cls(folder, manifest, contract, (verbalizer, reconstructor), device)

    def read(self, text: str, host: str, position: int | None = None) -> np.ndarray:
        """The raw activation of a host: pooled over the text, or at a token."""
        if position is not None:
            return self._reader(host).at(text, position)
        rows = self._reader(host).rows([("0" * 16, text)])
        if not rows.positions:
            raise ValueError(f"{host} has no token to average in {text!r}")
        pooled_D: np.ndarray = rows.vectors_by_block[self._host(host).block_index][0]
        return pooled_D

    def describe(
        self, text: str, host: str, position: int | None = None, sampling: SamplingSpec = GREEDY
    ) -> Description:
        """What the AV says of a host's activation on a text."""
        return self.describe_activation(self.read(text, host, position), host, sampling)

    def describe_activation(
        self, h_D: np.ndarray, host: str, sampling: SamplingSpec = GREEDY
    ) -> Description:
        """What the AV says of any raw vector of a host's width."""
        h_1D = torch.from_numpy(np.asarray(h_D, np.float32))[None]
        with torch.no_grad():
            v_1E = self.space(host, h_1D)
        ((decoded,),) = self.speaker.say(host, v_1E, ["0"], replace(sampling, samples=1))
        explanation = explanation_in(decoded.text) if decoded.is_closed else None
        return Description(explanation, decoded.text, sum(decoded.log_probs))

    def reconstruct(self, text: str, host: str | None = None) -> np.ndarray:
        """The vector that an explanation stands for: shared, or in the units of n(h) of a host."""
        a_1E = rescale(self.listener.hear([text]))
        return a_1E[0] if host is None else self._decoder(host)(a_1E)[0]

    def round_trip(
        self, text: str, host: str, position: int | None = None, sampling: SamplingSpec = GREEDY
    ) -> RoundTrip:
        """From a host's activation to words and back."""
        h_1D = rescale(self.read(text, host, position)[None])
        description = self.describe_activation(h_1D[0], host, sampling)
        decoder = self._decoder(host)
        # Where nothing was said there is nothing to rebuild: the mean.
        rebuilt_D = decoder.mean_D
        if description.explanation is not None:
            rebuilt_D = self.reconstruct(description.explanation, host)
        return RoundTrip(
            description=description,
            activation_D=h_1D[0],
            rebuilt_D=rebuilt_D,
            cosine=float(cosine(rebuilt_D[None], h_1D)[0]),
            nmse=float(nmse(rebuilt_D[None], h_1D)[0]),
        )

    def _host(self, host: str) -> BundledHost:
        if host not in self.manifest.hosts:
            raise ValueError(f"host is {host!r}; this NLA knows: {', '.join(self.manifest.hosts)}")
        return self.manifest.hosts[host]

    def _decoder(self, host: str) -> Decoder:
        self._host(host)
        return self.decoders[host]

    def _reader(self, host: str) -> Reader:
        bundled = self._host(host)
        if host not in self._readers:
            self._readers[host] = Reader(
                source_from(bundled.model.source, self._folder),
                ExtractSpec(
                    host_tag=host,
                    block_indices=(bundled.block_index,),
                    read=Pooled(include_first=bundled.includes_first),
                    max_tokens=bundled.max_tokens,
                    dtype=bundled.dtype,
                    splits=(Split.TEST,),
                ),
                revision=bundled.model.revision,
                device=self._device,
                batch_tokens=8192,
            )
        return self._readers[host]
