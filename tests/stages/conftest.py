"""The smallest world, with literal numbers, built stage by stage in this process."""

from dataclasses import replace

import pytest

from interlingua.cluster.local import local_context
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.recipes.world import world_mini
from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.hosts import AtDepth
from interlingua.specs.models import HostSpec
from interlingua.specs.placement import ExtractionPlacement, Placement, Workers
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import SplitSpec
from interlingua.specs.world import (
    PretrainSpec,
    WorldCorpus,
    WorldHostSpec,
    WorldSpec,
    WorldTeacher,
)
from interlingua.stages.rows.passages import passages_stage
from interlingua.stages.running.context import Context
from interlingua.store.artifact import build
from interlingua.world.stand_ins import world_host

TRUNK, HOST = "toy-qwen3-1p7b", "toy-lfm-7b"
LEARNING = {
    name: getattr(world_mini(), name)
    for name in (
        "read", "fitting", "av_lessons", "ar_lessons", "accepts_teachers", "av_start", "av", "ar",
        "rl", "speaking", "evaluation",
    )
}  # fmt: skip


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """A trunk and a host that train for two dozen steps."""
    return Recipe(
        name="smallest",
        passages=PassagesSpec(
            corpus=WorldCorpus(
                world=WorldSpec(
                    seed=0,
                    second_language_share=0.2,
                    problem_share=0.9,
                    quote_share=0.3,
                    framed_share=0.3,
                    min_sentences=2,
                    max_sentences=3,
                    largest_number=5,
                ),
                num_passages=300,
            ),
            split=SplitSpec(
                seed=0, pretrain=0.5, av_sft=0.1, ar_sft=0.1, rl=0.05, fit=0.1, dev=0.1, test=0.05
            ),
        ),
        hosts=tuple(
            HostSpec(source=smallest(tag), block=AtDepth(fraction=0.5)) for tag in (TRUNK, HOST)
        ),
        anchor=TRUNK,
        trained=(),
        held_out=(HOST,),
        **LEARNING,
        placement=Placement(
            cpus_per_stage=1,
            threads_per_worker=1,
            stages_side_by_side=2,
            extraction=ExtractionPlacement(
                workers=Workers(count=1, cpus=1, gpus=0),
                device="cpu",
                block_passages=6,
                batch_tokens=2048,
            ),
            training=ONE_CORE_A_STAGE.training,
            verbalizing=ONE_CORE_A_STAGE.verbalizing,
            reinforcing=ONE_CORE_A_STAGE.reinforcing,
        ),
    )


def smallest(tag: str) -> WorldHostSpec:
    host = world_host(tag)
    is_trunk = tag == TRUNK
    return replace(
        host,
        width=32,
        num_blocks=2,
        tokenizer=replace(host.tokenizer, vocab_size=700),
        pretrain=PretrainSpec(
            seed=0,
            num_steps=24,
            rows=4,
            num_tokens=64,
            learning_rate=5e-3,
            warmup_steps=4,
            checkpoint_every=5,
        ),
        teacher=WorldTeacher(seed=0, min_facts=3, max_facts=4, max_words=18) if is_trunk else None,
        second_language_share=0.2,
        dev_passages=12,
    )


@pytest.fixture(scope="session")
def context(recipe) -> Context:
    """Where the stages of these tests run."""
    return local_context(recipe.placement)


@pytest.fixture(scope="session")
def root(recipe, context, tmp_path_factory):
    """A run root in which the passages are built; a test builds its own hosts elsewhere."""
    path = tmp_path_factory.mktemp("root")
    build(passages_stage(recipe.passages), path, context)
    return path
