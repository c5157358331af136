"""The linear maps of one host: into the shared space, and back. Know no file and no fit.

n(h) is an activation at the norm sqrt(D), a = n(AR(z)) the AR's vector of a text z at sqrt(E).
D is the width of the host, E that of the shared space.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """e = weight (n(h) - mean): a host's direction, centred, in the shared space."""

    weight_ED: np.ndarray
    mean_D: np.ndarray

    def __call__(self, rescaled_ND: np.ndarray) -> np.ndarray:
        """e of every row of n(h)."""
        return np.asarray((rescaled_ND - self.mean_D) @ self.weight_ED.T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoder:
    """h^ = mean + weight (a - centre): from the AR's vector of a text back into a host.

    In the units of n(h): h^ as it is for `fve_linear`, n(h^) for everything else.
    """

    weight_DE: np.ndarray
    centre_E: np.ndarray
    mean_D: np.ndarray

    def __call__(self, a_NE: np.ndarray) -> np.ndarray:
        """h^ of every row of a = n(AR(z)); the mean where there was no text to read."""
        is_read_N = np.isfinite(a_NE).all(axis=1)
        # Replaced and not multiplied by 0: a row without a text is NaN, and 0 times NaN is NaN.
        about_NE = np.where(is_read_N[:, None], a_NE - self.centre_E, 0.0)
        return np.asarray(self.mean_D + about_NE @ self.weight_DE.T)
