"""Scores 64 explanations of 896 tokens over 150,000 words: by how many bytes memory grew: <out>.

Their logits at once are 34 GB. An address space below that makes asking for them an error.
"""

import resource
import sys
from pathlib import Path

import torch

from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.prompts import IGNORED, AvPrompt
from interlingua.models.pair.trunk import Trunk
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import Replace
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

ROWS, NUM_TOKENS, VOCAB, WIDTH = 64, 896, 150_000, 8
NUM_WHOLE, LEAST_TOKENS = 4, 16  # all whole it takes a minute, and 1.4 GB
ADDRESS_SPACE = 16 * 2**30
PROMPT = AvPrompt(torch.tensor([5, 6, 8, 50, 50, 9, 7]), torch.tensor([3, 4]))


def verbalizer():
    """Of one block."""
    config = tiny_config(
        pool_host("qwen3-1p7b"),
        width=WIDTH,
        num_blocks=1,
        num_heads=2,
        vocab_size=VOCAB,
        max_positions=1024,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )
    model = fresh_model(config, seed=0).eval()
    trunk = Trunk(model, find_parts(model), rule=Replace())
    return Verbalizer(trunk, None, scale=1.0, num_slots=2)


def peak_bytes():
    """Of this process's memory so far."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(out):
    """Score a few whole rows, and others that are padded to their length."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    av, generator = verbalizer(), torch.Generator().manual_seed(0)
    response_BT = torch.randint(3, VOCAB, (ROWS, NUM_TOKENS), generator=generator)
    response_BT[NUM_WHOLE:, LEAST_TOKENS:] = IGNORED
    v_BD = torch.randn(ROWS, WIDTH, generator=generator)
    before = peak_bytes()
    with torch.no_grad():
        nll_BT = av.nll(PROMPT, v_BD, response_BT)
    assert torch.equal(nll_BT > 0, response_BT != IGNORED)
    out.write_text(str(peak_bytes() - before))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
