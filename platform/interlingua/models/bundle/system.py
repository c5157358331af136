"""What an evaluation, a page or a notebook talks to: an NLA in this process, or behind a URL.

h: raw activations [N, D] of a host; a: vectors that texts stand for. Opens no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypedDict, Unpack, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from interlingua.models.bundle.display import Place, counted_words, table_html
from interlingua.models.bundle.verbalization import Verbalization

# Called with row, sample and the text so far, whenever a sample is one token longer.
OnToken = Callable[[int, int, str], None]


class SamplingOptions(TypedDict, total=False):
    """The fields of `Sampling`, as keywords of a call."""

    n: int
    temperature: float
    seed: int
    max_new_tokens: int
    banned: Sequence[int]
    prefix: str
    keys: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How many texts are drawn of an activation, and how; keywords of every call that draws.

    Attributes:
        n: how many texts of each activation.
        temperature: 0 is greedy, 1 the AV's own distribution.
        seed: with `keys` it fixes the draws.
        max_new_tokens: what is not ended by then has no explanation.
        banned: ids that are never drawn.
        prefix: what every text begins with, as if it had been drawn.
        keys: one for each activation; without them all have one key, so that a vector and a seed
            give the same texts in every call.
    """

    n: int = 1
    temperature: float = 0.0
    seed: int = 0
    max_new_tokens: int = 128
    banned: Sequence[int] = ()
    prefix: str = ""
    keys: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n}; it must be at least 1")
        if not self.temperature >= 0:
            raise ValueError(f"temperature is {self.temperature}; it must not be negative")
        if self.temperature == 0 and self.n > 1:
            raise ValueError(f"n is {self.n} at temperature 0; greedy text is one")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")

    def keys_of(self, count: int) -> Sequence[str]:
        """The keys of so many activations."""
        if self.keys and len(self.keys) != count:
            raise ValueError(f"keys holds {len(self.keys)} for {count} activations; give one each")
        return self.keys or ["0"] * count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """Raw activations of a host, a row for everything that was read, in the order of the texts.

    Attributes:
        host: the tag of the host.
        h_ND: the activations [N, D].
        texts: of every row, which of the texts it is of.
        positions: of every row its token; None: as the NLA was trained to read a text.
        places: of every row its text and what was read of it; empty where that is not known.
    """

    host: str
    h_ND: np.ndarray
    texts: Sequence[int]
    positions: Sequence[int | None]
    places: Sequence[Place] = ()

    def __repr__(self) -> str:
        rows, width = self.h_ND.shape
        return f"<Activations of {self.host}: {counted_words(rows, 'row')}, {width} wide>"

    def _repr_html_(self) -> str:
        cells = (
            [
                str(self.texts[row]),
                "as trained" if position is None else str(position),
                self.places[row].html() if self.places else "",
                f"{np.linalg.norm(self.h_ND[row]):.3g}",
            ]
            for row, position in enumerate(self.positions)
        )
        rows, width = self.h_ND.shape
        caption = f"{self.host}: {counted_words(rows, 'activation')}, {width} wide"
        return table_html(caption, ["text", "token", "read", "norm"], cells)


def given(activations: Any, host: str | None) -> tuple[Any, str | None, Sequence[Place]]:
    """Vectors, their host, and where they were read if they are what `read` returned."""
    # Any: a tensor, too, where torch is.
    if not isinstance(activations, Activations):
        return activations, host, ()
    if host not in (None, activations.host):
        raise ValueError(f"host is {host!r}; the activations were read of {activations.host}")
    return activations.h_ND, activations.host, activations.places


class System(Protocol):
    """Activations to texts and back."""

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of the hosts that it knows."""

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None = None
    ) -> Activations:
        """The activations of texts; `positions` are tokens, a list for every text."""

    def verbalize(
        self,
        activations: ArrayLike,
        host: str,
        *,
        on_token: OnToken | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[list[Verbalization]]:
        """`n` texts for every row of raw activations [N, D]; greedy where nothing else is asked."""

    def verbalize_zero(
        self, count: int, host: str, **sampling: Unpack[SamplingOptions]
    ) -> list[list[Verbalization]]:
        """What the AV writes `count` times when it is shown no vector, but zeros: a control."""

    def reconstruct(self, texts: Sequence[str | None], host: str | None = None) -> np.ndarray:
        """[N, D] in the units of n(h), or shared vectors [N, E]; rows of NaN for no text."""


class Likelihoods(NamedTuple):
    """How probable texts are: -log p of each, in nats, and over how many tokens."""

    nll_N: np.ndarray
    num_tokens_N: np.ndarray


@runtime_checkable
class ScoresText(Protocol):
    """A system that says how probable its AV finds a text."""

    def nll(self, activations: ArrayLike, texts: Sequence[str], host: str) -> Likelihoods:
        """Of every text as the explanation of the activation in its row."""


@runtime_checkable
class Completes(Protocol):
    """A system whose hosts write on; one whose hosts end behind the block that is read is none."""

    def complete(
        self, prompts: Sequence[str], host: str, **sampling: Unpack[SamplingOptions]
    ) -> list[list[str]]:
        """`n` continuations of every prompt."""


@runtime_checkable
class Patches(Protocol):
    """A system whose hosts go on from an activation that was replaced; cut hosts cannot."""

    def patched_logits(
        self,
        prompts: Sequence[str],
        host: str,
        positions: Sequence[int],
        activations: ArrayLike,
    ) -> np.ndarray:
        """[N, V]: the last logits of every prompt with its activation at its position replaced."""
