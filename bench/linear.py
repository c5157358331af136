"""Least squares, and the choice of a ridge, against scipy, torch and scikit-learn on one thread.

    python -m bench.linear [--rounds 7] [--selection-rounds 3] [--widths 768 1024]

Every variant starts from fp32 rows in memory and ends with an fp64 map through the means. What
they say of held-out rows must agree before anything is timed. The spectrum is a power law with
three outlier dimensions x500, as activations have them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import linalg
from sklearn.linear_model import Ridge, RidgeCV
from threadpoolctl import threadpool_limits

from bench.rounds import interleaved, machine_lines, ratio_table
from interlingua.core.linear import fit, solve
from interlingua.core.moments import FoldMoments, Moments

NUM_ROWS, NUM_HELD_ROWS, NUM_OUTPUTS, NUM_FOLDS, BLOCK_ROWS = 8000, 2000, 1024, 5, 2048
STRENGTHS = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
PARITY = 1e-6

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Rows:
    x_ND: np.ndarray
    y_NE: np.ndarray
    folds_N: np.ndarray


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        for width in options.widths:
            train, held = _world(width)
            _say(f"\n## d = {width}, q = {NUM_OUTPUTS}, N = {NUM_ROWS}, 1 thread, fp64")
            _bench_fit(train, held, options.rounds)
            _bench_selection(train, options.selection_rounds)
    _say("", *machine_lines())


def _bench_fit(train: Rows, held: Rows, num_rounds: int) -> None:
    variants: dict[str, Callable[[], Predict]] = {
        "ours": lambda: _ours(train),
        "scipy gelsy": lambda: _scipy(train, "gelsy"),
        "torch gelsy": lambda: _torch(train, "gelsy"),
        "torch gels": lambda: _torch(train, "gels"),
        "sklearn Ridge": lambda: _sklearn(train),
    }
    scores = {
        name: _fve_centred(variant()(held.x_ND), held.y_NE) for name, variant in variants.items()
    }
    _require_parity(scores, "held-out fve_centred at ridge 0")
    timings = interleaved(variants, num_rounds=num_rounds)
    ours_s = min(timing.cpu_s for timing in timings["ours"])
    _say(*ratio_table(timings, ours="ours"), "", _share_of_limit(train.x_ND.shape[1], ours_s))


def _bench_selection(train: Rows, num_rounds: int) -> None:
    variants: dict[str, Callable[[], float]] = {
        "ours": lambda: _select_ours(train),
        "refit Ridge": lambda: _select_by_refits(train),
    }
    _require_parity(
        {name: variant() for name, variant in variants.items()},
        "least fold error over output variance",
    )
    # Leave-one-out ignores passages, so that its choice is not comparable: timed, not checked.
    rivals = variants | {"RidgeCV (leave-one-out)": lambda: _select_by_ridge_cv(train)}
    _say(f"{NUM_FOLDS} folds x {len(STRENGTHS)} strengths, then the fit on all rows:", "")
    _say(*ratio_table(interleaved(rivals, num_rounds=num_rounds), ours="ours"))


def _ours(train: Rows) -> Predict:
    moments = Moments.empty(train.x_ND.shape[1], NUM_OUTPUTS)
    for start in range(0, NUM_ROWS, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        moments.join(Moments.of_rows(train.x_ND[block], train.y_NE[block]))
    return solve(moments, ridge=0.0, centred=True)


def _centred(train: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mean_x_D = train.x_ND.mean(axis=0, dtype=np.float64)
    mean_y_E = train.y_NE.mean(axis=0, dtype=np.float64)
    return mean_x_D, mean_y_E, train.x_ND - mean_x_D, train.y_NE - mean_y_E


def _scipy(train: Rows, driver: str) -> Predict:
    mean_x_D, mean_y_E, x_ND, y_NE = _centred(train)
    weight_DE = linalg.lstsq(
        x_ND, y_NE, lapack_driver=driver, overwrite_a=True, overwrite_b=True, check_finite=False
    )[0]
    return lambda new_ND: (new_ND - mean_x_D) @ weight_DE + mean_y_E


def _torch(train: Rows, driver: str) -> Predict:
    mean_x_D, mean_y_E, x_ND, y_NE = _centred(train)
    solution = torch.linalg.lstsq(torch.from_numpy(x_ND), torch.from_numpy(y_NE), driver=driver)
    weight_DE = solution.solution.numpy()
    return lambda new_ND: (new_ND - mean_x_D) @ weight_DE + mean_y_E


def _sklearn(train: Rows) -> Predict:
    ridge = Ridge(alpha=0.0, copy_X=False)
    return ridge.fit(train.x_ND.astype(np.float64), train.y_NE.astype(np.float64)).predict


def _select_ours(train: Rows) -> float:
    folds = FoldMoments.empty(train.x_ND.shape[1], NUM_OUTPUTS, num_folds=NUM_FOLDS)
    for start in range(0, NUM_ROWS, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        folds.add(train.x_ND[block], train.y_NE[block], train.folds_N[block])
    errors = fit(folds, strengths=STRENGTHS, centred=True).report.fold_errors
    return min(errors.values()) / float(train.y_NE.var(axis=0, dtype=np.float64).sum())


def _select_by_refits(train: Rows) -> float:
    x_ND, y_NE = train.x_ND.astype(np.float64), train.y_NE.astype(np.float64)
    errors_S = np.zeros(len(STRENGTHS))
    for fold in range(NUM_FOLDS):
        held_N = train.folds_N == fold
        x_train_ND, y_train_NE = x_ND[~held_N], y_NE[~held_N]
        scale = x_train_ND.var(axis=0).mean() * len(x_train_ND)
        for index, strength in enumerate(STRENGTHS):
            ridge = Ridge(alpha=strength * scale).fit(x_train_ND, y_train_NE)
            errors_S[index] += np.sum((y_NE[held_N] - ridge.predict(x_ND[held_N])) ** 2)
    best = STRENGTHS[int(np.argmin(errors_S))]
    Ridge(alpha=best * x_ND.var(axis=0).mean() * NUM_ROWS).fit(x_ND, y_NE)
    return float(errors_S.min() / NUM_ROWS / y_NE.var(axis=0).sum())


def _select_by_ridge_cv(train: Rows) -> float:
    x_ND, y_NE = train.x_ND.astype(np.float64), train.y_NE.astype(np.float64)
    scale = x_ND.var(axis=0).mean() * NUM_ROWS
    return float(RidgeCV(alphas=np.array(STRENGTHS) * scale).fit(x_ND, y_NE).alpha_)


def _world(width: int) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(0)
    amplitude_D = 1 / np.arange(1, width + 1)
    turn_DD = np.linalg.qr(rng.standard_normal((width, width)))[0]
    weight_DE = rng.standard_normal((width, NUM_OUTPUTS))
    parts = []
    for num_rows in (NUM_ROWS, NUM_HELD_ROWS):
        latent_ND = rng.standard_normal((num_rows, width)) * amplitude_D
        x_ND = latent_ND @ turn_DD + 0.5
        x_ND[:, :3] *= 500
        y_NE = latent_ND @ weight_DE + rng.standard_normal((num_rows, NUM_OUTPUTS)) + 1
        folds_N = rng.integers(0, NUM_FOLDS, num_rows)
        parts.append(Rows(x_ND.astype(np.float32), y_NE.astype(np.float32), folds_N))
    return parts[0], parts[1]


def _fve_centred(predicted_NE: np.ndarray, y_NE: np.ndarray) -> float:
    y_NE = y_NE.astype(np.float64)
    error = np.sum((y_NE - predicted_NE) ** 2)
    return float(1 - error / np.sum((y_NE - y_NE.mean(axis=0)) ** 2))


def _require_parity(scores: dict[str, float], what: str) -> None:
    spread = max(scores.values()) - min(scores.values())
    if not spread <= PARITY:
        raise SystemExit(f"{what} differs by {spread:.1e}, nothing was timed: {scores}")
    _say(f"parity: {what} is {scores['ours']:.9f} and differs by {spread:.1e} between variants", "")


def _share_of_limit(width: int, ours_s: float) -> str:
    """Ours against the fp64 matrix product rate measured here: the arithmetic cannot be skipped."""
    square = np.random.default_rng(0).standard_normal((2048, 2048))
    rates = []
    for _ in range(3):
        start_s = time.process_time()
        square @ square.T.copy()
        rates.append(2 * 2048**3 / (time.process_time() - start_s))
    num_flops = NUM_ROWS * width * (width + 2 * NUM_OUTPUTS) + width**3 / 3
    num_flops += 2 * width**2 * NUM_OUTPUTS
    limit_s, rate = num_flops / max(rates), max(rates) / 1e9
    return f"limit {limit_s:.3f} CPU s at {rate:.0f} GFLOP/s: ours reaches {limit_s / ours_s:.0%}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--selection-rounds", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="+", default=[768, 1024])
    return parser.parse_args()


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
