"""A search of the settings of reinforcement learning: the dials, and the recipe that they make.

Knows no backend.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from interlingua.recipes.parts import WORLD_RL
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import Contrast, RlSpec
from interlingua.stages.graph.cells import cell_stages
from interlingua.store.artifact import Stage
from interlingua.sweeps.sweep import with_seed

CONTRAST_TEMPERATURE = 0.1
# Of a recipe without reinforcement learning: enough for some of its texts to be explanations, for
# samples that all fail differ in nothing, and a search would have nothing to compare.
LEAST_SFT_STEPS = 150
SHORT_RL = replace(
    WORLD_RL,
    num_steps=24,
    activations_per_step=4,
    watch=replace(WORLD_RL.watch, evaluate_every=4, checkpoint_every=4, dev_rows=24, gates=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """A number of a run of reinforcement learning, and where it is searched for."""

    low: float
    high: float
    is_log: bool
    apply: Callable[[RlSpec, float], RlSpec]


def _with_av_rate(run: RlSpec, rate: float) -> RlSpec:
    return replace(run, av=None if run.av is None else replace(run.av, learning_rate=rate))


def _with_contrast(run: RlSpec, share: float) -> RlSpec:
    return replace(run, reward=Contrast(share=share, temperature=CONTRAST_TEMPERATURE))


def _with_ar_rate(run: RlSpec, rate: float) -> RlSpec:
    return replace(run, ar=None if run.ar is None else replace(run.ar, learning_rate=rate))


DIALS = {
    "av_rate": Dial(low=1e-4, high=3e-3, is_log=True, apply=_with_av_rate),
    "ar_rate": Dial(low=1e-4, high=3e-3, is_log=True, apply=_with_ar_rate),
    "kl_coef": Dial(
        low=3e-3, high=0.3, is_log=True, apply=lambda run, value: replace(run, kl_coef=value)
    ),
    "floor": Dial(
        low=0.0, high=0.3, is_log=False,
        apply=lambda run, value: replace(run, advantage_floor=value),
    ),
    "length_penalty": Dial(
        low=0.0, high=0.01, is_log=False,
        apply=lambda run, value: replace(run, length_penalty=value),
    ),
    "contrast_share": Dial(low=0.0, high=0.5, is_log=False, apply=_with_contrast),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RlSearch:
    """A recipe with one run of reinforcement learning, and the dials that are turned of it."""

    base: Recipe
    dials: Mapping[str, Dial]

    def recipe(self, values: Mapping[str, float]) -> Recipe:
        """The recipe with these settings."""
        (run,) = self.base.rl
        for name, dial in self.dials.items():
            run = dial.apply(run, float(values[name]))
        return replace(self.base, rl=(run,))

    def shared(self) -> tuple[Stage, ...]:
        """The stages that no dial changes, inputs first: they are built once, before the trials."""
        low, high = (
            cell_stages(self.recipe(values), self.base.name)
            for values in (
                {name: dial.low for name, dial in self.dials.items()},
                {name: dial.high for name, dial in self.dials.items()},
            )
        )
        keys = {stage.key for stage in high}
        return tuple(stage for stage in low if stage.key in keys)

    def own(self, values: Mapping[str, float]) -> tuple[Stage, ...]:
        """The stages of these settings alone, inputs first."""
        keys = {stage.key for stage in self.shared()}
        stages = cell_stages(self.recipe(values), self.base.name)
        return tuple(stage for stage in stages if stage.key not in keys)


def rl_search(recipe: Recipe, dials: Sequence[str], *, seed: int) -> RlSearch:
    """The search around a recipe's run of reinforcement learning, or a short one if it has none.

    All trials have one seed: a search compares settings, and its best is not yet a result. For
    that give it to a sweep over seeds.
    """
    if len(recipe.rl) > 1:
        raise ValueError(
            f"{recipe.name} has {len(recipe.rl)} runs of reinforcement learning; a search is "
            "around one"
        )
    if unknown := [name for name in dials if name not in DIALS]:
        raise ValueError(f"dial is {unknown[0]!r}; there are: {', '.join(DIALS)}")
    base = with_seed(recipe if recipe.rl else _speaking(recipe), seed)
    return RlSearch(base=base, dials={name: DIALS[name] for name in dials or DIALS})


def _speaking(recipe: Recipe) -> Recipe:
    """The recipe with a short run, behind an AV that was trained whole for long enough to speak."""
    steps = max(LEAST_SFT_STEPS, recipe.av.num_steps)
    optim = replace(recipe.av.optim, learning_rate=max(3e-3, recipe.av.optim.learning_rate))
    return replace(
        recipe, rl=(SHORT_RL,), av=replace(recipe.av, lora=None, num_steps=steps, optim=optim)
    )
