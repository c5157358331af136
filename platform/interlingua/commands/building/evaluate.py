"""Evaluate a recipe's NLA, or one behind a URL: `interlingua evaluate world --endpoint URL`.

With --endpoint a server writes and reads the texts. Rows, splits, controls and gates are those of
the recipe, and so are the numbers, where the server has the recipe's own bundle. What another
bundle learned from nobody knows here: then the gate `leakage` fails. The server's token stands in
INTERLINGUA_TOKEN.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from interlingua.commands.building.build import build_and_show, build_recipe
from interlingua.commands.building.plan import add_plan
from interlingua.commands.command_line import parser, resolved
from interlingua.specs.placement import ServerPlacement
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.stages.graph.served import evaluation_of, served_stages
from interlingua.store.artifact import Stage, find


def main(arguments: argparse.Namespace) -> None:
    """Build what the evaluation needs and show its numbers."""
    if arguments.endpoint is None:
        if arguments.model is not None:
            raise ValueError("--model names a bundle of a server; give --endpoint, too")
        build_recipe(arguments, lambda recipe: needed_for("evaluation", graph_of(recipe)))
        return
    recipe = resolved(arguments)
    digest = _digest(recipe, arguments.endpoint, arguments.model)
    recipe = _served_by(recipe, ServerPlacement(url=arguments.endpoint, model=arguments.model))
    bundle = _bundle(recipe, digest, arguments.root)
    stages = served_stages(recipe, digest, bundle)
    try:
        build_and_show(recipe, stages, arguments, server=f"served {digest[:12]}")
    finally:  # also where a gate failed
        if bundle is not None:
            _compare(recipe, bundle, stages, arguments.root)


def evaluate_parser() -> argparse.ArgumentParser:
    """The shared arguments, and the server."""
    made = parser("jobs.evaluate", __doc__ or "")
    made.add_argument("--endpoint", metavar="URL", help="a server that writes and reads the texts")
    made.add_argument("--model", help="of --endpoint: which of its bundles (default: the first)")
    add_plan(made)
    return made


def _digest(recipe: Recipe, url: str, model: str | None) -> str:
    """The digest of the bundle that is served, which must know the recipe's hosts."""
    from interlingua.serving.client.endpoint import Endpoint

    with Endpoint(url, model) as endpoint:
        if endpoint.digest is None:
            raise ValueError(
                f"{endpoint!r} gives no vectors of texts, which most numbers are made of; "
                "Endpoint(url).score holds its texts against activations"
            )
        if missing := [host.tag for host in recipe.hosts if host.tag not in endpoint.hosts]:
            raise ValueError(
                f"{url} does not know {', '.join(missing)} of {recipe.name}; its hosts are: "
                f"{', '.join(endpoint.hosts)}"
            )
        return endpoint.digest


def _served_by(recipe: Recipe, server: ServerPlacement) -> Recipe:
    place = recipe.placement
    verbalizing = replace(place.verbalizing, server=server)
    return replace(recipe, placement=replace(place, verbalizing=verbalizing))


def _bundle(recipe: Recipe, digest: str, root: Path) -> Stage | None:
    """The recipe's own bundle of that digest, where it is built here."""
    from interlingua.store.bundle import bundle_digest

    for stage in graph_of(recipe):
        found = find(stage, root) if stage.kind == "bundle" else None
        if found is not None and bundle_digest(found.path) == digest:
            return stage
    return None


def _compare(recipe: Recipe, bundle: Stage, stages: tuple[Stage, ...], root: Path) -> None:
    """Print how far the numbers are from those of the same bundle in a process of the recipe."""
    from interlingua.report.numbers import NUMBERS_NAME, read_numbers

    *_, evaluation = (stage for stage in stages if stage.kind == "evaluation")
    own, served = find(evaluation_of(recipe, bundle), root), find(evaluation, root)
    if own is None or served is None:
        return
    here, there = (read_numbers(one.path / NUMBERS_NAME) for one in (own, served))
    count, largest = here.largest_difference(there)
    print(
        f"{count} numbers are also in {own.path.name}, made without a server; the largest "
        f"difference is {largest:.2g}"
    )
