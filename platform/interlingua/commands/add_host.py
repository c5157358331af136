"""Fit a new host to the trained ones: `python -m jobs.add_host world --tag T --source FOLDER`."""

import argparse

from interlingua.commands.build import build_and_show
from interlingua.commands.command_line import parser, resolved
from interlingua.specs.hosts import DTYPES
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import added_host_stages
from interlingua.stages.rows.adopted_host import adopted_spec


def main(arguments: argparse.Namespace) -> None:
    """Read the host's activations and fit its encoder; the recipe's own hosts stay as they are."""
    from interlingua.models.hosts.host import depth_of

    recipe = resolved(arguments)
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{recipe.name} has no trained hosts here to fit a new one to")
    host = adopted_spec(arguments.tag, arguments.source, arguments.revision)
    depth = depth_of(host.source, revision=host.revision)
    block = arguments.block_index
    stages = added_host_stages(
        recipe,
        host,
        block_index=recipe.block.block_index(depth) if block is None else block,
        max_tokens=arguments.max_tokens,
        dtype=arguments.dtype,
    )
    build_and_show(recipe, stages, arguments, added=host.tag)


def add_host_parser() -> argparse.ArgumentParser:
    """The shared arguments, and which host to add."""
    made = parser("jobs.add_host", __doc__ or "")
    made.add_argument("--tag", required=True, help="name for the new host")
    made.add_argument("--source", required=True, help="a local folder or a hub id")
    made.add_argument("--revision", help="the commit of a hub id")
    made.add_argument("--block-index", type=int, help="K (default: the middle of the host)")
    made.add_argument("--max-tokens", type=int, default=512, help="longer passages are cut")
    made.add_argument("--dtype", choices=DTYPES, default="float32", help="of the host's forward")
    return made
