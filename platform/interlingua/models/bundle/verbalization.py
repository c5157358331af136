"""What an NLA makes of an activation: a text, and the vector that the text stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlingua.core.familiarity import UNLIKE
from interlingua.core.geometry import cosine, nmse


@dataclass(frozen=True, slots=True)
class Verbalization:
    """A text of the AV on one activation; `explanation` is None where it did not close its tag.

    `share_nearer` is the share of the host's activations of `fit` that are nearer to their mean
    than this one: an AV explains any vector fluently, also one that is unlike all it learned from.
    None where there were too few rows to say.
    """

    explanation: str | None
    raw_text: str
    log_prob: float
    share_nearer: float | None = None
    num_tokens: int | None = None  # drawn, the one that ended it among them; None: not known

    @property
    def is_unlike(self) -> bool:
        """Whether the activation is further out than 99% of those of `fit`."""
        return self.share_nearer is not None and self.share_nearer > UNLIKE


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrip:
    """An activation, its explanation, and its reconstruction (vectors in the units of n(h)).

    Without an explanation nothing is rebuilt: `rebuilt_D` is NaN, the cosine 0 and the NMSE 2, as
    in an evaluation.
    """

    verbalization: Verbalization
    activation_D: np.ndarray
    rebuilt_D: np.ndarray
    cosine: float
    nmse: float


def round_trips_of(
    verbalizations: Sequence[Verbalization], n_ND: np.ndarray, rebuilt_ND: np.ndarray
) -> list[RoundTrip]:
    """Activations at the norm sqrt(D), what was made of each, and how near it came back."""
    # A zero points nowhere: its cosine is 0.
    found_ND = np.where(np.isnan(rebuilt_ND), 0.0, rebuilt_ND)
    numbers = zip(cosine(found_ND, n_ND), nmse(found_ND, n_ND), strict=True)
    return [
        RoundTrip(
            verbalization=one,
            activation_D=n_D,
            rebuilt_D=rebuilt_D,
            cosine=float(similarity),
            nmse=float(error),
        )
        for one, n_D, rebuilt_D, (similarity, error) in zip(
            verbalizations, n_ND, rebuilt_ND, numbers, strict=True
        )
    ]
