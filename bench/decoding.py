"""Tokens a second of samples drawn from an AV of Qwen3-0.6B, against Hugging Face `generate`.

    python -m bench.decoding [--rounds 5]

Random weights, full depth and vocabulary, one thread, one prompt with its vector written in. No
sample ends early in any variant: neither dropping ended rows nor their text is in the numbers.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from bench.rounds import Timing, interleaved, machine_lines, ratio_table, say
from bench.synthetic import qwen3_600m
from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.pair.trunk import Trunk
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.decoding import Decoder
from interlingua.models.sampling.ending import Decoded
from interlingua.specs.injection import Replace
from interlingua.specs.training import SamplingSpec

NUM_PROMPT, MARKER_AT = 125, 100
NUM_ACTIVATIONS, NUM_SAMPLES, NUM_NEW = 8, 2, 64
NUM_PARITY_ACTIVATIONS, NUM_PARITY_TOKENS, PARITY = 4, 8, 1e-4
OURS = "ours"


class EndlessTokenizer:
    """What the decoder asks of a tokenizer, where no token ends or closes a text."""

    eos_token_id = None
    pad_token_id = None

    def get_vocab(self) -> dict[str, int]:
        """No token that could close a tag."""
        return {}

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
        """Nobody reads it."""
        return ""


@dataclass(frozen=True, slots=True)
class Work:
    """An AV, a prompt, and the activations to be put into words."""

    verbalizer: Verbalizer
    prompt: AvPrompt
    v_BD: Tensor
    num_samples: int
    num_new: int

    @property
    def model(self) -> PreTrainedModel:
        """The trunk's model, which all variants share."""
        return self.verbalizer.trunk.model

    @property
    def num_rows(self) -> int:
        """Samples of all activations."""
        return len(self.v_BD) * self.num_samples


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    logging.set_verbosity_error()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        _bench(options.rounds)
    say("", *machine_lines())


