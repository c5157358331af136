"""The published hosts as data: the universal pool, its anchor, the released single-host models.

Sizes are those of the text model. Knows no weights: tests build every host on the meta device and
compare the parameter count with the published one.
"""

from difflib import get_close_matches

from interlingua.specs.hosts import AtBlock, AtDepth, HostRole, PoolHost, Quirk

HALF = AtDepth(fraction=0.5)


def pool_host(tag: str) -> PoolHost:
    """The published host of this tag."""
    hosts = {host.tag: host for host in (*UNIVERSAL_POOL, *SINGLE_HOSTS)}
    if tag not in hosts:
        near = get_close_matches(tag, hosts, n=3, cutoff=0.4) or sorted(hosts)
        raise ValueError(f"host tag is {tag!r}, which is not in the pool; near: {', '.join(near)}")
    return hosts[tag]


# fmt: off
UNIVERSAL_POOL = (
    PoolHost(
        tag="qwen3-1p7b", hub_id="Qwen/Qwen3-1.7B", model_type="qwen3", role=HostRole.ANCHOR,
        width=2048, num_blocks=28, num_heads=16, num_kv_heads=8, head_dim=128,
        intermediate_width=6144, vocab_size=151_936, max_positions=40_960, tied_embeddings=True,
        dtype="bfloat16", num_parameters=1_720_574_976, block=HALF,
    ),
    PoolHost(
        tag="qwen2p5-0p5b", hub_id="Qwen/Qwen2.5-0.5B", model_type="qwen2", role=HostRole.TRAINED,
        width=896, num_blocks=24, num_heads=14, num_kv_heads=2, head_dim=64,
        intermediate_width=4864, vocab_size=151_936, max_positions=32_768, tied_embeddings=True,
        dtype="bfloat16", num_parameters=494_032_768, block=HALF,
    ),
    PoolHost(
        tag="smollm2-360m", hub_id="HuggingFaceTB/SmolLM2-360M", model_type="llama",
        role=HostRole.TRAINED, width=960, num_blocks=32, num_heads=15, num_kv_heads=5, head_dim=64,
        intermediate_width=2560, vocab_size=49_152, max_positions=8192, tied_embeddings=True,
        dtype="bfloat16", num_parameters=361_821_120, block=HALF,
        quirks=(Quirk.FP16_POOLING_OVERFLOWS,),
    ),
    PoolHost(
        tag="gpt2-medium", hub_id="openai-community/gpt2-medium", model_type="gpt2",
        role=HostRole.TRAINED, width=1024, num_blocks=24, num_heads=16, num_kv_heads=16,
        head_dim=64, intermediate_width=4096, vocab_size=50_257, max_positions=1024,
        tied_embeddings=True, dtype="float32", num_parameters=354_823_168, block=HALF,
        quirks=(Quirk.FP16_POOLING_OVERFLOWS, Quirk.NO_PAD_TOKEN),
    ),
    PoolHost(
        tag="bloom-560m", hub_id="bigscience/bloom-560m", model_type="bloom",
        role=HostRole.TRAINED, width=1024, num_blocks=24, num_heads=16, num_kv_heads=16,
        head_dim=64, intermediate_width=4096, vocab_size=250_880, max_positions=2048,
        tied_embeddings=True, dtype="float32", num_parameters=559_214_592, block=HALF,
        quirks=(Quirk.FP16_FORWARD_OVERFLOWS,),
    ),
    PoolHost(
        tag="pythia-410m", hub_id="EleutherAI/pythia-410m-deduped", model_type="gpt_neox",
        role=HostRole.TRAINED, width=1024, num_blocks=24, num_heads=16, num_kv_heads=16,
        head_dim=64, intermediate_width=4096, vocab_size=50_304, max_positions=2048,
        tied_embeddings=False, dtype="float16", num_parameters=405_334_016, block=HALF,
    ),
    PoolHost(
        tag="phi-1p5", hub_id="microsoft/phi-1_5", model_type="phi", role=HostRole.TRAINED,
        width=2048, num_blocks=24, num_heads=32, num_kv_heads=32, head_dim=64,
        intermediate_width=8192, vocab_size=51_200, max_positions=2048, tied_embeddings=False,
        dtype="float16", num_parameters=1_418_270_720, block=HALF,
    ),
    PoolHost(
        tag="qwen3-4b", hub_id="Qwen/Qwen3-4B", model_type="qwen3", role=HostRole.TRAINED,
        width=2560, num_blocks=36, num_heads=32, num_kv_heads=8, head_dim=128,
        intermediate_width=9728, vocab_size=151_936, max_positions=40_960, tied_embeddings=True,
        dtype="bfloat16", num_parameters=4_022_468_096, block=HALF,
    ),
    PoolHost(
        tag="gemma4-e4b", hub_id="google/gemma-4-E4B", model_type="gemma4_text",
        role=HostRole.TRAINED, width=2560, num_blocks=42, num_heads=8, num_kv_heads=2,
        head_dim=256, intermediate_width=10_240, vocab_size=262_144, max_positions=131_072,
        tied_embeddings=True, dtype="bfloat16", num_parameters=None, block=HALF,
        family_fields=(("hidden_size_per_layer_input", 256), ("num_kv_shared_layers", 18)),
        quirks=(Quirk.PER_LAYER_EMBEDDINGS, Quirk.MULTIMODAL_WRAPPER,
                Quirk.FP16_FORWARD_OVERFLOWS),
        unconfirmed=("num_parameters",),
    ),
    PoolHost(
        tag="qwen3-0p6b", hub_id="Qwen/Qwen3-0.6B-Base", model_type="qwen3", role=HostRole.TRAINED,
        width=1024, num_blocks=28, num_heads=16, num_kv_heads=8, head_dim=128,
        intermediate_width=3072, vocab_size=151_936, max_positions=32_768, tied_embeddings=True,
        dtype="bfloat16", num_parameters=596_049_920, block=HALF,
    ),
    PoolHost(
        tag="nemotron-mini-4b", hub_id="nvidia/Nemotron-Mini-4B-Instruct", model_type="nemotron",
        role=HostRole.TRAINED, width=3072, num_blocks=32, num_heads=24, num_kv_heads=8,
        head_dim=128, intermediate_width=9216, vocab_size=256_000, max_positions=4096,
        tied_embeddings=False, dtype="bfloat16", num_parameters=None, block=HALF,
        unconfirmed=("num_blocks", "num_heads", "num_kv_heads", "head_dim", "tied_embeddings",
                     "num_parameters"),
    ),
    PoolHost(
        tag="smollm3-3b", hub_id="HuggingFaceTB/SmolLM3-3B", model_type="smollm3",
        role=HostRole.TRAINED, width=2048, num_blocks=36, num_heads=16, num_kv_heads=4,
        head_dim=128, intermediate_width=11_008, vocab_size=128_256, max_positions=65_536,
        tied_embeddings=True, dtype="bfloat16", num_parameters=3_075_098_624, block=HALF,
        unconfirmed=("max_positions",),
    ),
    PoolHost(
        tag="gpt-neo-1p3b", hub_id="EleutherAI/gpt-neo-1.3B", model_type="gpt_neo",
        role=HostRole.TRAINED, width=2048, num_blocks=24, num_heads=16, num_kv_heads=16,
        head_dim=128, intermediate_width=8192, vocab_size=50_257, max_positions=2048,
        tied_embeddings=True, dtype="float32", num_parameters=1_315_575_808, block=HALF,
        quirks=(Quirk.NO_PAD_TOKEN,),
    ),
    # base weights; the released single-host model of this size reads the instruct ones
    PoolHost(
        tag="qwen2p5-7b", hub_id="Qwen/Qwen2.5-7B", model_type="qwen2", role=HostRole.TRAINED,
        width=3584, num_blocks=28, num_heads=28, num_kv_heads=4, head_dim=128,
        intermediate_width=18_944, vocab_size=152_064, max_positions=131_072,
        tied_embeddings=False, dtype="bfloat16", num_parameters=7_615_616_512,
        block=AtBlock(index=20),
    ),
    PoolHost(
        tag="lfm-7b", hub_id="LiquidAI/LFM2-1.2B", model_type="lfm2", role=HostRole.HELD_OUT,
        width=2048, num_blocks=16, num_heads=32, num_kv_heads=8, head_dim=64,
        # the published 12288 is cut to two thirds when the blocks are built
        intermediate_width=8192, vocab_size=65_536, max_positions=128_000, tied_embeddings=True,
        dtype="bfloat16", num_parameters=1_170_340_608, block=HALF,
        family_fields=(("full_attn_idxs", (2, 5, 8, 10, 12, 14)),),
        quirks=(Quirk.CONVOLUTION_BLOCKS, Quirk.TAG_OVERSTATES_SIZE),
    ),
    PoolHost(
        tag="deepseek-llm-7b", hub_id="deepseek-ai/deepseek-llm-7b-base", model_type="llama",
        role=HostRole.HELD_OUT, width=4096, num_blocks=30, num_heads=32, num_kv_heads=32,
        head_dim=128, intermediate_width=11_008, vocab_size=102_400, max_positions=4096,
        tied_embeddings=False, dtype="bfloat16", num_parameters=6_910_365_696, block=HALF,
        quirks=(Quirk.PICKLED_WEIGHTS,),
    ),
    PoolHost(
        tag="yagpt-5-8b", hub_id="yandex/YandexGPT-5-Lite-8B-pretrain", model_type="llama",
        role=HostRole.HELD_OUT, width=4096, num_blocks=32, num_heads=32, num_kv_heads=8,
        head_dim=128, intermediate_width=14_336, vocab_size=129_024, max_positions=32_768,
        tied_embeddings=False, dtype="bfloat16", num_parameters=None, block=HALF,
        quirks=(Quirk.NO_FAST_TOKENIZER,),
        unconfirmed=("num_blocks", "num_heads", "num_kv_heads", "head_dim", "intermediate_width",
                     "vocab_size", "tied_embeddings", "num_parameters"),
    ),
    PoolHost(
        tag="rugpt3-large", hub_id="ai-forever/rugpt3large_based_on_gpt2", model_type="gpt2",
        role=HostRole.HELD_OUT, width=1536, num_blocks=24, num_heads=16, num_kv_heads=16,
        head_dim=96, intermediate_width=6144, vocab_size=50_257, max_positions=2048,
        tied_embeddings=True, dtype="float32", num_parameters=None, block=HALF,
        unconfirmed=("num_blocks", "num_heads", "head_dim", "vocab_size", "num_parameters"),
    ),
    # the published pool also used Vikhrmodels/Vikhr-7b-0.1 under this tag
    PoolHost(
        tag="vikhr-7b-01", hub_id="Vikhrmodels/Vikhr-7B-instruct_0.1", model_type="mistral",
        role=HostRole.HELD_OUT, width=4096, num_blocks=32, num_heads=32, num_kv_heads=8,
        head_dim=128, intermediate_width=14_336, vocab_size=40_002, max_positions=32_768,
        tied_embeddings=False, dtype="bfloat16", num_parameters=None, block=HALF,
        unconfirmed=("vocab_size", "max_positions", "dtype", "num_parameters"),
    ),
)

