"""Affine maps of the slots, x_s = A_s v + b_s with A_s = I + Delta_s. Knows no model and no file.

Delta and b begin at zero: the maps begin as the identity, exactly, and weight decay pulls to it.
v is the vector of a row; B rows, S slots, D width, M maps (S of them, or 1 that all slots share),
R rank.
"""

import torch
from torch import Tensor, nn

from interlingua.specs.injection import Affine, BiasOnly, Full, LowRank, Shared


class SlotAffine(nn.Module):
    """The map of every slot: S vectors out of the one vector of a row."""

    num_slots: int
    width: int

    def forward(self, v_BD: Tensor) -> Tensor:
        """A_s v + b_s of every slot: [B, S, D] from [B, D]."""
        raise NotImplementedError

    def weight_SDD(self) -> Tensor:
        """A of every slot, written out."""
        raise NotImplementedError

    def bias_SD(self) -> Tensor:
        """b of every slot, written out."""
        raise NotImplementedError


class FullAffine(SlotAffine):
    """A matrix and a bias a slot; with `num_maps` 1 the slots share them."""

    def __init__(self, num_slots: int, width: int, *, num_maps: int) -> None:
        super().__init__()
        self.num_slots, self.width = num_slots, width
        self.delta_MDD = nn.Parameter(torch.zeros(num_maps, width, width))
        self.offset_MD = nn.Parameter(torch.zeros(num_maps, width))

    def forward(self, v_BD: Tensor) -> Tensor:
        """v + Delta v + b."""
        # fp32 whatever the parameters are held in: a bf16 sum rounds a small Delta v away beside v.
        delta_MDD, offset_MD = self.delta_MDD.float(), self.offset_MD.float()
        moved_BMD = torch.einsum("bd,med->bme", v_BD, delta_MDD) + offset_MD
        # The identity is added here and not stored: decay of a stored A would pull to 0, not to I.
        return v_BD[:, None] + moved_BMD.expand(-1, self.num_slots, -1)

    def weight_SDD(self) -> Tensor:
        """I + Delta."""
        weight_MDD = torch.eye(self.width, device=self.delta_MDD.device) + self.delta_MDD.float()
        return weight_MDD.expand(self.num_slots, -1, -1)

    def bias_SD(self) -> Tensor:
        """b."""
        return self.offset_MD.float().expand(self.num_slots, -1)


class LowRankAffine(SlotAffine):
    """Delta_s = U_s V_s^T with U zero at the start."""

    def __init__(self, num_slots: int, width: int, *, rank: int, seed: int) -> None:
        super().__init__()
        self.num_slots, self.width = num_slots, width
        generator = torch.Generator().manual_seed(seed)
        # Rows of V have a norm near 1. Only U is zero: with both at zero, each factor would hold
        # the other's gradient at zero, and the map could never leave the identity.
        down_SRD = torch.randn(num_slots, rank, width, generator=generator) / width**0.5
        self.down_SRD = nn.Parameter(down_SRD)
        self.up_SDR = nn.Parameter(torch.zeros(num_slots, width, rank))
        self.offset_SD = nn.Parameter(torch.zeros(num_slots, width))

    def forward(self, v_BD: Tensor) -> Tensor:
        """v + U V^T v + b."""
        # Through the rank: the products U V^T are never written out in a forward.
        down_BSR = torch.einsum("bd,srd->bsr", v_BD, self.down_SRD.float())
        moved_BSD = torch.einsum("bsr,sdr->bsd", down_BSR, self.up_SDR.float())
        return v_BD[:, None] + moved_BSD + self.offset_SD.float()

    def weight_SDD(self) -> Tensor:
        """I + U V^T."""
        product_SDD = self.up_SDR.float() @ self.down_SRD.float()
        return torch.eye(self.width, device=product_SDD.device) + product_SDD

    def bias_SD(self) -> Tensor:
        """b."""
        return self.offset_SD.float()


class BiasAffine(SlotAffine):
    """A bias a slot and no matrix: Delta stays 0."""

    def __init__(self, num_slots: int, width: int) -> None:
        super().__init__()
        self.num_slots, self.width = num_slots, width
        self.offset_SD = nn.Parameter(torch.zeros(num_slots, width))

    def forward(self, v_BD: Tensor) -> Tensor:
        """v + b."""
        return v_BD[:, None] + self.offset_SD.float()

    def weight_SDD(self) -> Tensor:
        """I."""
        eye_DD = torch.eye(self.width, device=self.offset_SD.device)
        return eye_DD.expand(self.num_slots, -1, -1)

    def bias_SD(self) -> Tensor:
        """b."""
        return self.offset_SD.float()


def fresh_affine(spec: Affine, *, num_slots: int, width: int, seed: int) -> SlotAffine:
    """The maps of a variant, all at the identity, in fp32; only `LowRank` draws from the seed."""
    match spec:
        case Full():
            return FullAffine(num_slots, width, num_maps=num_slots)
        case Shared():
            return FullAffine(num_slots, width, num_maps=1)
        case LowRank(rank=rank):
            return LowRankAffine(num_slots, width, rank=rank, seed=seed)
        case BiasOnly():
            return BiasAffine(num_slots, width)


@torch.no_grad()
def deviations(weight_SDD: Tensor) -> dict[str, list[float]]:
    """Distances of every slot's A to the identity and to the mean of the slots, relative to ||I||.

    `share` is the second over the first: near 1 the slots went their own ways, near 0 together; 0
    for a slot that did not move. It can exceed 1 for a slot that moved less than the others.
    """
    eye_DD = torch.eye(weight_SDD.shape[-1], device=weight_SDD.device)
    # Frobenius norms; ||I|| is sqrt(D), so that a distance of 1 is as large as the identity itself.
    norm = float(eye_DD.norm())
    from_identity_S = (weight_SDD - eye_DD).flatten(1).norm(dim=1) / norm
    from_mean_S = (weight_SDD - weight_SDD.mean(0)).flatten(1).norm(dim=1) / norm
    share_S = torch.where(from_identity_S > 0, from_mean_S / from_identity_S, 0.0)
    return {
        "from_identity": from_identity_S.tolist(),
        "from_mean": from_mean_S.tolist(),
        "share": share_S.tolist(),
    }
