"""A bundle whose three parts run in this process."""

from dataclasses import replace
from pathlib import Path

from interlingua.models.bundle.proved import ProvedBundle
from interlingua.serving.backend import Limits
from interlingua.serving.engines.card import card_of
from interlingua.serving.engines.joined import JoinedBackend
from interlingua.serving.engines.parts import Ar, Av, Hosts


class LocalBackend(JoinedBackend):
    """A `Backend` that owns its models."""

    def __init__(self, bundle: ProvedBundle, limits: Limits) -> None:
        card = card_of(bundle.folder, bundle.manifest, limits)
        self.parts = Hosts(bundle, limits), Av(bundle, limits), Ar(bundle, limits)
        devices = dict.fromkeys(("hosts", "av", "ar"), bundle.device)
        super().__init__(replace(card, devices=devices), *self.parts)

    @property
    def av(self) -> Av:
        """The part that draws texts."""
        return self.parts[1]

    def close(self) -> None:
        """Answer what was taken in, then end all threads."""
        for part in self.parts:
            part.close()


def opened_backend(path: str | Path, *, limits: Limits, device: str = "cpu") -> LocalBackend:
    """A bundle, proved and opened, with its engines running."""
    return LocalBackend(ProvedBundle.of(path, device), limits)
