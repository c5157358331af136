"""The parameters of a recipe that people compare runs by, under their names. Knows no tracker."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from interlingua.specs.corpora import CorpusSpec, HubText, Mixture, TextFiles
from interlingua.specs.injection import InjectionSpec
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.rl import RlSpec
from interlingua.specs.text.typed import variant_name
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec, OptimSpec
from interlingua.specs.world import WorldCorpus


def recipe_params(recipe: Recipe) -> dict[str, str]:
    """A few dozen of them; all values of a recipe are in its file."""
    return {
        "recipe": recipe.name,
        "anchor": recipe.anchor,
        "trained hosts": ", ".join(recipe.trained) or "none",
        "held-out hosts": ", ".join(recipe.held_out) or "none",
        "num hosts": str(len(recipe.hosts)),
        "read": _words(recipe.read),
        "block": _one_or_all({host.tag: _words(host.block) for host in recipe.hosts}),
        "host dtype": _one_or_all({host.tag: host.dtype for host in recipe.hosts}),
        "corpus": variant_name(type(recipe.passages.corpus)).replace("_", " "),
        **dict(_corpus(recipe.passages.corpus)),
        "av": _weights(recipe.av.lora),
        **_injection(recipe.av.injection),
        **_training("av", recipe.av, recipe.av_lessons),
        "av encoder learning rate": _or_none(recipe.av.encoder_learning_rate),
        "ar": _weights(recipe.ar.lora),
        "ar block": str(recipe.ar.block_index),
        **_training("ar", recipe.ar, recipe.ar_lessons),
        **_reinforcement(recipe.rl),
        "evaluation split": recipe.evaluation.split,
        "evaluation rows": str(recipe.evaluation.rows),
        "evaluation samples": str(recipe.evaluation.samples),
        "evaluation seed": str(recipe.speaking.seed),
    }


def _corpus(corpus: CorpusSpec) -> Iterator[tuple[str, str]]:
    match corpus:
        case WorldCorpus():
            yield "passages", str(corpus.num_passages)
            yield "passages seed", str(corpus.world.seed)
        case TextFiles():
            yield "texts", corpus.path
        case HubText():
            yield "texts", f"{corpus.dataset} at {str(corpus.revision)[:12]}"
        case Mixture():
            yield "texts", ", ".join(f"{part.share:g} {part.tag}" for part in corpus.parts)


def _injection(spec: InjectionSpec) -> dict[str, str]:
    return {
        "av injection": _words(spec.rule),
        "av slots": str(spec.num_slots),
        "av scale": str(spec.scale),
        "av centring": str(spec.centring),
        "av affine": "none" if spec.affine is None else _words(spec.affine),
    }


def _training(name: str, spec: AvSpec | ArSpec, lessons: TeachingSpec) -> dict[str, str]:
    return {
        f"{name} steps": str(spec.num_steps),
        f"{name} batch rows": str(spec.batch_rows),
        f"{name} learning rate": str(spec.optim.learning_rate),
        f"{name} dtype": spec.optim.dtype,
        f"{name} seed": str(spec.seed),
        f"{name} texts of an activation": str(lessons.samples),
    }


def _reinforcement(runs: tuple[RlSpec, ...]) -> dict[str, str]:
    """One value where all runs have the same, else every run's."""
    if not runs:
        return {"rl": "none"}
    by_run = {run.tag: dict(_of_run(run)) for run in runs}
    first, *_ = by_run.values()
    return {"rl": ", ".join(by_run)} | {
        f"rl {name}": _one_or_all({tag: values[name] for tag, values in by_run.items()})
        for name in first
    }


def _of_run(run: RlSpec) -> Iterator[tuple[str, str]]:
    yield "steps", str(run.num_steps)
    yield "activations a step", str(run.activations_per_step)
    yield "group size", str(run.group_size)
    yield "reward", _words(run.reward)
    yield "kl coefficient", str(run.kl_coef)
    yield "clip ratio", str(run.clip_ratio)
    yield "length penalty", str(run.length_penalty)
    yield "av learning rate", _rate(run.av)
    yield "ar learning rate", _rate(run.ar)
    yield "seed", str(run.seed)


def _one_or_all(values: Mapping[str, str]) -> str:
    found = set(values.values())
    return found.pop() if len(found) == 1 else ", ".join(f"{tag}: {v}" for tag, v in values.items())


def _rate(optim: OptimSpec | None) -> str:
    return "frozen" if optim is None else str(optim.learning_rate)


def _weights(lora: LoraSpec | None) -> str:
    return "all weights" if lora is None else f"LoRA, rank {lora.rank}, alpha {lora.alpha:g}"


def _or_none(value: float | None) -> str:
    return "none" if value is None else str(value)


def _words(spec: object) -> str:
    """A variant by its name and fields: `spans, per_passage 1, min_sentence 1, seed 0`."""
    assert is_dataclass(spec) and not isinstance(spec, type)
    values = (f"{field.name} {getattr(spec, field.name)}" for field in fields(spec))
    return ", ".join([variant_name(type(spec)).replace("_", " "), *values])
