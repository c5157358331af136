"""What two recipes have otherwise: settings, and stages by kind."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlingua.recipes.registry import recipe_named
from interlingua.sources.commits import commits_in, committed, open_names
from interlingua.sources.pinned import pinned
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import list_paths
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import Stage

MOST_LETTERS = 60  # of a value
PLACEMENT = "placement."
FREE = ("name", "notes")  # for people: no part of what is computed


def diff_lines(recipe: Recipe, other_name: str, root: Path) -> Iterator[str]:
    """The settings in which the recipe differs from another, then the stages that they share."""
    other = pinned(committed(recipe_named(other_name), commits_in(root)), is_built=False)
    here, there = ({path: value for path, _, value in list_paths(one)} for one in (recipe, other))
    left, right = recipe.name, other.name
    if left == right:
        right = f"{right} as registered"
    changed = [path for path in here if path in there and here[path] != there[path]]
    computed = [path for path in changed if not path.startswith(PLACEMENT) and path not in FREE]
    yield f"{left} | {right}"
    yield f"\nof the settings that both have {len(computed) or 'none'} differ"
    for path in computed:
        yield f"  {path} = {_short(here[path])} | {_short(there[path])}"
    yield from _one_sided(here, there, left)
    yield from _one_sided(there, here, right)
    if placed := [path for path in changed if path.startswith(PLACEMENT)]:
        yield f"\nwhere it runs (no part of what is computed): {len(placed)} settings differ"
        for path in placed:
            yield f"  {path} = {_short(here[path])} | {_short(there[path])}"
    yield ""
    if names := [*open_names(recipe), *open_names(other)]:
        yield f"which stages are the same is known once {', '.join(names)} have a commit"
        return
    yield from _stage_lines(graph_of(recipe), graph_of(other), left, right)


def _one_sided(own: Mapping[str, object], others: Mapping[str, object], name: str) -> Iterator[str]:
    """What only one of them has: the whole part of the recipe, where all of it is missing."""
    alone = [path for path in own if path not in others and not path.startswith(PLACEMENT)]
    parts = Counter(_missing_part(path, others) for path in alone)
    if parts:
        yield f"\nonly {name} has:"
    for part, count in parts.items():
        value = f" = {_short(own[part])}" if part in own else f" ({count} settings)"
        yield f"  {part}{value}"


def _missing_part(path: str, others: Mapping[str, object]) -> str:
    """The shortest beginning of a path with which no path of the other recipe begins."""
    words = path.split(".")
    for end in range(1, len(words)):
        part = ".".join(words[:end])
        if not any(one == part or one.startswith(f"{part}.") for one in others):
            return part
    return path


def _stage_lines(
    own: tuple[Stage, ...], others: tuple[Stage, ...], left: str, right: str
) -> Iterator[str]:
    here, there = ({stage.key: stage for stage in one} for one in (own, others))
    keys = {
        "the same in both": here.keys() & there.keys(),
        f"of {left} alone": here.keys() - there.keys(),
        f"of {right} alone": there.keys() - here.keys(),
    }
    for words, chosen in keys.items():
        kinds = Counter(stage.kind for key, stage in {**here, **there}.items() if key in chosen)
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        yield f"{len(chosen)} stages {words}{': ' + counts if counts else ''}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
