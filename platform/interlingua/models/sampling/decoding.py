"""Explanations drawn from an AV, many rows at a time. Knows no host and judges no text.

Left out: top-k, top-p and beams (a policy's loss must see the distribution that was drawn from),
and captured graphs for a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.buffered_cache import require_plain_cache
from interlingua.models.sampling.drawing import uniforms
from interlingua.models.sampling.ending import Decoded, Ending
from interlingua.models.sampling.grouped_attention import grouped_attention
from interlingua.models.sampling.running import Sample
from interlingua.models.sampling.session import Session
from interlingua.specs.training import SamplingSpec

# Called with the number of a sample, those of a row together, and with what it is so far.
OnDrawn = Callable[[int, Decoded], None]


class Decoder:
    """Draws samples from an AV as it is at the time of a call."""

    def __init__(self, verbalizer: Verbalizer, tokenizer: PreTrainedTokenizerBase) -> None:
        require_plain_cache(verbalizer.trunk.model)
        self._verbalizer = verbalizer
        self.ending = Ending(verbalizer.trunk.model, tokenizer)

    def __call__(
        self,
        prompt: AvPrompt,
        v_BD: Tensor,
        keys: Sequence[str],
        spec: SamplingSpec,
        *,
        banned_V: Tensor | None = None,
        prefix_ids: Sequence[int] = (),
        on_drawn: OnDrawn | None = None,
    ) -> list[list[Decoded]]:
        """`spec.samples` samples of every row; the seed and a row's key fix its draws."""
        _require_rows(v_BD, keys)
        samples = [
            Sample(
                uniforms_T=uniforms_T,
                temperature=spec.temperature,
                banned_V=banned_V,
                prefix_ids=tuple(prefix_ids),
            )
            for uniforms_T in uniforms(keys, spec).numpy()
        ]
        with self.evaluating():
            session = self.session()
            drawn = session.join(prompt.continued(prefix_ids), v_BD, samples)
            while drawn:
                if on_drawn is not None:
                    numbers = {id(sample): number for number, sample in enumerate(samples)}
                    for sample in drawn:
                        on_drawn(numbers[id(sample)], session.decoded(sample))
                drawn = session.step()
        decoded = [session.decoded(sample) for sample in samples]
        return [decoded[i : i + spec.samples] for i in range(0, len(decoded), spec.samples)]

    def session(self) -> Session:
        """An empty session of this AV."""
        return Session(self._verbalizer, self.ending)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Run the AV without dropout, with the attention that is fast for one token."""
        # With dropout on, a second pass over a sample would not find its log_probs again.
        was_training = self._verbalizer.training
        self._verbalizer.eval()
        try:
            with grouped_attention(self._verbalizer.trunk.model):
                yield
        finally:
            self._verbalizer.train(was_training)


def _require_rows(v_BD: Tensor, keys: Sequence[str]) -> None:
    if len(keys) != len(v_BD):
        raise ValueError(f"{len(v_BD)} rows have {len(keys)} keys")
    is_finite_B = v_BD.isfinite().all(-1).tolist()
    if bad := [key for key, is_finite in zip(keys, is_finite_B, strict=True) if not is_finite]:
        raise ValueError(f"the vectors of {', '.join(bad)} are not finite; nothing was drawn")
