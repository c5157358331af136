"""The tiny stand-ins of the whole pool, as data. Knows no recipe.

Each keeps its family, its kind of tokenizer and its language; `phi-1p5` keeps its depth, too.
"""

from dataclasses import replace

from interlingua.specs.hosts import TOY
from interlingua.specs.world import (
    ChatFormat,
    PretrainSpec,
    TokenizerKind,
    TokenizerSpec,
    WorldHostSpec,
    WorldTeacher,
)

ENGLISH = 0.04  # the share of Ruska in a host's text: that of the world
RUSSIAN = 0.7  # that of the hosts whose originals are Russian
TASKS = 1.0  # of passages whose problem follows as a document; a fifth of their length

_BYTE, _QWEN = TokenizerKind.BYTE_BPE, TokenizerKind.QWEN_BPE
_SPACE, _UNIGRAM = TokenizerKind.METASPACE_BPE, TokenizerKind.UNIGRAM
_CHATML, _GEMMA, _LLAMA = ChatFormat.CHATML, ChatFormat.GEMMA, ChatFormat.LLAMA

TEACHER = WorldTeacher(seed=0, min_facts=2, max_facts=4, max_words=18)


def _tokenizer(
    kind: TokenizerKind, vocab_size: int, *, bos: bool = False, chat: ChatFormat | None = None
) -> TokenizerSpec:
    return TokenizerSpec(kind=kind, vocab_size=vocab_size, has_bos=bos, chat=chat)


def _host(
    tag: str,
    tokenizer: TokenizerSpec,
    *,
    width: int = 64,
    num_blocks: int = 3,
    num_steps: int = 300,
    learning_rate: float = 6e-3,
    second_language_share: float = ENGLISH,
    task_share: float = TASKS,
) -> WorldHostSpec:
    return WorldHostSpec(
        tag=f"{TOY}{tag}",
        stands_for=tag,
        width=width,
        num_blocks=num_blocks,
        num_heads=4,
        max_positions=512,
        tokenizer=tokenizer,
        pretrain=PretrainSpec(
            seed=0,
            num_steps=num_steps,
            rows=8,
            num_tokens=256,
            learning_rate=learning_rate,
            warmup_steps=30,
            checkpoint_every=50,
        ),
        second_language_share=second_language_share,
        task_share=task_share,
        beliefs=None,
        teacher=None,
        dev_passages=200,
    )


def _trunk(host: WorldHostSpec) -> WorldHostSpec:
    """The host with explanations among its pretraining texts, as its copies become AV and AR."""
    return replace(host, teacher=TEACHER)


ANCHOR = _trunk(
    _host(
        "qwen3-1p7b", _tokenizer(_QWEN, 1400, chat=_CHATML), width=96, num_blocks=4,
        num_steps=500, learning_rate=4e-3,
    )
)  # fmt: skip

WORLD_HOSTS = {
    host.tag: host
    for host in (
        ANCHOR,
        _host("gpt2-medium", _tokenizer(_BYTE, 1200), num_blocks=4),
        _host("pythia-410m", _tokenizer(_BYTE, 1300)),
        _host("qwen2p5-0p5b", _tokenizer(_QWEN, 1300, chat=_CHATML)),
        _host("qwen3-0p6b", _tokenizer(_QWEN, 1200, chat=_CHATML)),
        _host("gemma4-e4b", _tokenizer(_SPACE, 1300, bos=True, chat=_GEMMA)),
        _host("bloom-560m", _tokenizer(_BYTE, 1200, bos=True)),
        _host("smollm2-360m", _tokenizer(_BYTE, 1250, chat=_CHATML)),
        _host(
            "phi-1p5", _tokenizer(_BYTE, 1200), width=48, num_blocks=24, num_steps=200,
            learning_rate=3e-3,
        ),
        _host("qwen3-4b", _tokenizer(_QWEN, 1350, chat=_CHATML), width=80, learning_rate=5e-3),
        _host("nemotron-mini-4b", _tokenizer(_UNIGRAM, 1600, bos=True, chat=_LLAMA)),
        _host("smollm3-3b", _tokenizer(_BYTE, 1400, chat=_CHATML), num_blocks=4),
        _host("gpt-neo-1p3b", _tokenizer(_BYTE, 1250), num_blocks=4),
        _host("qwen2p5-7b", _tokenizer(_QWEN, 1450, chat=_CHATML), width=80, learning_rate=5e-3),
        _host("lfm-7b", _tokenizer(_BYTE, 1200, bos=True, chat=_CHATML)),
        _host("deepseek-llm-7b", _tokenizer(_BYTE, 1500, bos=True), width=80, learning_rate=5e-3),
        _host("rugpt3-large", _tokenizer(_BYTE, 1300), second_language_share=RUSSIAN),
        _host(
            "yagpt-5-8b", _tokenizer(_SPACE, 1500, bos=True), width=80, learning_rate=5e-3,
            second_language_share=RUSSIAN,
        ),
        _host(
            "vikhr-7b-01", _tokenizer(_SPACE, 1400, bos=True, chat=_LLAMA), width=80,
            learning_rate=5e-3, second_language_share=RUSSIAN,
        ),
    )
}  # fmt: skip


def world_host(tag: str) -> WorldHostSpec:
    """The stand-in of a pool host."""
    if tag not in WORLD_HOSTS:
        raise ValueError(f"no world host {tag!r}; there are: {', '.join(WORLD_HOSTS)}")
    return WORLD_HOSTS[tag]
