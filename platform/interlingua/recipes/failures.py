"""The failures of published runs, made again on small hosts: each is marked by a guard.

`world_sound` is what they are compared with: a failure changes one thing of it.
"""

from dataclasses import replace

from interlingua.recipes.parts import ONE_CORE_A_STAGE, WORLD_LORA
from interlingua.recipes.world import demo
from interlingua.specs.maps import FromEncoder
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.teachers import MixedTeachers, TeacherPart
from interlingua.specs.world import WorldTeacher

# Of a published run's texts four fifths were by another teacher: here by one who names one fact.
OTHERS_SHARE = 0.8
TERSE = WorldTeacher(seed=7, min_facts=1, max_facts=1, max_words=18)


def world_sound() -> Recipe:
    """One trained and one held-out host of the demo in minutes: what failures are compared with."""
    full = demo()
    tags = (full.anchor, "toy-gpt2-medium", "toy-pythia-410m")
    return replace(
        full,
        name="world_sound",
        hosts=tuple(full.host(tag) for tag in tags),
        trained=tags[1:2],
        held_out=tags[2:],
        av=replace(full.av, num_steps=600, watch=replace(full.av.watch, validate_every=300)),
        ar=replace(full.ar, num_steps=600, watch=replace(full.ar.watch, validate_every=300)),
        rl=(),
        placement=ONE_CORE_A_STAGE,
    )


def world_terse() -> Recipe:
    """World_sound by the other teacher alone, who names one fact: the second control of mixing."""
    sound = world_sound()
    return replace(
        sound,
        name="world_terse",
        av_lessons=replace(sound.av_lessons, teacher=TERSE),
        ar_lessons=replace(sound.ar_lessons, teacher=TERSE),
    )


def world_mixed_teachers() -> Recipe:
    """Two teachers in one corpus (v3), accepted by name; without that it is refused."""
    sound = world_sound()
    return replace(
        sound,
        name="world_mixed_teachers",
        av_lessons=_mixed(sound.av_lessons),
        ar_lessons=_mixed(sound.ar_lessons),
        accepts_teachers=("world",),
    )


def world_wrong_decoder() -> Recipe:
    """Decoders fitted on encoded activations (v4), not on what the AR makes of explanations."""
    sound = world_sound()
    return replace(
        sound,
        name="world_wrong_decoder",
        fitting=replace(sound.fitting, decoder=FromEncoder()),
    )


def world_lora() -> Recipe:
    """World_sound with LoRA of rank 16 in place of all weights: one AV for all hosts, by tag."""
    sound = world_sound()
    return replace(sound, name="world_lora", av=replace(sound.av, lora=WORLD_LORA))


def world_collapsed() -> Recipe:
    """World_lora at the published learning rate: an AV that never reads its vector (v2)."""
    lora = world_lora()
    optim = replace(lora.av.optim, learning_rate=2e-5)
    return replace(lora, name="world_collapsed", av=replace(lora.av, optim=optim))


def _mixed(lessons: TeachingSpec) -> TeachingSpec:
    """Lessons of which most are the terse teacher's."""
    assert isinstance(lessons.teacher, WorldTeacher)
    parts = (
        TeacherPart(tag="usual", share=1 - OTHERS_SHARE, teacher=lessons.teacher),
        TeacherPart(tag="terse", share=OTHERS_SHARE, teacher=TERSE),
    )
    return replace(lessons, teacher=MixedTeachers(parts=parts))