def random_av(
    config: PreTrainedConfig, dtype: torch.dtype, *, device: str = "cpu"
) -> tuple[Verbalizer, AvPrompt]:
    """An AV with random weights, and a prompt of random tokens with its marker near the end."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    trunk = Trunk(model, find_parts(model), rule=Replace())
    verbalizer = Verbalizer(trunk, None, scale=config.hidden_size**0.5, num_slots=1)
    ids_T = torch.randint(config.vocab_size, (NUM_PROMPT,), generator=_generator())
    return verbalizer, AvPrompt(ids_T, torch.tensor([MARKER_AT])).to(device)


def embedded(verbalizer: Verbalizer, ids_BT: Tensor, v_BD: Tensor) -> Tensor:
    """[B, T, D] as a peer makes it: embeddings with the vectors written over the marker."""
    embeds_BTD = verbalizer.trunk.model.get_input_embeddings()(ids_BT).clone()
    embeds_BTD[:, MARKER_AT] = verbalizer.injected(v_BD)[:, 0].to(embeds_BTD.dtype)
    return embeds_BTD


def _bench(num_rounds: int) -> None:
    config = qwen3_600m()
    verbalizer, prompt = random_av(config, torch.float32)
    v_BD = torch.randn(NUM_ACTIVATIONS, config.hidden_size, generator=_generator())
    say(
        f"### qwen3, {NUM_ACTIVATIONS} activations x {NUM_SAMPLES} samples x {NUM_NEW} tokens, "
        f"prompt of {NUM_PROMPT} with its marker at {MARKER_AT}, bfloat16, 1 thread",
        "",
    )
    _require_parity(Work(verbalizer, prompt, v_BD[:NUM_PARITY_ACTIVATIONS], 1, NUM_PARITY_TOKENS))
    verbalizer.trunk.model.bfloat16()
    work = Work(verbalizer, prompt, v_BD, NUM_SAMPLES, NUM_NEW)
    variants = _variants(work)
    for run in variants.values():
        run()
    timings = interleaved(variants, num_rounds=num_rounds)
    say("", *ratio_table(timings, ours=OURS), "")
    _say_limits(timings, work)


def _variants(work: Work) -> dict[str, Callable[[], object]]:
    return {
        OURS: partial(our_samples, work),
        "generate": partial(generated, work, len(work.v_BD)),
        "generate, in halves": partial(generated, work, len(work.v_BD) // 2),
        "generate, eager attention": partial(_with_attention, "eager", work),
    }


def our_samples(work: Work, *, temperature: float = 1.0) -> list[list[Decoded]]:
    """What the decoder draws."""
    decoder = Decoder(work.verbalizer, EndlessTokenizer())
    spec = SamplingSpec(
        seed=0, temperature=temperature, samples=work.num_samples, max_new_tokens=work.num_new
    )
    return decoder(work.prompt, work.v_BD, [str(n) for n in range(len(work.v_BD))], spec)


@torch.no_grad()
def generated(work: Work, batch: int, **options: object) -> list[object]:
    """`generate` on so many activations at a time; its outputs hold new tokens only."""
    return [_generate_batch(work, v_BD, options) for v_BD in work.v_BD.split(batch)]


def _generate_batch(work: Work, v_BD: Tensor, options: Mapping[str, object]) -> object:
    ids_BT = work.prompt.ids_T.expand(len(v_BD), -1)
    sampling = {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
    return work.model.generate(
        inputs_embeds=embedded(work.verbalizer, ids_BT, v_BD),
        attention_mask=torch.ones_like(ids_BT),
        num_return_sequences=work.num_samples,
        max_new_tokens=work.num_new,
        **(sampling | options),
    )


def _with_attention(name: str, work: Work) -> list[object]:
    work.model.set_attn_implementation(name)
    try:
        return generated(work, len(work.v_BD))
    finally:
        work.model.set_attn_implementation("sdpa")


def _require_parity(work: Work) -> None:
    """Stop unless greedy ids are `generate`'s, and log probabilities too, which the vectors move.

    Random weights repeat themselves whatever is injected: equal ids alone would prove little.
    """
    ours = [samples[0] for samples in our_samples(work, temperature=0)]
    greedy = {"do_sample": False, "top_k": None, "top_p": None, "temperature": None}
    seen = {"output_logits": True, "return_dict_in_generate": True}
    (peer,) = generated(work, len(work.v_BD), **greedy, **seen)
    log_p_BTV = torch.stack(peer.logits, dim=1).float().log_softmax(-1)
    peer_BT = log_p_BTV.gather(2, peer.sequences[..., None])[..., 0].cpu()
    ours_BT = torch.tensor([sample.log_probs for sample in ours])
    error = float((ours_BT - peer_BT).abs().max())
    moved = float((ours_BT[:, 0] - ours_BT[0, 0]).abs()[1:].min())
    if peer.sequences.tolist() != [list(sample.ids) for sample in ours] or not error <= PARITY:
        raise SystemExit(f"generate differs from ours, in log p by {error:.1e}: nothing was timed")
    if not moved > 10 * error:
        raise SystemExit(f"another vector moves log p by {moved:.1e} only: parity shows nothing")
    say(
        f"parity: in fp32 {ours_BT.numel()} greedy ids are equal, log p differs by at most "
        f"{error:.1e}; another vector moves the first by at least {moved:.1e}"
    )


def _say_limits(timings: Mapping[str, list[Timing]], work: Work) -> None:
    """Tokens a second, what FLOPs allow the ratio to be, and our products timed alone."""
    ours_s = [t.cpu_s for t in timings[OURS]]
    limit = _flops(work, is_shared=False) / _flops(work, is_shared=True)
    num_tokens = work.num_rows * work.num_new
    say("| variant | tokens/CPU s | FLOP limit of the ratio | share of it |", "|---|---|---|---|")
    for name, variant in timings.items():
        rate = num_tokens / median(t.cpu_s for t in variant)
        ratio = median(t.cpu_s / own for t, own in zip(variant, ours_s, strict=True))
        of_limit = "1 | |" if name == OURS else f"{limit:.2f} | {ratio / limit:.0%} |"
        say(f"| {name} | {rate:.1f} | {of_limit}")
    products_s = _products_s(work)
    say(
        "",
        f"ours: its matrix products with weights alone, at the same numbers of rows, take "
        f"{products_s:.2f} CPU s, {products_s / median(ours_s):.0%} of all",
    )


def _prompt_tokens(work: Work, *, is_shared: bool) -> int:
    """What runs through the blocks before the first token is drawn."""
    if not is_shared:
        return work.num_rows * len(work.prompt.ids_T)
    num_shared = work.prompt.num_shared
    return num_shared + len(work.v_BD) * (len(work.prompt.ids_T) - num_shared)


def _flops(work: Work, *, is_shared: bool) -> float:
    """Products with weights; attention's own are left out."""
    blocks = sum(linear.weight.numel() for linear in _block_linears(work.model))
    num_tokens = _prompt_tokens(work, is_shared=is_shared) + work.num_rows * (work.num_new - 1)
    head = work.model.get_output_embeddings().weight.numel() * work.num_rows * work.num_new
    return 2.0 * (blocks * num_tokens + head)


@torch.no_grad()
def _products_s(work: Work) -> float:
    """CPU seconds of every product with a weight, one after the other: a floor, bytes included."""
    blocks, head = _block_linears(work.model), [work.model.get_output_embeddings()]
    num_shared, num_rows = work.prompt.num_shared, work.num_rows
    num_own = _prompt_tokens(work, is_shared=True) - num_shared
    prompt_s = _linears_s(blocks, num_shared) + _linears_s(blocks, num_own)
    step_s = median(_linears_s([*blocks, *head], num_rows) for _ in range(5))
    return prompt_s + work.num_new * step_s


def _linears_s(linears: list[nn.Linear], num_rows: int) -> float:
    inputs = {n: torch.randn(num_rows, n).bfloat16() for n in {x.in_features for x in linears}}
    start_s = time.process_time()
    for linear in linears:
        linear(inputs[linear.in_features])
    return time.process_time() - start_s


def _block_linears(model: PreTrainedModel) -> list[nn.Linear]:
    blocks = find_parts(model, check=False).blocks
    return [part for part in blocks.modules() if isinstance(part, nn.Linear)]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
