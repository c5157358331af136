"""The published single-host runs, and all published runs by name. Knows no recipe and no file.

In a single-host run AV and AR are the host itself, trained on. Where sources contradict each other
or say nothing, a comment says what was chosen and why; what a reader of the results must know is in
`notes`, too.
"""

from dataclasses import replace

from interlingua.published.run import (
    ALL_LINEAR,
    AR_TEMPLATE,
    ATTENTION,
    ONE_SLOT,
    WATCH,
    CorpusSpec,
    HostBlock,
    PublishedRun,
)
from interlingua.published.universal import UNIVERSAL_RUNS
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.injection import AfterBlock, BosRule, Full, Readout
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec, OptimSpec, RateDecay

AV_TEMPLATE = """\
You are a meticulous AI researcher conducting an important investigation into activation vectors \
from a language model. Your overall task is to describe the semantic content of that activation \
vector.

We will pass the vector enclosed in <concept> tags into your context. You must then produce an \
explanation for the vector, enclosed within <explanation> tags. The explanation consists of 2-3 \
text snippets describing that vector.

Here is the vector:

<concept>{injection_char}</concept>

Please provide an explanation."""

FINEFINEWEB = CorpusSpec(
    name="m-a-p/FineFineWeb",
    subset=None,
    split="train",
    text_field="text",
    num_passages=100_000,
    max_characters=None,
)
ULTRA_FINEWEB = CorpusSpec(
    name="openbmb/Ultra-FineWeb",
    subset=None,
    split="en",
    text_field="content",
    num_passages=100_000,
    max_characters=None,
)

POSITIONS = TokenPositions(per_passage=10, min_position=50, seed=42)

# For Qwen3-8B two recipes are published; this is the one of the checkpoint's card (1000
# steps, peak rate 3e-5). It loads the trunk in 4 bits, which is left out here.
NANO_LORA = LoraSpec(rank=128, alpha=16.0, dropout=0.0, targets=ATTENTION, rank_stabilised=True)
NANO_OPTIM = OptimSpec(
    learning_rate=3e-5,
    warmup_steps=50,
    decay=RateDecay.COSINE,
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="bfloat16",
)
NANO = PublishedRun(
    name="nano_qwen3_8b_L24",
    trunk="qwen3-8b",
    anchor="qwen3-8b",
    trained=(),
    held_out=(),
    hosts=(HostBlock(tag="qwen3-8b", block_index=24),),
    read=POSITIONS,
    max_tokens=4096,
    corpus=FINEFINEWEB,
    teachers=("claude-sonnet-4-6",),
    warm_start=None,
    av=AvSpec(
        seed=0,
        template=AV_TEMPLATE,
        # Only directions count under this rule: the scale is what the sidecar must hold.
        injection=replace(ONE_SLOT, rule=AfterBlock(index=1)),
        lora=NANO_LORA,
        train_rows=None,
        num_steps=1000,
        batch_rows=64,
        optim=NANO_OPTIM,
        encoder_learning_rate=None,
        affine_learning_rate=None,
        max_response_tokens=896,  # 1024 with the prompt, of about 125
        gradient_checkpointing=True,
        watch=WATCH,
    ),
    ar=ArSpec(
        seed=0,
        template=AR_TEMPLATE,
        block_index=24,
        readout=Readout.NORMALIZED,
        bos=BosRule.ABSENT,
        lora=NANO_LORA,
        trains_value_head=True,
        num_steps=1000,
        batch_rows=64,
        optim=NANO_OPTIM,
        max_tokens=1024,
        gradient_checkpointing=False,
        watch=WATCH,
    ),
    notes="Published with the trunk in 4 bits (nf4) and an 8-bit AdamW; here both are whole.",
)