SINGLE_HOSTS = (
    PoolHost(
        tag="qwen2p5-7b-it", hub_id="Qwen/Qwen2.5-7B-Instruct", model_type="qwen2",
        role=HostRole.SINGLE, width=3584, num_blocks=28, num_heads=28, num_kv_heads=4,
        head_dim=128, intermediate_width=18_944, vocab_size=152_064, max_positions=32_768,
        tied_embeddings=False, dtype="bfloat16", num_parameters=7_615_616_512,
        block=AtBlock(index=20),
    ),
    PoolHost(
        tag="qwen3-8b", hub_id="Qwen/Qwen3-8B", model_type="qwen3", role=HostRole.SINGLE,
        width=4096, num_blocks=36, num_heads=32, num_kv_heads=8, head_dim=128,
        intermediate_width=12_288, vocab_size=151_936, max_positions=40_960,
        tied_embeddings=False, dtype="bfloat16", num_parameters=8_190_735_360,
        block=AtBlock(index=24),
    ),
    PoolHost(
        tag="gemma3-12b-it", hub_id="google/gemma-3-12b-it", model_type="gemma3_text",
        role=HostRole.SINGLE, width=3840, num_blocks=48, num_heads=16, num_kv_heads=8,
        head_dim=256, intermediate_width=15_360, vocab_size=262_208, max_positions=131_072,
        tied_embeddings=True, dtype="bfloat16", num_parameters=11_766_034_176,
        block=AtBlock(index=32),
        quirks=(Quirk.MULTIMODAL_WRAPPER, Quirk.FP16_FORWARD_OVERFLOWS, Quirk.GATED_DOWNLOAD),
    ),
    PoolHost(
        tag="gemma3-27b-it", hub_id="google/gemma-3-27b-it", model_type="gemma3_text",
        role=HostRole.SINGLE, width=5376, num_blocks=62, num_heads=32, num_kv_heads=16,
        head_dim=128, intermediate_width=21_504, vocab_size=262_208, max_positions=131_072,
        tied_embeddings=True, dtype="bfloat16", num_parameters=27_009_346_304,
        block=AtBlock(index=41),
        quirks=(Quirk.MULTIMODAL_WRAPPER, Quirk.FP16_FORWARD_OVERFLOWS, Quirk.GATED_DOWNLOAD),
    ),
    PoolHost(
        tag="llama3p3-70b-it", hub_id="meta-llama/Llama-3.3-70B-Instruct", model_type="llama",
        role=HostRole.SINGLE, width=8192, num_blocks=80, num_heads=64, num_kv_heads=8,
        head_dim=128, intermediate_width=28_672, vocab_size=128_256, max_positions=131_072,
        tied_embeddings=False, dtype="bfloat16", num_parameters=70_553_706_496,
        block=AtBlock(index=53), quirks=(Quirk.NO_PAD_TOKEN, Quirk.GATED_DOWNLOAD),
    ),
)
# fmt: on
