"""The seven versions of the universal NLA as published: one AV and one AR for many hosts.

Knows no recipe and no file. Where sources contradict each other or say nothing, a comment says
what was chosen and why; what a reader of the results must know is in `notes`, too.
"""

from dataclasses import replace

from interlingua.published.hosts import pool_host
from interlingua.published.run import (
    ALL_LINEAR,
    AR_TEMPLATE,
    ONE_SLOT,
    WATCH,
    CorpusSpec,
    HostBlock,
    PublishedRun,
)
from interlingua.specs.extraction import Pooled
from interlingua.specs.injection import BosRule, Readout
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec, OptimSpec, RateDecay

AV_TEMPLATE = """\
You are a meticulous AI researcher investigating activation vectors from {host_tag}, a small \
open-weight language model. Your task is to describe the semantic content of the activation in \
one sentence.

We pass the vector inside <concept> tags. Reply with the description inside <explanation> tags.

Here is the vector:

<concept>{injection_char}</concept>

Please provide the description."""

# Version 3 mixed both; the older part of its corpus is that of versions 1 and 2, though the version
# notes give version 1 the newer teacher. From version 4 on the code names the newer one, a later
# comparison Sonnet 4.6.
OLDER_TEACHER, TEACHER = "qwen/qwen3-8b", "qwen/qwen-2.5-7b-instruct"

FIVE = ("qwen2p5-0p5b", "smollm2-360m", "gpt2-medium", "bloom-560m", "pythia-410m")
THIRTEEN = (
    *FIVE, "gpt-neo-1p3b", "qwen3-0p6b", "qwen3-4b", "qwen2p5-7b", "nemotron-mini-4b",
    "gemma4-e4b", "smollm3-3b", "phi-1p5",
)  # fmt: skip
NEW_THREE = ("lfm-7b", "deepseek-llm-7b", "yagpt-5-8b")
NEW_FIVE = (*NEW_THREE, "rugpt3-large", "vikhr-7b-01")

FINEWEB_EDU = CorpusSpec(
    name="HuggingFaceFW/fineweb-edu",
    subset="sample-10BT",
    split="train",
    text_field="text",
    num_passages=10_000,
    max_characters=4000,
)
LORA = LoraSpec(rank=16, alpha=32.0, dropout=0.05, targets=ALL_LINEAR, rank_stabilised=False)
BATCH_ROWS = 32
OPTIM = OptimSpec(
    learning_rate=2e-5,
    warmup_steps=50,
    decay=RateDecay.CONSTANT,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    clip_norm=1.0,
    # Published in fp16 with loss scaling, on devices without bf16; nothing scales a loss here.
    dtype="bfloat16",
)
AV = AvSpec(
    seed=0,
    template=AV_TEMPLATE,
    injection=ONE_SLOT,
    lora=LORA,
    train_rows=None,
    num_steps=4062,
    batch_rows=BATCH_ROWS,
    optim=OPTIM,
    encoder_learning_rate=2e-4,
    affine_learning_rate=None,
    # Published: 512 with the prompt, which is shorter than 128; the teacher said 80 at most.
    max_response_tokens=384,
    gradient_checkpointing=False,
    watch=WATCH,
)
AR = ArSpec(
    seed=0,
    template=AR_TEMPLATE,
    block_index=14,
    readout=Readout.RAW,
    bos=BosRule.ABSENT,
    lora=LORA,
    trains_value_head=False,
    num_steps=4062,
    batch_rows=BATCH_ROWS,
    optim=replace(OPTIM, learning_rate=5e-5),
    max_tokens=512,
    gradient_checkpointing=False,
    watch=WATCH,
)


def _read(tag: str) -> HostBlock:
    return HostBlock(tag=tag, block_index=pool_host(tag).block_index)


def _version(
    number: int,
    *,
    trunk: str,
    trained: tuple[str, ...],
    held_out: tuple[str, ...],
    num_passages: int,
    teachers: tuple[str, ...],
    notes: str,
) -> PublishedRun:
    """One epoch over all rows of the trained hosts; the last, partial batch is left out."""
    num_steps = len(trained) * num_passages // BATCH_ROWS
    return PublishedRun(
        name=f"universal_v{number}",
        trunk=trunk,
        anchor=trunk,
        trained=trained,
        held_out=held_out,
        hosts=tuple(_read(tag) for tag in (trunk, *trained, *held_out)),
        # The published mean is over all tokens, the first one's huge constant vector included.
        read=Pooled(include_first=True),
        max_tokens=512,
        corpus=replace(FINEWEB_EDU, num_passages=num_passages),
        teachers=teachers,
        warm_start=None,
        av=replace(
            AV,
            num_steps=num_steps,
            gradient_checkpointing=trunk == "qwen3-4b",  # said to be needed from 4B on
        ),
        # The trainer's default, 14, is where the smaller trunk is read. Of the larger one nothing
        # is said; cut elsewhere, its residual stream would not be in the anchor's space.
        ar=replace(
            AR,
            block_index=pool_host(trunk).block_index,
            num_steps=num_steps,
        ),
        notes=notes,
    )


V1 = _version(
    1,
    trunk="qwen3-1p7b",
    trained=FIVE,
    held_out=("gemma4-e4b", "phi-1p5"),
    num_passages=10_000,
    teachers=(OLDER_TEACHER,),
    notes="Five trained hosts as the extraction lists them; the version notes list five others.",
)
V2 = _version(
    2,
    trunk="qwen3-4b",
    trained=FIVE,
    held_out=(),
    num_passages=10_000,
    teachers=(OLDER_TEACHER,),
    notes="Failed as published: its AV said one text for every vector.",
)
V3 = _version(
    3,
    trunk="qwen3-1p7b",
    trained=THIRTEEN,
    held_out=(),
    num_passages=50_000,
    teachers=(OLDER_TEACHER, TEACHER),
    notes=(
        "Failed as published: the first 10,000 passages have one teacher, the others another. "
        "Trained hosts as on the card; the extraction lists only the five of version 1."
    ),
)
V4 = _version(
    4,
    trunk="qwen3-1p7b",
    trained=THIRTEEN,
    held_out=(),
    num_passages=10_000,
    teachers=(TEACHER,),
    notes="Trained hosts as on the card; a comment of its configuration counts eleven.",
)
V5 = replace(
    V4,
    name="universal_v5",
    held_out=NEW_THREE,
    hosts=(*V4.hosts, *(_read(tag) for tag in NEW_THREE)),
    notes="Its published means contradict each other: 0.73 trained and 0.84 held out, or 0.93.",
)
V6 = replace(
    V5,
    name="universal_v6",
    held_out=NEW_FIVE,
    hosts=(*V4.hosts, *(_read(tag) for tag in NEW_FIVE)),
    notes="The production version: published FVE_pipeline_meannorm 0.874 over 18 hosts.",
)
V7 = _version(
    7,
    trunk="qwen3-4b",
    trained=tuple(tag for tag in THIRTEEN if tag != "qwen3-4b"),
    held_out=("qwen3-1p7b", *NEW_FIVE),
    num_passages=10_000,
    teachers=(TEACHER,),
    notes=(
        "Only its supervised stage was published. Its AV repeats itself: cosine to the teacher "
        "0.24, not 0.47. A later variant has rank 256 and alpha 512."
    ),
)

UNIVERSAL_RUNS = (V1, V2, V3, V4, V5, V6, V7)
