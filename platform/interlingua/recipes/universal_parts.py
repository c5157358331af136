"""What the versions of the universal NLA share: texts, teacher, both trainings, reinforcement.

Where sources contradict each other or say nothing, a comment says what was chosen and why. Knows no
version.
"""

from dataclasses import replace

from interlingua.recipes.parts import ALL_LINEAR
from interlingua.recipes.published_parts import AR_TEMPLATE, LEARNER, ONE_SLOT, RL_WATCH, WATCH
from interlingua.specs.corpora import HubText, PassagesSpec
from interlingua.specs.injection import BosRule, Readout
from interlingua.specs.rl import Contrast, RlSpec
from interlingua.specs.splits import SplitSpec
from interlingua.specs.teachers import ChatTeacher, Prompt
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
SUMMARY = Prompt(
    user=(
        "Summarize the following passage in ONE sentence focused on its main topic and key "
        "entities. Output only the sentence, no preamble.\n\nPassage:\n{text}"
    ),
    temperature=0.3,
    max_new_tokens=80,
)
OLDER_TEACHER = ChatTeacher(model="qwen/qwen3-8b", prompt=SUMMARY)
TEACHER = ChatTeacher(model="qwen/qwen-2.5-7b-instruct", prompt=SUMMARY)
ENDPOINT, KEY_VARIABLE = "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"

# Published: 10,000 passages, all of them learned from, fitted on and evaluated on. Here each model
# learns from as many, and the others of 60,000 are for the maps, for RL and for the evaluation.
NUM_PASSAGES, LEARNED = 60_000, 10_000
PASSAGES = PassagesSpec(
    corpus=HubText(
        dataset="HuggingFaceFW/fineweb-edu",
        files="sample/10BT/*.parquet",
        id_field="id",
        count=NUM_PASSAGES,
    ),
    split=SplitSpec(
        seed=0,
        pretrain=0.0,
        av_sft=LEARNED / NUM_PASSAGES,
        ar_sft=LEARNED / NUM_PASSAGES,
        rl=LEARNED / NUM_PASSAGES,
        fit=0.4,
        dev=0.04,
        test=0.06,
    ),
    most_characters=4000,
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
RL = RlSpec(
    tag="rl",
    seed=0,
    num_steps=150,
    activations_per_step=4,
    group_size=4,
    max_new_tokens=60,
    av=LEARNER,
    ar=replace(LEARNER, learning_rate=5e-5),
    # Published: half of it -log MSE, through the decoder; here the error over the host's variance.
    reward=Contrast(share=0.5, temperature=0.1),
    length_penalty=0.0,
    failure_reward=-3.0,  # published: none, and a text that could not be parsed was read raw
    advantage_floor=0.1,  # published: the group's mean is taken off, and nothing is divided
    kl_coef=0.05,  # published with an anchor whose gradient is zero in the mean
    clip_ratio=0.2,  # published without; of one step on fresh samples it changes nothing
    max_skipped_share=0.05,
    watch=RL_WATCH,
)
WIDE_LORA = replace(LORA, rank=256, alpha=512.0)
