"""An NLA on a model, texts and explanations of one's own.

`nla_of` is a start: what it returns is a value like any other, to be changed with `replace` or
`--set`. `mine` is the same for the command line, with what it needs left to be set.
"""

from dataclasses import replace
from typing import Any

from interlingua.recipes.parts import (
    ALL_LINEAR,
    ONE_CORE_A_STAGE,
    WORLD_AR,
    WORLD_AV,
    WORLD_FITTING,
)
from interlingua.specs.corpora import CorpusSpec, NearDuplicates, PassagesSpec, TextFiles
from interlingua.specs.evaluation import Evaluating
from interlingua.specs.extraction import Pooled, Reading
from interlingua.specs.hosts import AtBlock, AtDepth
from interlingua.specs.injection import AfterBlock
from interlingua.specs.models import ActivationFile, HostSpec, HubHost
from interlingua.specs.recipe import Recipe, Speaking, TeachingSpec
from interlingua.specs.splits import Split, SplitSpec
from interlingua.specs.teachers import ExtractiveTeacher, TeacherSpec
from interlingua.specs.training import LoraSpec

# Nothing is pretrained: what the embedded world spends on that is for the maps and the evaluation.
SPLIT = SplitSpec(
    seed=0, pretrain=0.0, av_sft=0.3, ar_sft=0.3, rl=0.1, fit=0.15, dev=0.05, test=0.1
)
READ = Pooled(include_first=False)  # the first token is an attention sink
MIDDLE = AtDepth(fraction=0.5)
WITHOUT_MODEL = ExtractiveTeacher()
SAMPLES = 4  # explanations of an activation that are learned from, where there are so many

OPTIM = replace(WORLD_AV.optim, learning_rate=2e-4)
LORA = LoraSpec(rank=32, alpha=64.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=False)
WATCH = replace(WORLD_AV.watch, validate_every=250)
SIZES: dict[str, Any] = {
    "lora": LORA,
    "num_steps": 1000,
    "batch_rows": 16,
    "optim": OPTIM,
    "watch": WATCH,
}

AV = replace(
    WORLD_AV,
    template=(
        "This vector is what a language model thought at one place of a text: "
        "<concept>{injection_char}</concept> Explain what it says."
    ),
    # At the norm that is there: a norm for `Replace` would have to be found for every model.
    injection=replace(WORLD_AV.injection, rule=AfterBlock(index=1), num_slots=1),
    max_response_tokens=192,
    **SIZES,
)
AR = replace(
    WORLD_AR,
    template="Summary of a text: <text>{explanation}</text> <summary>",
    block_index=None,
    max_tokens=256,
    **SIZES,
)


def nla_of(
    name: str,
    *,
    model: HubHost,
    texts: CorpusSpec,
    explanations: TeacherSpec = WITHOUT_MODEL,
    activations: ActivationFile | None = None,
    read: Reading = READ,
    block: AtBlock | AtDepth = MIDDLE,
) -> Recipe:
    """One host, which is also the trunk under AV and AR; `activations` None: they are read here."""
    lessons = TeachingSpec(teacher=explanations, samples=SAMPLES)
    return Recipe(
        name=name,
        passages=PassagesSpec(corpus=texts, split=SPLIT, near_duplicates=NearDuplicates()),
        hosts=(HostSpec(source=model, block=block, rows=activations),),
        anchor=model.tag,
        trained=(),
        held_out=(),
        read=read,
        fitting=WORLD_FITTING,
        av_lessons=lessons,
        ar_lessons=lessons,
        accepts_teachers=(),
        av_start=None,
        av=AV,
        ar=AR,
        rl=(),
        speaking=Speaking(seed=0, max_new_tokens=128),
        evaluation=Evaluating(split=Split.TEST, rows=400, samples=4, shown_rows=200, accepts=()),
        placement=ONE_CORE_A_STAGE,
    )


def mine() -> Recipe:
    """An NLA on your own model and texts: set hosts.model.source.source, passages.corpus.path."""
    return nla_of("mine", model=HubHost(tag="model", source=""), texts=TextFiles(path=""))
