"""What an NLA makes of an activation: a text, and the vector that the text stands for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from interlingua.core.familiarity import UNLIKE
from interlingua.core.geometry import cosine, nmse
from interlingua.models.bundle.display import (
    Place,
    counted_words,
    explanation_html,
    table_html,
)


@dataclass(frozen=True, slots=True)
class Verbalization:
    """A text of the AV on one activation.

    Attributes:
        explanation: the text between the AV's tags; None where it did not close them.
        raw_text: all that was drawn, with its tags.
        log_prob: log p of the whole text, in nats.
        share_nearer: the share of the host's activations of `fit` that are nearer to their mean
            than this one: an AV explains any vector fluently, also one that is unlike all it
            learned from. None where there were too few rows to say.
        num_tokens: how many tokens were drawn, the one that ended the text among them; None where
            that is not known.
    """

    explanation: str | None
    raw_text: str
    log_prob: float
    share_nearer: float | None = None
    num_tokens: int | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether the activation is further out than 99% of those of `fit`."""
        return self.share_nearer is not None and self.share_nearer > UNLIKE

    def __repr__(self) -> str:
        unlike = ", unlike" if self.is_unlike else ""
        return f"<Verbalization {self.explanation!r}, log p {self.log_prob:.1f}{unlike}>"

    def _repr_html_(self) -> str:
        return table_html("Verbalization", ["explanation", "log p"], [self.cells()])

    def cells(self) -> list[str]:
        """Its explanation and its probability, for a table."""
        text = explanation_html(self.explanation, is_unlike=self.is_unlike)
        return [text, f"{self.log_prob:.1f}"]


class Verbalizations(list[list[Verbalization]]):
    """The samples of every activation: a list of lists that a notebook draws as a table.

    `places` says where each activation was read, if that is known.
    """

    def __init__(
        self, rows: Iterable[list[Verbalization]], places: Sequence[Place] = (), host: str = ""
    ) -> None:
        super().__init__(rows)
        self.places, self.host = places, host

    def _repr_html_(self) -> str:
        rows = [
            [*_read_at(self.places, row), *one.cells()]
            for row, samples in enumerate(self)
            for one in samples
        ]
        caption = f"{self.host}: {counted_words(len(rows), 'text')}"
        return table_html(caption, [*_read_head(self.places), "explanation", "log p"], rows)


@dataclass(frozen=True, slots=True, eq=False)
class RoundTrip:
    """An activation, its explanation, and its reconstruction.

    Without an explanation nothing is rebuilt: `rebuilt_D` is NaN, the cosine 0 and the NMSE 2, as
    in an evaluation.

    Attributes:
        verbalization: what the AV wrote.
        activation_D: the activation at the norm sqrt(D), n(h).
        rebuilt_D: what the AR and the host's decoder make of the explanation, in units of n(h).
        cosine: of the two.
        nmse: 2 (1 - cosine).
        mean_cosine: the cosine that the mean activation of `fit` has: what a constant gets, without
            any text. None where it is not known, as behind a URL.
        place: where the activation was read, if that is known.
    """

    verbalization: Verbalization
    activation_D: np.ndarray
    rebuilt_D: np.ndarray
    cosine: float
    nmse: float
    mean_cosine: float | None = None
    place: Place | None = None

    def __repr__(self) -> str:
        constant = "" if self.mean_cosine is None else f" (a constant: {self.mean_cosine:.2f})"
        explanation = self.verbalization.explanation
        return f"<RoundTrip {explanation!r}, cosine {self.cosine:.2f}{constant}>"

    def _repr_html_(self) -> str:
        return RoundTrips([self])._repr_html_()


class RoundTrips(list[RoundTrip]):
    """Round trips: a list that a notebook draws as a table."""

    def _repr_html_(self) -> str:
        places = [one.place for one in self if one.place is not None]
        has_places = len(places) == len(self)
        head = ["explanation", "cosine", "cosine of a constant"]
        rows = (
            [
                *(_read_at(places, row) if has_places else []),
                one.verbalization.cells()[0],
                f"<strong>{one.cosine:.2f}</strong>",
                "not known" if one.mean_cosine is None else f"{one.mean_cosine:.2f}",
            ]
            for row, one in enumerate(self)
        )
        caption = f"{counted_words(len(self), 'activation')}, put into words and back"
        return table_html(caption, [*(_read_head(places) if has_places else []), *head], rows)


def round_trips_of(
    verbalizations: Sequence[Verbalization],
    n_ND: np.ndarray,
    rebuilt_ND: np.ndarray,
    *,
    mean_D: np.ndarray | None = None,
    places: Sequence[Place] = (),
) -> RoundTrips:
    """Activations at the norm sqrt(D), what was made of each, and how near it came back."""
    # A zero points nowhere: its cosine is 0.
    found_ND = np.where(np.isnan(rebuilt_ND), 0.0, rebuilt_ND)
    cosines, errors = cosine(found_ND, n_ND), nmse(found_ND, n_ND)
    constants = None if mean_D is None else cosine(np.broadcast_to(mean_D, n_ND.shape), n_ND)
    return RoundTrips(
        RoundTrip(
            verbalization=one,
            activation_D=n_ND[row],
            rebuilt_D=rebuilt_ND[row],
            cosine=float(cosines[row]),
            nmse=float(errors[row]),
            mean_cosine=None if constants is None else float(constants[row]),
            place=places[row] if places else None,
        )
        for row, one in enumerate(verbalizations)
    )


def _read_head(places: Sequence[Place]) -> list[str]:
    return ["read"] if places else []


def _read_at(places: Sequence[Place], row: int) -> list[str]:
    return [places[row].html()] if places else []
