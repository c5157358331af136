"""The sweeps that come with the platform, each for any base recipe: slots, seeds, RL, scaling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from interlingua.core.contrasts import Contrast
from interlingua.recipes.parts import ALL_LINEAR
from interlingua.specs.injection import (
    Affine,
    AfterBlock,
    BiasOnly,
    Full,
    InjectionRule,
    LowRank,
    Replace,
    Shared,
)
from interlingua.specs.models import HostSpec
from interlingua.specs.recipe import Recipe
from interlingua.specs.training import AvSpec, HubFolder, LoraSpec
from interlingua.specs.world import WorldHostSpec
from interlingua.sweeps.sweep import Axis, Sweep

T = TypeVar("T")

# The published experiment went on from a trained one-slot AV for 3,000 steps at 2e-5, two thirds of
# that AV's rate; here fewer steps at less than a third.
CONTINUED_STEPS, CONTINUED_RATE = 500, 0.3
AFFINES: dict[str, Affine | None] = {
    "none": None,
    "full": Full(),
    "low_rank": LowRank(rank=8),
    "shared": Shared(),
    "bias": BiasOnly(),
}
RULES: dict[str, InjectionRule] = {"replace": Replace(), "after_block": AfterBlock(index=1)}
SLOTS_NOTES = (
    "Every cell goes on from one trained AV with one slot and no maps, with a new optimizer.",
    "repetition: more slots, no maps. affine: maps against none at as many slots. interaction: "
    "how much more maps give at many slots than at one. published: both at once.",
)


def slots_sweep(
    base: Recipe,
    *,
    slots: Sequence[int] = (1, 4, 16),
    affines: Sequence[str] = ("none", "full", "low_rank"),
    rules: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    num_steps: int | None = None,
) -> Sweep:
    """Slots x affine maps (x injection rule): what each of them is worth by itself."""
    axes = [
        Axis(
            name="slots",
            values={f"slots{number}": number for number in slots},
            apply=_with_slots,
        ),
        Axis(name="affine", values=_chosen("affine", affines, AFFINES), apply=_with_affine),
    ]
    if rules:
        axes.append(Axis(name="rule", values=_chosen("rule", rules, RULES), apply=_with_rule))
    return Sweep(
        name=f"slots-{base.name}",
        base=continued(base, num_steps),
        axes=tuple(axes),
        seeds=tuple(seeds),
        contrasts=tuple(_slots_contrasts(slots, affines, rules)),
        notes=SLOTS_NOTES,
    )


def continued(base: Recipe, num_steps: int | None = None) -> Recipe:
    """The recipe whose AV goes on from a trained one, with one slot and no maps.

    Where it does so as it is, from weights of elsewhere, its own rate and steps are what is asked.
    """
    plain = replace(base.av.injection, num_slots=1, affine=None)
    start = replace(base.av, injection=plain, affine_learning_rate=None)
    if isinstance(start.start, HubFolder):
        return replace(base, av=replace(start, num_steps=num_steps or start.num_steps), rl=())
    num_steps = num_steps or CONTINUED_STEPS
    optim = replace(start.optim, learning_rate=start.optim.learning_rate * CONTINUED_RATE)
    watch = replace(start.watch, validate_every=max(1, num_steps // 3))
    return replace(
        base,
        av_start=start,
        av=replace(start, num_steps=num_steps, optim=optim, watch=watch),
        rl=(),
    )


def seeds_sweep(base: Recipe, *, seeds: Sequence[int]) -> Sweep:
    """A recipe as it is, several times."""
    return Sweep(name=f"seeds-{base.name}", base=base, axes=(), seeds=tuple(seeds))


def scaling_sweep(
    base: Recipe,
    *,
    widths: Sequence[int],
    ranks: Sequence[int],
    rows: Sequence[int],
    seeds: Sequence[int],
) -> Sweep:
    """Trunk width x LoRA rank (0: all weights) x rows to learn from."""
    axes = (
        Axis(name="width", values={f"width{n}": n for n in widths}, apply=_with_width),
        Axis(
            name="rank",
            values={f"rank{n}" if n else "whole": n for n in ranks},
            apply=_with_rank,
        ),
        Axis(name="rows", values={f"rows{n}": n for n in rows}, apply=_with_rows),
    )
    return Sweep(
        name=f"scaling-{base.name}", base=replace(base, rl=()), axes=axes, seeds=tuple(seeds)
    )


def _slots_contrasts(
    slots: Sequence[int], affines: Sequence[str], rules: Sequence[str]
) -> Iterator[Contrast]:
    """Repetition, affine, their interaction and rule: each of them by itself."""
    for rule in rules or (None,):
        if "none" in affines:
            maps = [affine for affine in affines if affine != "none"]
            yield from _contrasts_of_rule(slots, maps, rule)
    pairs = [(number, affine) for number in slots for affine in affines]
    for other in rules[1:]:
        weights = {_setting(*pair, other): 1 / len(pairs) for pair in pairs}
        weights |= {_setting(*pair, rules[0]): -1 / len(pairs) for pair in pairs}
        yield Contrast(name=f"rule {other} - {rules[0]}", weights=weights)


def _contrasts_of_rule(
    slots: Sequence[int], maps: Sequence[str], rule: str | None
) -> Iterator[Contrast]:
    fewest, *more = sorted(slots)
    named = f" by {rule}" if rule else ""

    def gain(number: int, affine: str, over: tuple[int, str]) -> dict[str, float]:
        return {_setting(number, affine, rule): 1.0, _setting(*over, rule): -1.0}

    for number in more:
        weights = gain(number, "none", over=(fewest, "none"))
        yield Contrast(name=f"repetition {number} - {fewest}{named}", weights=weights)
    for affine in maps:
        at_fewest = gain(fewest, affine, over=(fewest, "none"))
        yield Contrast(name=f"{affine} at {fewest}{named}", weights=at_fewest)
        for number in more:
            weights = gain(number, affine, over=(number, "none"))
            yield Contrast(name=f"{affine} at {number}{named}", weights=weights)
            both = weights | {name: -weight for name, weight in at_fewest.items()}
            name = f"interaction of {affine} and {number} slots{named}"
            yield Contrast(name=name, weights=both)
    if maps and more:
        weights = gain(more[-1], maps[0], over=(fewest, "none"))
        name = f"published: {more[-1]} with {maps[0]} - {fewest}{named}"
        yield Contrast(name=name, weights=weights)


def _setting(number: int, affine: str, rule: str | None) -> str:
    return "-".join([f"slots{number}", affine, *([rule] if rule else [])])


def _chosen(name: str, labels: Sequence[str], known: Mapping[str, T]) -> dict[str, T]:
    if unknown := [label for label in labels if label not in known]:
        raise ValueError(f"{name} is {unknown[0]!r}; there are: {', '.join(known)}")
    return {label: known[label] for label in labels}


def _with_slots(recipe: Recipe, number: int) -> Recipe:
    return replace(recipe, av=_injecting(recipe.av, num_slots=number))


def _with_affine(recipe: Recipe, affine: Affine | None) -> Recipe:
    return replace(recipe, av=_injecting(recipe.av, affine=affine))


def _with_rule(recipe: Recipe, rule: InjectionRule) -> Recipe:
    # The start, too: one that was trained by the other rule would be a handicap.
    start = None if recipe.av_start is None else _injecting(recipe.av_start, rule=rule)
    return replace(recipe, av_start=start, av=_injecting(recipe.av, rule=rule))


def _injecting(av: AvSpec, **changes: object) -> AvSpec:
    return replace(av, injection=replace(av.injection, **changes))  # type: ignore[arg-type]


def _with_width(recipe: Recipe, width: int) -> Recipe:
    def sized(host: HostSpec) -> HostSpec:
        if host.tag != recipe.anchor:
            return host
        if not isinstance(host.source, WorldHostSpec):
            raise ValueError(f"{host.tag} was not made here: its width is what it is")
        return replace(host, source=replace(host.source, width=width))

    return replace(recipe, hosts=tuple(map(sized, recipe.hosts)))


def _with_rank(recipe: Recipe, rank: int) -> Recipe:
    lora = recipe.av.lora or LoraSpec(
        rank=1, alpha=2.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=False
    )
    # alpha = 2 rank, so that the update has one scale at every rank.
    own = replace(lora, rank=rank, alpha=2.0 * rank) if rank else None
    return replace(recipe, av=replace(recipe.av, lora=own))


def _with_rows(recipe: Recipe, rows: int) -> Recipe:
    return replace(recipe, av=replace(recipe.av, train_rows=rows))
