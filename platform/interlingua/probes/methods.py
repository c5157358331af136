"""The published methods side by side on one host: every decoder, predictor and kind of FVE.

Among the predictors are those that know nothing of an activation; a number on which one of them
does well measures something else. Texts are not read here: shares of distinct texts are the
caller's. Knows no model and no file but the table of methods.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.metrics import derangement, fve_drawn, mean_variance, score_rows
from interlingua.core.resampling import Drawn, Draws, combined, difference
from interlingua.core.statistics import Estimate, estimate_of, mean_of_units
from interlingua.probes.decoder_fits import (
    Decode,
    DecoderFit,
    FitRows,
    decoders_of_activations,
    decoders_of_texts,
)
from interlingua.specs.maps import RidgeSpec
from interlingua.store.atomic import write_atomically

METHODS_NAME = "methods.csv"
PASSAGES, DOCUMENTS, HOSTS = "passages", "documents", "hosts"
UNIQUE_SHARE = "unique_share"
READERS: Mapping[str, Callable[[str], Any]] = {
    "value": float, "low": float, "high": float, "num_units": int,
}  # fmt: skip


class MethodPredictor(StrEnum):
    """The source of a prediction; all but the first know nothing of the activation."""

    NLA = "nla"  # AV, AR, decoder
    CONSTANT_VECTOR = "constant_vector"  # the mean n(h) of `fit`, whatever the decoder
    MEAN_A = "mean_a"  # what the decoder makes of the mean a of `fit`
    COLLAPSED_AV = "collapsed_av"  # one explanation for everything; decoders fitted on its rows
    IGNORES_Z = "ignores_z"  # another passage's explanation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredRows:
    """The rows that are scored: a of one explanation each, NaN where there was none."""

    a_NE: np.ndarray
    n_ND: np.ndarray
    passages_N: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodNumber:
    """One number of one host, or a mean over hosts, with a 95% interval and what that covers."""

    fit: str
    predictor: str
    metric: str
    value: float
    low: float
    high: float
    num_units: int
    covers: str


USED = "recipe"  # among the fits: the decoder that the recipe uses, however it was fitted
LESS_DIRECT = f"{MethodPredictor.NLA} - with {DecoderFit.DIRECT_CENTRED}"  # the same rows, paired
Key = tuple[str, str, str]  # fit, predictor, metric


def methods_drawn(
    fit: FitRows,
    scored: ScoredRows,
    draws: Draws,
    *,
    ridge: RidgeSpec,
    unique_shares: Mapping[MethodPredictor, Drawn],
    seed: int,
    used: Decode | None = None,
) -> dict[Key, Drawn]:
    """Every number of one host in the draws of a table.

    `used` is the decoder that the NLA has, however it was fitted.

    `fit` are the rows that decoders are fitted on, `scored` those of another split. `draws` are of
    the scored passages of all hosts, once. `unique_shares`, in the same draws, are of the texts
    behind a predictor, where there are any.
    """
    # Of all `fit` rows, with a text or without: texts must not move a denominator.
    train_variance = mean_variance(fit.n_ND)
    found: dict[Key, Drawn] = {}
    predictions = _predictions(fit, scored, ridge, seed)
    if used is not None:
        own_ND = used(_rescaled(scored.a_NE))
        predictions = chain(predictions, [(USED, MethodPredictor.NLA, own_ND)])
    for method, predictor, predicted_ND in predictions:
        columns = dict(score_rows(predicted_ND, scored.n_ND)._asdict())
        columns["train_variance"] = np.full(len(predicted_ND), train_variance)
        for metric, one in fve_drawn(columns, scored.passages_N, draws).items():
            found[method, predictor, metric] = one
        if predictor in unique_shares:
            found[method, predictor, UNIQUE_SHARE] = unique_shares[predictor]
    return found | dict(_less_direct(found))


def numbers_of_host(drawn: Mapping[Key, Drawn]) -> list[MethodNumber]:
    """The numbers of one host, with passages resampled."""
    return [_number(key, estimate_of(one), PASSAGES) for key, one in drawn.items()]


def means_over_hosts(
    by_host: Mapping[str, Mapping[Key, Drawn]], *, covers: str = PASSAGES
) -> list[MethodNumber]:
    """Means over hosts: once with the units of the draws, alike for all, once with hosts as units.

    Of the numbers that every host has; all must be of the same draws.
    """
    hosts = list(by_host.values())
    numbers = []
    for key in hosts[0]:
        if not all(key in drawn for drawn in hosts):
            continue
        each = [drawn[key] for drawn in hosts]
        # Draw by draw: passages that all hosts share are resampled for all of them at once.
        mean = combined(lambda *values: sum(values) / len(values), *each)
        numbers.append(_number(key, estimate_of(mean), covers))
        if len(each) > 1:
            over_hosts = mean_of_units(np.array([one.value for one in each]))
            numbers.append(_number(key, over_hosts, HOSTS))
    return numbers


def tripped(numbers: Sequence[MethodNumber], *, least_unique_share: float) -> set[str]:
    """Predictors with too few distinct texts: a gate would stop them, whatever their FVE.

    The least share is the caller's, relative to where the AV's training started.
    """
    return {
        number.predictor
        for number in numbers
        if number.metric == UNIQUE_SHARE and number.value < least_unique_share
    }


def write_methods(path: Path, numbers: Sequence[MethodNumber]) -> None:
    """Store the numbers as a tidy table, one a line."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [field.name for field in fields(MethodNumber)], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(asdict(number) for number in numbers)
    with write_atomically(path) as file:
        file.write(text.getvalue().encode())


