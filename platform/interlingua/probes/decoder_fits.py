"""Six ways to fit a decoder, as they were published or proposed: ours among those it replaces.

`pinv` and `enc_refit` never see what the AR makes of a text. The others are fitted on it:
`direct_uncentred` as published, `direct_centred` as the stage `decoder` does, and two networks that
start from the latter: a small one, stopped on held-out passages, and one as published, which was
not. Knows no model, no metric and no file.

n is n(h), an activation at the norm sqrt(D); e its encoding and v = n(e); a the AR's vector of a
text. N rows, P passages, D the width of the host, E that of the shared space.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import linalg

from interlingua.core.geometry import has_direction, norms, rescale
from interlingua.core.linear import fit_blocks
from interlingua.core.maps import Encoder
from interlingua.core.moments import folds_of
from interlingua.core.small_mlp import fitted_mlp, widened
from interlingua.specs.maps import RidgeSpec

HELD_SHARE = 0.1  # of the passages: where the MLP is stopped
EPSILON = float(np.finfo(np.float64).eps)

Decode = Callable[[np.ndarray], np.ndarray]


class DecoderFit(StrEnum):
    """The fits: the rows that each is fitted on, and the method."""

    PINV = "pinv"  # nothing: the encoder's pseudo-inverse
    ENC_REFIT = "enc_refit"  # ridge v -> n(h), v the encoded activations: the wrong objective
    DIRECT_UNCENTRED = "direct_uncentred"  # least squares a -> n(h), no intercept, no ridge
    DIRECT_CENTRED = "direct_centred"  # ridge a -> n(h) about the means: ours
    MLP = "mlp"  # ours on nine tenths of the passages, and a network for what it leaves
    MLP_PUBLISHED = "mlp_published"  # ours, and a wide network beside it that nothing stops


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitRows:
    """The `fit` rows of one host, a row a text; every n(h) is finite.

    `a_NE`: the AR's vector of the AV's own T=1 explanation, NaN where there was none. `v_NE`: n(e),
    which the AV was given. `passages_N`: ids, which decide folds.
    """

    a_NE: np.ndarray
    n_ND: np.ndarray
    v_NE: np.ndarray
    passages_N: np.ndarray
    encoder: Encoder

    def mean_D(self) -> np.ndarray:
        """The mean n(h) of all rows: the constant predictor."""
        return np.asarray(self.n_ND.mean(axis=0, dtype=np.float64))

    def read(self) -> "FitRows":
        """The rows with an explanation, in fp64."""
        is_read_N = has_direction(self.a_NE)
        return self.where(is_read_N, rescale(np.asarray(self.a_NE[is_read_N], np.float64)))

    def where(self, is_taken_N: np.ndarray, a_NE: np.ndarray) -> "FitRows":
        """The rows where `is_taken_N`, with these a in place of their own."""
        return replace(
            self,
            a_NE=a_NE,
            n_ND=self.n_ND[is_taken_N],
            v_NE=self.v_NE[is_taken_N],
            passages_N=self.passages_N[is_taken_N],
        )

    def saying(self, a_E: np.ndarray) -> "FitRows":
        """The same rows, as an AV would leave them that writes one text about all of them."""
        return replace(self, a_NE=np.broadcast_to(a_E, self.a_NE.shape))


def decoders_of_activations(rows: FitRows, ridge: RidgeSpec) -> dict[DecoderFit, Decode]:
    """Decoders fitted on activations alone: the same for every AV and AR."""
    return {
        DecoderFit.PINV: _or_mean(_pinv(rows), rows),
        DecoderFit.ENC_REFIT: _or_mean(_ridge(rows.v_NE, rows, ridge), rows),
    }


def decoders_of_texts(
    rows: FitRows, ridge: RidgeSpec, *, seed: int, has_wide: bool = True
) -> dict[DecoderFit, Decode]:
    """Decoders fitted on the AR's vectors; the mean for all where too few texts were read.

    Without the wide network it takes a second less a host.
    """
    read = rows.read()
    is_held_N = _is_held(read.passages_N, seed)
    # A ridge is chosen between two folds at least; the MLP's, which has the fewest rows, decides.
    if len(np.unique(_folds(read.passages_N[~is_held_N], ridge))) < 2:
        fits = [DecoderFit.DIRECT_UNCENTRED, DecoderFit.DIRECT_CENTRED, DecoderFit.MLP]
        fits += [DecoderFit.MLP_PUBLISHED] if has_wide else []
        return dict.fromkeys(fits, _constant(rows))
    linear = _ridge(read.a_NE, read, ridge)
    found: dict[DecoderFit, Decode] = {
        DecoderFit.DIRECT_UNCENTRED: _uncentred(read),
        DecoderFit.DIRECT_CENTRED: linear,
        DecoderFit.MLP: _mlp(read, ridge, is_held_N, seed=seed),
    }
    if has_wide:
        rest = widened(read.a_NE, read.n_ND - linear(read.a_NE), seed=seed)
        found[DecoderFit.MLP_PUBLISHED] = lambda a_NE: linear(a_NE) + rest(a_NE)
    return {name: _or_mean(decode, rows) for name, decode in found.items()}


def _pinv(rows: FitRows) -> Decode:
    # Normalising e to v took its length away: it gets the usual length of `fit` back.
    lengths_N = norms(rows.encoder(rows.n_ND))
    length = float(np.sqrt(np.mean(lengths_N**2) / rows.v_NE.shape[1]))
    inverse_DE = length * linalg.pinv(rows.encoder.weight_ED)
    # a is not centred: it is taken for v itself, as if the AR made no error.
    return lambda a_NE: np.asarray(rows.encoder.mean_D + a_NE @ inverse_DE.T)


def _uncentred(rows: FitRows) -> Decode:
    # The cut of torch.linalg.lstsq, by which it was published: scipy's own takes rounding for rank
    # where all rows are alike.
    cut = EPSILON * max(rows.a_NE.shape)
    weight_ED, *_ = linalg.lstsq(rows.a_NE, rows.n_ND, cond=cut, lapack_driver="gelsy")
    return lambda a_NE: np.asarray(a_NE @ weight_ED)


def _ridge(x_NE: np.ndarray, rows: FitRows, ridge: RidgeSpec) -> Decode:
    # Folds by passage: by row, texts of one passage would choose too weak a ridge.
    return fit_blocks([(x_NE, rows.n_ND, _folds(rows.passages_N, ridge))], ridge)


def _mlp(rows: FitRows, ridge: RidgeSpec, is_held_N: np.ndarray, *, seed: int) -> Decode:
    train = rows.where(~is_held_N, rows.a_NE[~is_held_N])
    start = _ridge(train.a_NE, train, ridge)
    # The ridge is fitted without the held rows, too: else what it leaves there is too small, and
    # the network would be stopped by rows that were fitted.
    rest = fitted_mlp(rows.a_NE, rows.n_ND - start(rows.a_NE), is_held_N, seed=seed)
    return lambda a_NE: start(a_NE) + rest(a_NE)


def _folds(passages_N: np.ndarray, ridge: RidgeSpec) -> np.ndarray:
    return folds_of(map(str, passages_N), ridge.num_folds)


def _is_held(passages_N: np.ndarray, seed: int) -> np.ndarray:
    """True for a share of the passages, chosen by content: neither order nor rows matter."""
    passages_P = np.unique(passages_N)
    # Ordered by a digest: a generator would choose all anew where one more passage is there.
    keys = [hashlib.sha256(f"{seed}|{passage}".encode()).hexdigest() for passage in passages_P]
    num_held = int(np.ceil(HELD_SHARE * len(passages_P)))
    return np.isin(passages_N, passages_P[np.argsort(keys)[:num_held]])


def _or_mean(decode: Decode, rows: FitRows) -> Decode:
    """The decoder, and the mean n(h) of `fit` where there is no text to decode."""
    constant = _constant(rows)

    def decoded(a_NE: np.ndarray) -> np.ndarray:
        is_read_N = np.isfinite(a_NE).all(axis=1)[:, None]
        return np.where(is_read_N, decode(np.where(is_read_N, a_NE, 0.0)), constant(a_NE))

    return decoded


def _constant(rows: FitRows) -> Decode:
    mean_D = rows.mean_D()
    return lambda a_NE: np.broadcast_to(mean_D, (len(a_NE), len(mean_D)))
