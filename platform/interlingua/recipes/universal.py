"""The seven versions of the universal NLA, with its reinforcement: one AV and AR for many hosts.

What a reader of the results must know of a version is in its `notes`.
"""

from dataclasses import replace

from interlingua.published.hosts import pool_host
from interlingua.recipes.published_parts import EVALUATION, FITTING, asking, pool_spec
from interlingua.recipes.universal_parts import (
    AR,
    AV,
    BATCH_ROWS,
    ENDPOINT,
    KEY_VARIABLE,
    LEARNED,
    OLDER_TEACHER,
    PASSAGES,
    RL,
    TEACHER,
    WIDE_LORA,
)
from interlingua.specs.extraction import Pooled
from interlingua.specs.maps import FittingSpec, FromEncoder
from interlingua.specs.models import HostSpec
from interlingua.specs.recipe import Recipe, Speaking, TeachingSpec
from interlingua.specs.rl import ScaledError
from interlingua.specs.teachers import ChatTeacher, MixedTeachers, TeacherPart

FIVE = ("qwen2p5-0p5b", "smollm2-360m", "gpt2-medium", "bloom-560m", "pythia-410m")
THIRTEEN = (
    *FIVE, "gpt-neo-1p3b", "qwen3-0p6b", "qwen3-4b", "qwen2p5-7b", "nemotron-mini-4b",
    "gemma4-e4b", "smollm3-3b", "phi-1p5",
)  # fmt: skip
NEW_THREE = ("lfm-7b", "deepseek-llm-7b", "yagpt-5-8b")
NEW_FIVE = (*NEW_THREE, "rugpt3-large", "vikhr-7b-01")

DISJOINT = (
    "Published: 10,000 passages, all of them learned from, fitted on and evaluated on. Here "
    "60,000, of which each model learns from 10,000 and is evaluated on others. The published "
    "draw depends on a streaming shuffle: here it is the first ones of the files. "
)
# As versions 3 and 4 fitted their decoders. Of 1 and 2 it was done so, too, and went unnoticed: it
# is not what they are known for, and not followed.
FITTING_ON_ENCODED = replace(FITTING, decoder=FromEncoder())
OF_RL = (
    "One host a step, its encoder frozen. The decoder is in the published loss, and not here. "
    "60 new tokens cut off teachers' texts of 80. "
)


def _version(
    number: int,
    *,
    trunk: str,
    trained: tuple[str, ...],
    held_out: tuple[str, ...],
    notes: str,
    fitting: FittingSpec = FITTING,
) -> Recipe:
    """One epoch over the rows of the trained hosts, without the last batch, which is partial."""
    tags, num_steps = (trunk, *trained, *held_out), len(trained) * LEARNED // BATCH_ROWS
    lessons = TeachingSpec(teacher=TEACHER, samples=1)
    return Recipe(
        name=f"universal_v{number}",
        passages=PASSAGES,
        hosts=tuple(pool_spec(tag, max_tokens=512) for tag in tags),
        anchor=trunk,
        trained=trained,
        held_out=held_out,
        anchor_learns=False,  # it is read, because its space is shared
        # The published mean is over all tokens, the first one's huge constant vector included.
        read=Pooled(include_first=True),
        fitting=fitting,
        av_lessons=lessons,
        ar_lessons=lessons,
        accepts_teachers=(),
        av_start=None,
        # Checkpointing is said to be needed from 4B on.
        av=replace(AV, num_steps=num_steps, gradient_checkpointing=trunk == "qwen3-4b"),
        # The trainer's default, 14, is where the smaller trunk is read. Of the larger one nothing
        # is said; cut elsewhere, its residual stream would not be in the anchor's space.
        ar=replace(AR, block_index=pool_host(trunk).block_index, num_steps=num_steps),
        rl=(),
        speaking=Speaking(seed=0, max_new_tokens=80),
        evaluation=EVALUATION,
        placement=asking(ENDPOINT, KEY_VARIABLE),
        notes=DISJOINT + notes,
    )


def universal_v1() -> Recipe:
    """Universal NLA 1: five trained hosts, two held out, trunk Qwen3-1.7B."""
    return _taught_by(
        OLDER_TEACHER,
        _version(
            1,
            trunk="qwen3-1p7b",
            trained=FIVE,
            held_out=("gemma4-e4b", "phi-1p5"),
            notes="Trained hosts as the extraction lists them; the version notes list others.",
        ),
    )


def universal_v2() -> Recipe:
    """Universal NLA 2: five hosts, trunk Qwen3-4B; failed as published."""
    return _taught_by(
        OLDER_TEACHER,
        _version(
            2,
            trunk="qwen3-4b",
            trained=FIVE,
            held_out=(),
            notes="Failed as published: its AV said one text for every vector.",
        ),
    )


