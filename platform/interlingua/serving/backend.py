"""What the protocols stand on: the models of one bundle, wherever they run. Opens no model.

Routes know HTTP and this Protocol; engines in this process, or replicas of Ray Serve, answer it.
h: raw activations [N, D] of a host; n(h): at the norm sqrt(D); D a host's width.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization


class Refused(ValueError):
    """A request that cannot be answered: which field, and what would help. HTTP 400."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.field, str(self))  # it crosses processes with both arguments


class Busy(Exception):
    """The queue is full; nothing was begun. HTTP 429 with Retry-After."""


class NotAvailable(Exception):
    """Something that these models do not have, as the end of a cut host. HTTP 503."""


class TimedOut(Exception):
    """The request took longer than it may. HTTP 408."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostCard:
    """What is known of a host without opening it.

    `mean_D` is the mean of n(h) on `fit`; `others_KD` are n(h) of other passages of `fit`, by which
    a reconstruction is compared with one that belongs to something else. None: the bundle has none.
    """

    tag: str
    width: int
    block_index: int
    num_blocks: int | None  # of the published model; None where its configuration is not here
    max_tokens: int
    reads: str  # pooled | last_token | token | sentence
    reads_from: int  # the first sentence or token of a text that was ever read; 0 of whole texts
    dtype: str
    is_here: bool  # whether its model can be opened, so that texts can be read
    mean_D: np.ndarray
    others_KD: np.ndarray | None
    is_whole: bool = False  # whether the blocks behind that one are here, so that it can complete

    @property
    def variance(self) -> float:
        """The NMSE of the mean on n(h) of `fit`, the denominator of FVE: 1 - |mean|^2 / D."""
        return 1 - float(np.square(self.mean_D).sum()) / self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may ask for, and how much waits before others are turned away."""

    max_input_chars: int = 65_536
    max_positions: int = 512
    max_new_tokens: int = 1024
    max_rows: int = 512  # activations of one request
    max_samples: int = 64  # of one activation
    max_description_chars: int = 8192
    max_completion_tokens: int = 512
    max_body_bytes: int = 64 * 2**20
    max_batch_rows: int = 64  # of one forward
    max_batch_tokens: int = 65_536
    max_queued_rows: int = 1024
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A bundle as its clients see it."""

    name: str
    trunk: str
    stage: str  # sft | rl
    anchor: str
    width: int  # of the shared space
    num_slots: int
    rule: str  # replace | after_block
    has_affine: bool
    hosts: Mapping[str, HostCard]
    limits: Limits
    created_at: int  # seconds since 1970
    digest: str | None = None  # of its manifest, which has a hash of every file
    is_centred: bool = False  # the AV is shown n(h) less its host's mean, not n(h)
    names_host: bool = False  # the AV's prompt says whose activation it is
    devices: Mapping[str, str] = field(default_factory=dict)  # of hosts, av and ar, where known

    @property
    def obstacle(self) -> str | None:
        """Why a client that knows only the public sidecar cannot write a vector into the prompt."""
        if self.rule != "replace":
            return "its vectors go in behind a block, which no input embedding can express"
        if self.num_slots > 1 or self.has_affine:
            return f"its vectors go through {self.num_slots} slots with maps of their own"
        if self.is_centred:
            return "its AV is shown activations less their host's mean; use /v1/verbalize"
        if self.names_host:
            return "its prompt names the host, which the public sidecar has no field for"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat."""

    role: str
    content: str
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text, or messages that the host's chat template makes one of; one of the two is None."""

    text: str | None = None
    messages: tuple[Message, ...] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    enable_thinking: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a prompt. Where bytes of one character are several tokens, all have its text.

    `start` and `end` are its characters in the text, first and behind the last: code points, as in
    Python. Both are where the token stands if it has none, as a special one that was added.
    """

    text: str
    id: int
    position: int
    start: int
    end: int
    fragment_index: int = 0
    fragment_count: int = 1
    role: str | None = None  # of the message that it is of; None where there are no messages
    section: str | None = None  # header | content | footer | scaffold
    channel: str | None = None
    message_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A prompt as a host read it: its tokens, and raw activations of some, or one of the whole."""

    text: str
    tokens: tuple[Token, ...]
    positions: tuple[int | None, ...]  # of every row, from 0; None: the whole text as in training
    h_ND: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sample that became longer, or ended: then `done` is there.

    `tokens` are of `complete` alone, all that it drew so far, at their places behind the prompt.
    """

    row: int
    sample: int
    text: str  # so far, with its tags
    done: Verbalization | None = None
    num_tokens: int | None = None  # drawn so far, the one that ended it among them; None: unknown
    is_cut: bool = False  # it ended because `max_new_tokens` were drawn
    tokens: tuple[Token, ...] = ()


class Backend(Protocol):
    """The models of one bundle. Every call raises Refused, Busy, TimedOut or NotAvailable.

    A call that is cancelled leaves the queue, and what it drew so far stops within a step.
    """

    card: Card

    async def tokenize(self, host: str, prompt: Prompt) -> Reading:
        """The tokens of a prompt; no rows are read."""

    async def read(
        self, host: str, prompt: Prompt, positions: Sequence[int] | None, *, whole: bool = False
    ) -> Reading:
        """Activations at positions (negative: from the end), at all for None, or of the whole."""

    def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        """Texts of raw activations; rows and samples end in any order.

        Pieces of unfinished samples come only where they are wanted.
        """

    def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        """The same of zeros in place of vectors: what the AV writes without any."""

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """[N, D] in the units of n(h) of a host, or shared vectors [N, E]."""

    def complete(self, host: str, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Piece]:
        """A host's own continuation of a prompt; NotAvailable where its blocks were cut."""

    def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Piece]:
        """The AV's text after texts and rows of its input embeddings [T, E], in this order.

        Rows are as the trunk's first block gets them. With `as_chat` the trunk's chat template is
        put around the parts; without it they are the whole prompt. Refused where a vector of this
        bundle does not go in as an embedding (a rule that writes behind a block).
        """