def read_methods(path: Path) -> list[MethodNumber]:
    """The numbers of a tidy table."""
    with path.open(newline="") as file:
        return [MethodNumber(**_typed(row)) for row in csv.DictReader(file)]


def _less_direct(found: Mapping[Key, Drawn]) -> Iterator[tuple[Key, Drawn]]:
    """Of every other fit, what the NLA has with it more than with the ridge on its own texts."""
    for (method, predictor, metric), one in found.items():
        key = (DecoderFit.DIRECT_CENTRED, predictor, metric)
        if predictor == MethodPredictor.NLA and metric != UNIQUE_SHARE and method != key[0]:
            yield (method, LESS_DIRECT, metric), difference(one, found[key])


def _predictions(
    fit: FitRows, scored: ScoredRows, ridge: RidgeSpec, seed: int
) -> Iterator[tuple[str, MethodPredictor, np.ndarray]]:
    read_NE = fit.read().a_NE
    silent_E = np.full(fit.a_NE.shape[1], np.nan)
    # Without any text both are NaN, and every decoder predicts the mean.
    one_E = _commonest(read_NE) if len(read_NE) else silent_E
    mean_E = read_NE.mean(axis=0) if len(read_NE) else silent_E
    of_activations = decoders_of_activations(fit, ridge)
    decoders = of_activations | decoders_of_texts(fit, ridge, seed=seed)
    # Refitted on what a collapsed AV leaves: decoders of the honest rows do not forgive a collapse,
    # and would hide that a metric does.
    of_one = decoders_of_texts(fit.saying(one_E), ridge, seed=seed, has_wide=False)
    collapsed = of_activations | of_one
    a_NE = _rescaled(scored.a_NE)
    other_N = derangement(scored.passages_N, seed=seed)
    for name, decode in decoders.items():
        yield name, MethodPredictor.NLA, decode(a_NE)
        yield (
            name,
            MethodPredictor.CONSTANT_VECTOR,
            np.broadcast_to(fit.mean_D(), scored.n_ND.shape),
        )
        yield name, MethodPredictor.MEAN_A, _constant_image(decode, mean_E, len(a_NE))
        if name in collapsed:
            image_ND = _constant_image(collapsed[name], one_E, len(a_NE))
            yield name, MethodPredictor.COLLAPSED_AV, image_ND
        yield name, MethodPredictor.IGNORES_Z, decode(a_NE[other_N])


def _constant_image(decode: Decode, a_E: np.ndarray, num_rows: int) -> np.ndarray:
    """One row, repeated: rows of a product may differ by rounding."""
    image_D = decode(a_E[None])[0]
    return np.broadcast_to(image_D, (num_rows, len(image_D)))


def _commonest(read_NE: np.ndarray) -> np.ndarray:
    """The a of the explanation that most rows have, the first of these among equals."""
    _, first_M, times_M = np.unique(read_NE, axis=0, return_index=True, return_counts=True)
    return np.asarray(read_NE[first_M[times_M == times_M.max()].min()])


def _rescaled(a_NE: np.ndarray) -> np.ndarray:
    is_read_N = has_direction(a_NE)
    rescaled_NE = np.full(a_NE.shape, np.nan)
    rescaled_NE[is_read_N] = rescale(np.asarray(a_NE[is_read_N], np.float64))
    return rescaled_NE


def _number(key: Key, estimate: Estimate, covers: str) -> MethodNumber:
    method, predictor, metric = (str(part) for part in key)
    return MethodNumber(
        fit=method, predictor=predictor, metric=metric, covers=covers, **asdict(estimate)
    )


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    return {name: READERS.get(name, str)(text) for name, text in row.items()}
