"""A transformer over a passage's tokens in an encoder's place: does a frozen AV read its vectors?

A published attempt failed: the AV had learned from vectors of linear maps. The head is trained
towards the vectors that a linear encoder is fitted to, or through the frozen AV by its loss; the
guard is `compared`, loss a token by loss a token on the same texts. Knows no model and no file.

h_NPD are raw activations at up to P tokens of N passages, NaN behind the last; v [E] is what the AV
is given, at the norm sqrt(E).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.injection import scaled
from interlingua.core.resampling import Draws, Ratio, difference
from interlingua.core.statistics import Estimate, estimate_of

NUM_HEADS = 4
CLIP_NORM = 1.0

Loss = Callable[[np.ndarray, Tensor], Tensor]  # of rows, by place, and what the head made of them


class PositionHead(nn.Module):
    """v of a passage, from its activations at several tokens: one block of attention over them."""

    mean_D: Tensor

    def __init__(self, mean_D: np.ndarray, width: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", torch.from_numpy(np.asarray(mean_D, np.float32)))
        self.inward = nn.Linear(len(mean_D), width)
        self.query_1E = nn.Parameter(torch.randn(1, width) / width**0.5)
        self.block = nn.TransformerEncoderLayer(
            width, NUM_HEADS, dim_feedforward=2 * width, dropout=0.0, batch_first=True
        )
        self.outward = nn.Linear(width, width)

    def forward(self, h_BPD: Tensor) -> Tensor:
        """[B, E] at the norm sqrt(E)."""
        is_absent_BP = ~torch.isfinite(h_BPD).all(dim=-1)
        h_BPD = torch.where(is_absent_BP[..., None], torch.ones_like(h_BPD), h_BPD)
        x_BPE = self.inward(scaled(h_BPD, h_BPD.shape[-1] ** 0.5) - self.mean_D)
        query_B1E = self.query_1E.expand(len(h_BPD), 1, -1)
        # The query is a token of its own, and always there.
        mask = nn.functional.pad(is_absent_BP, (1, 0), value=False)
        y_BPE = self.block(torch.cat([query_B1E, x_BPE], dim=1), src_key_padding_mask=mask)
        return scaled(self.outward(y_BPE[:, 0]), y_BPE.shape[-1] ** 0.5)

    @torch.no_grad()
    def v_of(self, h_NPD: np.ndarray) -> np.ndarray:
        """v of rows, without gradients."""
        return np.asarray(self(torch.from_numpy(h_NPD)).numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTraining:
    """AdamW at one rate, which falls to nothing; batches are drawn by the seed."""

    seed: int = 0
    num_steps: int = 300
    batch_rows: int = 32
    learning_rate: float = 2e-3


def trained_head(
    h_NPD: np.ndarray, mean_D: np.ndarray, *, width: int, loss: Loss, training: HeadTraining
) -> PositionHead:
    """A head after its training by a loss; what the loss goes through must be frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        head = PositionHead(mean_D, width)
    rng = np.random.default_rng(training.seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=training.learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, training.num_steps)
    for _ in range(training.num_steps):
        rows_B = rng.integers(len(h_NPD), size=training.batch_rows)
        optimizer.zero_grad()
        loss(rows_B, head(torch.from_numpy(h_NPD[rows_B]))).backward()
        nn.utils.clip_grad_norm_(head.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
    return head.eval()


def towards(v_NE: np.ndarray) -> Loss:
    """The loss of a head that is to give these vectors, as linear encoders are fitted to."""

    def loss(rows_B: np.ndarray, v_BE: Tensor) -> Tensor:
        return nn.functional.mse_loss(v_BE, torch.from_numpy(v_NE[rows_B]))

    return loss


def compared(
    nll_N: Mapping[str, np.ndarray],
    num_tokens_N: np.ndarray,
    passages_N: np.ndarray,
    *,
    than: str,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Nats a token that each way of making vectors costs more than one of them, paired by text.

    One whose low end is above 0 gives vectors that the AV reads worse.
    """
    draws = Draws.of(passages_N, seed=seed)
    drawn = draws.ratios(
        {
            name: Ratio(numerators_N=nll, denominators_N=num_tokens_N, units_N=passages_N)
            for name, nll in nll_N.items()
        }
    )
    return {
        name: estimate_of(difference(one, drawn[than]))
        for name, one in drawn.items()
        if name != than
    }


def cross_host(
    first_NE: np.ndarray, second_NE: np.ndarray, passages_N: np.ndarray, *, seed: int = 0
) -> Estimate:
    """The mean cosine of two hosts' vectors, or of their texts', of the same passages."""
    norms_N = np.linalg.norm(first_NE, axis=1) * np.linalg.norm(second_NE, axis=1)
    cos_N = (first_NE * second_NE).sum(axis=1) / norms_N
    ratio = Ratio(numerators_N=cos_N, denominators_N=np.ones(len(cos_N)), units_N=passages_N)
    return estimate_of(Draws.of(passages_N, seed=seed).ratio(ratio))