def universal_v3() -> Recipe:
    """Universal NLA 3: thirteen hosts, two teachers in one corpus; failed as published."""
    older = TeacherPart(tag="older", share=0.2, teacher=OLDER_TEACHER)
    newer = TeacherPart(tag="newer", share=0.8, teacher=TEACHER)
    recipe = _version(
        3,
        trunk="qwen3-1p7b",
        trained=THIRTEEN,
        held_out=(),
        notes=(
            "Failed as published, on 50,000 passages of which the first 10,000 had one teacher "
            "and the others another; here a fifth is drawn, of 10,000, in as many steps. Trained "
            "hosts as on the card; the extraction lists only the five of version 1. Refused "
            "unless accepts_teachers names both. Its decoders were those of version 4, too."
        ),
        fitting=FITTING_ON_ENCODED,
    )
    num_steps = len(THIRTEEN) * 5 * LEARNED // BATCH_ROWS
    recipe = _taught_by(MixedTeachers(parts=(older, newer)), recipe)
    return replace(
        recipe,
        av=replace(recipe.av, num_steps=num_steps),
        ar=replace(recipe.ar, num_steps=num_steps),
    )


def universal_v4() -> Recipe:
    """Universal NLA 4: thirteen hosts, one teacher; its decoders were fitted on another space."""
    return _version(
        4,
        trunk="qwen3-1p7b",
        trained=THIRTEEN,
        held_out=(),
        notes=(
            "Trained hosts as on the card; a comment of its configuration counts eleven. Failed as "
            "published: its decoders are fitted on encoded activations, which the gate decoder_fit "
            "marks."
        ),
        fitting=FITTING_ON_ENCODED,
    )


def universal_v5() -> Recipe:
    """Universal NLA 5: three hosts held out."""
    return replace(
        universal_v4(),
        name="universal_v5",
        fitting=FITTING,
        held_out=NEW_THREE,
        hosts=_hosts(NEW_THREE),
        notes=f"{DISJOINT}Its published means contradict each other: 0.73 and 0.84, or 0.93.",
    )


def universal_v6() -> Recipe:
    """Universal NLA 6, the production version: thirteen hosts trained, five held out."""
    return replace(
        universal_v4(),
        name="universal_v6",
        fitting=FITTING,
        held_out=NEW_FIVE,
        hosts=_hosts(NEW_FIVE),
        notes=(
            f"{DISJOINT}Published: FVE_pipeline_meannorm 0.874 over 18 hosts, which is about "
            "2 mean cos - 1, and on rows that were learned from."
        ),
    )


def universal_v7() -> Recipe:
    """Universal NLA 7: version 6 on trunk Qwen3-4B; its AV repeated itself."""
    return _version(
        7,
        trunk="qwen3-4b",
        trained=tuple(tag for tag in THIRTEEN if tag != "qwen3-4b"),
        held_out=("qwen3-1p7b", *NEW_FIVE),
        notes=(
            "Only its supervised stage was published. Its AV repeats itself: cosine to the teacher "
            "0.24, not 0.47. A later variant has rank 256 and alpha 512."
        ),
    )


def universal_v6_rl() -> Recipe:
    """Universal NLA 6 and 150 steps of reinforcement, published for one device."""
    recipe = universal_v6()
    return replace(recipe, name="universal_v6_rl", rl=(RL,), notes=OF_RL + recipe.notes)


def universal_v7_rl_4b() -> Recipe:
    """Universal NLA 7 with rank 256 and 200 steps of reinforcement, published for two devices."""
    recipe = universal_v7()
    return replace(
        recipe,
        name="universal_v7_rl_4b",
        av=replace(recipe.av, lora=WIDE_LORA),
        ar=replace(recipe.ar, lora=WIDE_LORA),
        rl=(replace(RL, num_steps=200, reward=ScaledError()),),
        notes=(
            f"{OF_RL}Published with AR and AV_init together on a second device, for want of a "
            f"third. {recipe.notes}"
        ),
    )


def _hosts(held_out: tuple[str, ...]) -> tuple[HostSpec, ...]:
    tags = ("qwen3-1p7b", *THIRTEEN, *held_out)
    return tuple(pool_spec(tag, max_tokens=512) for tag in tags)


def _taught_by(teacher: ChatTeacher | MixedTeachers, recipe: Recipe) -> Recipe:
    lessons = TeachingSpec(teacher=teacher, samples=1)
    return replace(recipe, av_lessons=lessons, ar_lessons=lessons)
