"""Fit a new host to the trained ones: `interlingua add-host world --tag T --source FOLDER`."""

import argparse

from interlingua.commands.building.build import build_and_show
from interlingua.commands.building.plan import add_plan
from interlingua.commands.building.preflight import add_preflight, preflight_recipe, show_preflight
from interlingua.commands.command_line import parser, resolved
from interlingua.sources.pinned import pinned_host
from interlingua.specs.hosts import DTYPES, AtBlock
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import added_host_stages


def main(arguments: argparse.Namespace) -> None:
    """Read the host's activations and fit its encoder; the recipe's own hosts stay as they are."""
    if (asked := preflight_recipe(arguments)) is not None:
        own = HubHost(tag=arguments.tag, source=arguments.source, revision=arguments.revision)
        show_preflight(asked, arguments.root, extra=[_host(arguments, own, asked)])
        return
    recipe = resolved(arguments)
    source = pinned_host(
        HubHost(tag=arguments.tag, source=arguments.source, revision=arguments.revision),
        needs_depth=arguments.block_index is None,
    )
    host = _host(arguments, source, recipe)
    stages = added_host_stages(recipe, host)
    build_and_show(recipe, stages, arguments, added=host.tag)


def _host(arguments: argparse.Namespace, source: HubHost, recipe: Recipe) -> HostSpec:
    block = recipe.host(recipe.anchor).block
    if arguments.block_index is not None:
        block = AtBlock(index=arguments.block_index)
    return HostSpec(
        source=source, block=block, dtype=arguments.dtype, max_tokens=arguments.max_tokens
    )


def add_host_parser() -> argparse.ArgumentParser:
    """The shared arguments, and which host to add."""
    made = parser("jobs.add_host", __doc__ or "")
    made.add_argument("--tag", required=True, help="name for the new host")
    made.add_argument("--source", required=True, help="a local folder, a .gguf file or a hub id")
    made.add_argument("--revision", help="the commit of a hub id")
    made.add_argument("--block-index", type=int, help="K (default: the middle of the host)")
    made.add_argument("--max-tokens", type=int, default=512, help="longer passages are cut")
    made.add_argument("--dtype", choices=DTYPES, default="float32", help="of the host's forward")
    add_preflight(made)
    add_plan(made)
    return made
