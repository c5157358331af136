"""Requests to an AV on their way through its engine, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interlingua.models.bundle.system import Sampling
from interlingua.models.pair.prompts import AvPrompt, EmbeddedPrompt
from interlingua.models.sampling.running import Sample
from interlingua.serving.backend import Piece

# Called in the engine's thread: with pieces, or with the error that ends the request.
OnPieces = Callable[[Sequence[Piece] | Exception], None]


@dataclass(slots=True, eq=False, kw_only=True)
class Request:
    """Activations of one host to verbalize alike; over with its last sample, or with an error."""

    host: str
    v_NE: Tensor  # where there is a prompt, one row that is not looked at
    shares: Sequence[float | None]  # of every row: how much of `fit` is nearer to the mean
    sampling: Sampling
    on_pieces: OnPieces
    wants_partial: bool
    deadline: float  # of time.monotonic
    prompt: EmbeddedPrompt | None = None  # None: the bundle's own, of the host
    num_left: int = field(init=False)
    is_over: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.num_left = len(self.v_NE) * self.sampling.n

    def end(self, error: Exception) -> None:
        """Give an error in the place of what is left."""
        if not self.is_over:
            self.is_over = True
            self.on_pieces(error)


@dataclass(slots=True, eq=False, kw_only=True)
class Row:
    """One activation of a request, with the samples of it that are being drawn."""

    request: Request
    number: int
    prompt: AvPrompt | EmbeddedPrompt
    samples: list[Sample] = field(default_factory=list)
    handed_out: set[int] = field(default_factory=set)  # samples whose end its client has seen
    suspects: object = None  # those that it may be drawn with, once the model failed on them all

    @property
    def num_tokens(self) -> int:
        """What it takes of the cache, at the most."""
        longest = len(self.prompt.ids_T) + self.request.sampling.max_new_tokens
        return self.request.sampling.n * longest

    def is_like(self, other: "Row") -> bool:
        """Whether the two can be prefilled together."""
        if isinstance(self.prompt, EmbeddedPrompt) or isinstance(other.prompt, EmbeddedPrompt):
            return self is other
        is_same_prompt = torch.equal(self.prompt.ids_T, other.prompt.ids_T)
        return is_same_prompt and self.request.sampling.n == other.request.sampling.n

    def begin_again(self, suspects: object) -> None:
        """Forget what was drawn, and be drawn with none but these the next time."""
        self.suspects = suspects
        for sample in self.samples:
            sample.ids.clear()
            sample.log_probs.clear()
            sample.has_ended = sample.ended_itself = False
