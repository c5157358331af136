"""A host of known truth: vectors around a mean, an exact encoder, an AR that turns and mutes."""

import numpy as np

from interlingua.core.geometry import rescale
from interlingua.core.maps import Encoder
from interlingua.probes.decoder_fits import FitRows
from interlingua.probes.methods import ScoredRows
from interlingua.specs.maps import RidgeSpec

RIDGE = RidgeSpec(strengths=(1e-4, 1e-3, 1e-2, 1e-1, 1.0), num_folds=5)
ROWS_EACH = 2


def host(
    *,
    pull: float = 2.0,
    distorts: bool = True,
    noise: float = 0.3,
    offset: float = 0.0,
    num_rows: tuple[int, int] = (600, 300),
    num_shared: int = 16,
    width: int = 24,
    seed: int = 0,
) -> tuple[FitRows, ScoredRows]:
    """Rows of `fit` and rows to score, so many of each, two a passage.

    `pull`: length of the mean in units of what varies. The AR turns the shared space and mutes half
    of it where it distorts; it adds noise, and `offset` in every dimension (0 is a centred space).
    """
    rng = np.random.default_rng(seed)
    num_fit, num_all = num_rows[0], sum(num_rows)
    content_NE = rng.standard_normal((num_all, num_shared))
    mix_ED = rng.standard_normal((num_shared, width)) / np.sqrt(num_shared)
    mean_D = pull * rescale(rng.standard_normal((1, width)))[0]
    h_ND = mean_D + content_NE @ mix_ED + 0.05 * rng.standard_normal((num_all, width))
    n_ND = rescale(h_ND)
    centre_D = n_ND[:num_fit].mean(axis=0)
    weight_DE = np.linalg.lstsq(n_ND[:num_fit] - centre_D, content_NE[:num_fit], rcond=None)[0]
    encoder = Encoder(weight_ED=weight_DE.T, mean_D=centre_D)
    v_NE = rescale(encoder(n_ND))
    a_NE = _distorted(v_NE, rng) if distorts else v_NE
    a_NE = rescale(a_NE + noise * rng.standard_normal(a_NE.shape) + offset)
    passages_N = np.array([f"passage {row // ROWS_EACH}" for row in range(num_all)])
    fit, scored = slice(None, num_fit), slice(num_fit, None)
    fit_rows = FitRows(
        a_NE=a_NE[fit], n_ND=n_ND[fit], v_NE=v_NE[fit], passages_N=passages_N[fit], encoder=encoder
    )
    return fit_rows, ScoredRows(a_NE=a_NE[scored], n_ND=n_ND[scored], passages_N=passages_N[scored])


def _distorted(v_NE: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    width = v_NE.shape[1]
    turn_EE = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return (v_NE * np.where(np.arange(width) % 2, 0.1, 1.0)) @ turn_EE
