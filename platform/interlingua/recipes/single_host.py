"""The published runs in which AV and AR are the host itself, trained on.

Where sources contradict each other or say nothing, a comment says what was chosen and why; what a
reader of the results must know is in `notes`, too.
"""

from dataclasses import replace

from interlingua.recipes.parts import ALL_LINEAR, ATTENTION
from interlingua.recipes.published_parts import (
    AR_TEMPLATE,
    EVALUATION,
    FITTING,
    ONE_SLOT,
    WATCH,
    asking,
    pool_spec,
)
from interlingua.specs.corpora import HubText, PassagesSpec
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.injection import AfterBlock, BosRule, Full, Readout
from interlingua.specs.recipe import Recipe, Speaking, TeachingSpec
from interlingua.specs.splits import SplitSpec
from interlingua.specs.teachers import ChatTeacher, Prompt, TaggedAnswer
from interlingua.specs.training import (
    ArSpec,
    AvSpec,
    HubFolder,
    LoraSpec,
    OptimSpec,
    RateDecay,
)

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

TEACHER = ChatTeacher(
    model="claude-sonnet-4-6",
    prompt=Prompt(
        user=(
            "Below is the beginning of a text, cut off after some token. A language model has read "
            "so far. Which features of what it has read does it need most to say what comes next? "
            "Name two or three, in the order of their importance for the next token, each in 10 "
            "to 20 words and in a paragraph of its own, about 80 to 100 words in all. The last one "
            "is about the very last token. Write them between <analysis> and </analysis>.\n\n"
            "{text}"
        ),
        answer=TaggedAnswer(tag="analysis", least_paragraphs=2),
        temperature=1.0,
        max_new_tokens=300,
    ),
)
ENDPOINT, KEY_VARIABLE = "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY"
WORDING = (
    "The instruction to the teacher is ours; it asks for what the published one asks for. The "
    "documents are the first ones of the files: of the published draw only the seed is known. "
)

NUM_DOCUMENTS = 100_000
# Published: a quarter for the AV, a quarter for the AR, half for RL, and the evaluation on the last
# part. A share of the latter is for what is fitted and evaluated here.
SPLIT = SplitSpec(
    seed=42, pretrain=0.0, av_sft=0.25, ar_sft=0.25, rl=0.38, fit=0.06, dev=0.02, test=0.04
)
FINEFINEWEB = HubText(
    dataset="m-a-p/FineFineWeb",
    files="*.jsonl",
    name="m-a-p/FineFineWeb:train",
    count=NUM_DOCUMENTS,
)
POSITIONS = TokenPositions(per_passage=10, min_position=50, seed=42, keyed_by="document")

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
NANO_AV = AvSpec(
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
)
NANO_AR = ArSpec(
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
WARM_START = "syvb/nanonla-qwen3-8b-L24-av"


def nano_qwen3_8b_L24() -> Recipe:  # noqa: N802
    """Single-host NLA of Qwen3-8B at block 24, vectors added after block 1 (Karvonen), LoRA."""
    lessons = TeachingSpec(teacher=TEACHER, samples=1)
    return Recipe(
        name="nano_qwen3_8b_L24",
        passages=PassagesSpec(corpus=FINEFINEWEB, split=SPLIT),
        hosts=(pool_spec("qwen3-8b", max_tokens=4096),),
        anchor="qwen3-8b",
        trained=(),
        held_out=(),
        read=POSITIONS,
        fitting=FITTING,
        av_lessons=lessons,
        ar_lessons=lessons,
        accepts_teachers=(),
        av_start=None,
        av=NANO_AV,
        ar=NANO_AR,
        rl=(),
        speaking=Speaking(seed=0, max_new_tokens=150),
        evaluation=EVALUATION,
        placement=asking(ENDPOINT, KEY_VARIABLE),
        notes=f"{WORDING}Published with the trunk in 4 bits (nf4) and an 8-bit AdamW; here whole.",
    )


def slots1_qwen3_8b() -> Recipe:
    """The control of the 16 slots: one slot, no affine, from the same trained AV."""
    recipe = nano_qwen3_8b_L24()
    return replace(
        recipe,
        name="slots1_qwen3_8b",
        av=replace(
            recipe.av,
            # The cards name the scale and no rule, and a scale means something under Replace alone;
            # the warm start was trained with AfterBlock.
            injection=ONE_SLOT,
            start=HubFolder(source=WARM_START),
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
            recipe.ar,
            readout=Readout.RAW,
            bos=BosRule.TOKENIZER_DEFAULT,
            lora=SLOTS_LORA,
            trains_value_head=False,
            num_steps=1000,
            batch_rows=32,
            optim=SLOTS_OPTIM,
        ),
        notes=(
            f"{WORDING}96,000 rows of about 45,700, 2.1 epochs; one seed. That trained AV has seen "
            "rows of the same corpus: which ones is not known, and so neither is what of `test` is "
            "unseen by it."
        ),
    )


def slots16_affine_qwen3_8b() -> Recipe:
    """16 slots with an affine map each on Qwen3-8B, from a trained AV with one slot."""
    control = slots1_qwen3_8b()
    injection = replace(ONE_SLOT, num_slots=16, affine=Full())
    return replace(
        control,
        name="slots16_affine_qwen3_8b",
        av=replace(control.av, injection=injection),
        notes=(
            f"{control.notes} Published 1.4141 nats a token against 1.4305 of the control. "
            "Repetition and the affine come together in it: what the affine alone does it cannot "
            "say (tuners.slots takes them apart)."
        ),
    )
