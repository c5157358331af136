"""The tokenizers of the published repositories as data: kind, special tokens, class, files.

Their words are not here: tokenizers.py makes them of texts of the embedded world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

JSON, CONFIG, PIECES = "tokenizer.json", "tokenizer_config.json", "tokenizer.model"
VOCAB, MERGES = "vocab.json", "merges.txt"
END, CHAT = "<|endoftext|>", ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TURNS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = TURNS.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)
SENTENCE = ("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A published tokenizer but for its words; `split` is what is cut before bytes are merged."""

    special: tuple[str, ...]
    eos: str
    class_name: str
    bos: str | None = None
    pad: str | None = None
    unk: str | None = None
    has_pieces: bool = False  # of sentencepiece; else byte-level
    begins_with_bos: bool = False
    split: str | None = None
    template: str | None = None
    files: tuple[str, ...] = (JSON, CONFIG)
    also: Mapping[str, object] = field(default_factory=dict)  # in tokenizer_config.json

    def named(self) -> dict[str, str]:
        """The special tokens that have a role, by role."""
        roles = {"bos": self.bos, "eos": self.eos, "pad": self.pad, "unk": self.unk}
        return {role: token for role, token in roles.items() if token is not None}


# fmt: off
GPT2 = Vocabulary(
    special=(END,), bos=END, eos=END, unk=END, class_name="GPT2Tokenizer",
    files=(JSON, CONFIG, VOCAB, MERGES),
)
QWEN = Vocabulary(
    special=CHAT, eos=END, pad=END, class_name="Qwen2Tokenizer", split=WORDS, template=TURNS,
    files=(JSON, CONFIG, VOCAB, MERGES),
)
QWEN3 = Vocabulary(
    special=(*CHAT, "<think>", "</think>"), eos="<|im_end|>", pad=END, split=WORDS,
    class_name="Qwen2Tokenizer", template=THINKING, files=(JSON, CONFIG, VOCAB, MERGES),
)
LLAMA = Vocabulary(
    special=("<unk>", "<s>", "</s>"), bos="<s>", eos="</s>", unk="<unk>", has_pieces=True,
    begins_with_bos=True, class_name="LlamaTokenizer", files=(PIECES, JSON, CONFIG),
)
VOCABULARIES = {
    "Qwen/Qwen3-1.7B": QWEN3,
    "Qwen/Qwen3-4B": QWEN3,
    "Qwen/Qwen3-8B": QWEN3,
    "syvb/nanonla-qwen3-8b-L24-av": QWEN3,
    "Qwen/Qwen3-0.6B-Base": QWEN3,
    "Qwen/Qwen2.5-0.5B": QWEN,
    "Qwen/Qwen2.5-7B": QWEN,
    "HuggingFaceTB/SmolLM2-360M": Vocabulary(
        special=CHAT, bos=END, eos=END, unk=END, class_name="GPT2Tokenizer", split=r"\p{N}",
        files=(JSON, CONFIG, VOCAB, MERGES),
    ),
    "openai-community/gpt2-medium": GPT2,
    "EleutherAI/gpt-neo-1.3B": GPT2,
    "bigscience/bloom-560m": Vocabulary(
        special=("<unk>", "<s>", "</s>", "<pad>"), bos="<s>", eos="</s>", pad="<pad>",
        unk="<unk>", class_name="BloomTokenizerFast", split=r" ?[^(\s|[.,!?])]+",
    ),
    "EleutherAI/pythia-410m-deduped": Vocabulary(
        special=(END, "<|padding|>"), bos=END, eos=END, unk=END, class_name="GPTNeoXTokenizer",
    ),
    "microsoft/phi-1_5": Vocabulary(
        special=(END,), bos=END, eos=END, unk=END, class_name="CodeGenTokenizer",
        files=(JSON, CONFIG, VOCAB, MERGES),
    ),
    "google/gemma-4-E4B": Vocabulary(
        special=("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|image>", "<|audio>"),
        bos="<bos>", eos="<eos>", pad="<pad>", unk="<unk>", class_name="GemmaTokenizer",
        has_pieces=True, begins_with_bos=True,
        # A list, where transformers had a dictionary of names before.
        also={"extra_special_tokens": ["<|image>", "<|audio>"]},
    ),
    "nvidia/Nemotron-Mini-4B-Instruct": Vocabulary(
        special=("<unk>", "<s>", "</s>", "<extra_id_0>", "<extra_id_1>"), bos="<s>", eos="</s>",
        unk="<unk>", class_name="PreTrainedTokenizerFast", has_pieces=True,
    ),
    "HuggingFaceTB/SmolLM3-3B": Vocabulary(
        special=("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"),
        eos="<|im_end|>", pad="<|im_end|>", class_name="PreTrainedTokenizerFast", split=WORDS,
        template=TURNS,
    ),
    "LiquidAI/LFM2-1.2B": Vocabulary(
        special=("<|pad|>", "<|startoftext|>", *CHAT), bos="<|startoftext|>", eos="<|im_end|>",
        pad="<|pad|>", class_name="PreTrainedTokenizerFast", begins_with_bos=True, split=WORDS,
        template="{{ bos_token }}" + TURNS,
    ),
    "deepseek-ai/deepseek-llm-7b-base": Vocabulary(
        special=SENTENCE, bos=SENTENCE[0], eos=SENTENCE[1], pad=SENTENCE[1], split=r"\p{N}",
        class_name="LlamaTokenizerFast", begins_with_bos=True,
    ),
    "yandex/YandexGPT-5-Lite-8B-pretrain": Vocabulary(
        special=LLAMA.special, bos="<s>", eos="</s>", unk="<unk>", has_pieces=True,
        begins_with_bos=True, class_name="LlamaTokenizer", files=(PIECES, CONFIG),
    ),
    "Vikhrmodels/Vikhr-7B-instruct_0.1": LLAMA,
    "ai-forever/rugpt3large_based_on_gpt2": Vocabulary(
        special=("<pad>", "<s>", "</s>", "<unk>", "<mask>"), bos="<s>", eos="</s>", pad="<pad>",
        unk="<unk>", class_name="GPT2Tokenizer", files=(CONFIG, VOCAB, MERGES),
    ),
}
# fmt: on