SLOTS_OPTIM = OptimSpec(
    learning_rate=2e-5,
    warmup_steps=50,
    decay=RateDecay.COSINE,
    betas=(0.9, 0.999),  # the cards name none: the defaults of torch.optim.AdamW
    weight_decay=0.01,
    clip_norm=1.0,
    dtype="bfloat16",
)
SLOTS_LORA = LoraSpec(rank=64, alpha=128.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=True)
SLOTS_1 = replace(
    NANO,
    name="slots1_qwen3_8b",
    warm_start="syvb/nanonla-qwen3-8b-L24-av",
    av=replace(
        NANO.av,
        # The cards name the scale and no rule, and a scale means something under Replace alone;
        # the warm start was trained with AfterBlock.
        injection=ONE_SLOT,
        # "Affines and backbone trained": all weights, though the trainer that the authors
        # published before has adapters.
        lora=None,
        num_steps=3000,
        batch_rows=32,
        optim=SLOTS_OPTIM,
        gradient_checkpointing=False,  # their trainer would lose the vectors with it
        watch=replace(WATCH, dev_rows=832),
    ),
    # The cards have no AR: this is that of the authors' supervised trainer, its head frozen.
    ar=replace(
        NANO.ar,
        readout=Readout.RAW,
        bos=BosRule.TOKENIZER_DEFAULT,
        lora=SLOTS_LORA,
        trains_value_head=False,
        num_steps=1000,
        batch_rows=32,
        optim=SLOTS_OPTIM,
    ),
    notes="The control: one slot, no affine. 96,000 rows of about 45,700, 2.1 epochs; one seed.",
)
SLOTS_16 = replace(
    SLOTS_1,
    name="slots16_affine_qwen3_8b",
    av=replace(SLOTS_1.av, injection=replace(ONE_SLOT, num_slots=16, affine=Full())),
    notes=(
        "Published 1.4141 nats a token against 1.4305 of the control. Repetition and the affine "
        "come together in it: what the affine alone does it cannot say."
    ),
)

RELEASE_OPTIM = OptimSpec(
    learning_rate=2e-5,
    warmup_steps=50,
    decay=RateDecay.COSINE,
    # Nothing is said of these two: those of the single-device trainer that follows this one.
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="bfloat16",
)
# The shell scripts have other defaults (5e-5 and batch 32 for the AV, 1e-4 and 64 for the AR,
# constant); the training notes name what the released checkpoints were made with.
RELEASE_QWEN = replace(
    NANO,
    name="release_qwen2p5_7b_L20",
    trunk="qwen2p5-7b-it",
    anchor="qwen2p5-7b-it",
    hosts=(HostBlock(tag="qwen2p5-7b-it", block_index=20),),
    read=replace(POSITIONS, per_passage=5),
    corpus=ULTRA_FINEWEB,
    av=replace(
        NANO.av,
        injection=replace(ONE_SLOT, scale=150.0),
        lora=None,
        num_steps=1000,
        batch_rows=256,
        optim=RELEASE_OPTIM,
        gradient_checkpointing=False,
    ),
    ar=replace(
        NANO.ar,
        block_index=20,
        readout=Readout.RAW,
        bos=BosRule.TOKENIZER_DEFAULT,  # without BOS a released AR fell from 0.77 to 0.31
        lora=None,
        num_steps=1000,
        batch_rows=256,
        optim=RELEASE_OPTIM,
    ),
    notes=(
        "The supervised stage, on web text as the training notes have it; the released numbers "
        "are after RL and over web text and WildChat, half and half."
    ),
)
RELEASE_GEMMA = replace(
    RELEASE_QWEN,
    name="release_gemma3_27b_L41",
    trunk="gemma3-27b-it",
    anchor="gemma3-27b-it",
    hosts=(HostBlock(tag="gemma3-27b-it", block_index=41),),
    av=replace(
        RELEASE_QWEN.av,
        injection=replace(ONE_SLOT, scale=60_000.0),
        gradient_checkpointing=True,
    ),
    ar=replace(RELEASE_QWEN.ar, block_index=41, gradient_checkpointing=True),
    notes=f"Published as the settings of Qwen2.5-7B with light adjustment. {RELEASE_QWEN.notes}",
)

PUBLISHED = {
    run.name: run for run in (*UNIVERSAL_RUNS, NANO, SLOTS_16, SLOTS_1, RELEASE_QWEN, RELEASE_GEMMA)
}
