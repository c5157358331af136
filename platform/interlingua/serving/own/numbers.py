"""How near a reconstruction is to an activation, beside what would be no feat. Opens no model.

n(x): x at the norm sqrt(D). N rows, D: a host's width, K activations of other passages.
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

from interlingua.core.geometry import cosine, nmse, unit
from interlingua.serving.backend import HostCard


class Numbers(TypedDict):
    """Of one reconstruction p of an activation h."""

    cosine: float
    nmse: Annotated[float, Field(description="2 (1 - cosine): the mean square of n(p) - n(h).")]
    denominator: Annotated[float, Field(description="The NMSE of the mean of `fit`.")]
    fve_centred_train: Annotated[
        float | None, Field(description="1 - nmse / denominator; null where `fit` does not vary.")
    ]
    null_percentile: Annotated[
        float | None,
        Field(
            description="The share of other passages whose activation is further from p than h is: "
            "about 0.5 where p knows nothing of h, null where the bundle has no other passages."
        ),
    ]
    null_n: Annotated[int, Field(description="How many other passages.")]


def numbers_of(rebuilt_ND: np.ndarray, h_ND: np.ndarray, host: HostCard) -> list[Numbers]:
    """The numbers of every row; a zero row of `rebuilt_ND`, of no text, has the NMSE 2."""
    cosine_N, nmse_N = cosine(rebuilt_ND, h_ND), nmse(rebuilt_ND, h_ND)
    null_N = _null_percentiles(rebuilt_ND, nmse_N, host.others_KD)
    denominator = host.variance
    return [
        Numbers(
            cosine=float(cosine_N[row]),
            nmse=float(nmse_N[row]),
            denominator=denominator,
            fve_centred_train=1 - float(nmse_N[row]) / denominator if denominator > 0 else None,
            null_percentile=None if null_N is None else float(null_N[row]),
            null_n=num_others(host),
        )
        for row in range(len(h_ND))
    ]


def num_others(host: HostCard) -> int:
    """How many activations of other passages a reconstruction is compared with."""
    return 0 if host.others_KD is None else len(host.others_KD)


def _null_percentiles(
    rebuilt_ND: np.ndarray, nmse_N: np.ndarray, others_KD: np.ndarray | None
) -> np.ndarray | None:
    if others_KD is None or not len(others_KD):
        return None
    cosine_NK = np.clip(unit(rebuilt_ND) @ unit(others_KD).T, -1.0, 1.0)
    # Strictly further: what is as near as h is no sign that the text is of h.
    further_NK = 2.0 * (1.0 - cosine_NK) > nmse_N[:, None]
    share_N: np.ndarray = further_NK.mean(axis=1)
    return share_N
