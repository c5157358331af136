"""Samples of an AV as what an NLA answers, and how far a call has come. Opens no model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from interlingua.models.bundle.system import OnToken, Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.models.sampling.batched import BatchVerbalizer
from interlingua.models.sampling.decoding import OnDrawn
from interlingua.models.sampling.ending import Decoded
from interlingua.specs.training import SamplingSpec


def drawn_rows(
    av: BatchVerbalizer,
    host: str,
    v_NE: Tensor,
    asked: Sampling,
    shares: Sequence[float | None],
    *,
    on_token: OnToken | None = None,
    progress: bool = False,
) -> list[list[Verbalization]]:
    """The samples of every row; `shares` say of each how much of `fit` is nearer to the mean."""
    with counted(len(v_NE), is_shown=progress) as on_batch:
        drawn = av.verbalize(
            host,
            v_NE,
            asked.keys_of(len(v_NE)),
            spec_of(asked),
            banned=asked.banned,
            prefix=asked.prefix,
            on_drawn=by_row(on_token, asked.n),
            on_batch=on_batch,
        )
    return [
        [verbalization_of(sample, share) for sample in samples]
        for samples, share in zip(drawn, shares, strict=True)
    ]


def spec_of(sampling: Sampling) -> SamplingSpec:
    """The same for a sampler, without what is no distribution: bans, the prefix and keys."""
    return SamplingSpec(
        seed=sampling.seed,
        temperature=sampling.temperature,
        samples=sampling.n,
        max_new_tokens=sampling.max_new_tokens,
    )


def verbalization_of(decoded: Decoded, share_nearer: float | None) -> Verbalization:
    """What a sample says of an activation."""
    # The sum over all ids, the one that ended the text among them: log p of the whole text.
    log_prob = sum(decoded.log_probs)
    return Verbalization(
        decoded.explanation, decoded.text, log_prob, share_nearer, len(decoded.ids)
    )


def by_row(on_token: OnToken | None, num_samples: int) -> OnDrawn | None:
    """The callback of a sampler, which numbers samples through, made of one by row and sample."""
    if on_token is None:
        return None
    return lambda number, decoded: on_token(*divmod(number, num_samples), decoded.text)


@contextmanager
def counted(num_rows: int, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, or in a notebook, for calls with how many rows are done.

    Where neither a person nor a notebook looks on, as in a pipe, there is none.
    """
    if not is_shown:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    is_seen = console.is_terminal or console.is_jupyter
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not is_seen) as bar:
        task = bar.add_task("verbalizing", total=num_rows)
        yield lambda done: bar.update(task, completed=done)
