"""The lines of `--preflight` that compare bytes: of hosts, of training, of the disk."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from interlingua.cluster.findings import memory_finding
from interlingua.cluster.nodes import Node
from interlingua.memory.disk import checkpoint_bytes, rows_bytes
from interlingua.memory.parameters import RoleSize, ar_size, av_size, readable_bytes
from interlingua.memory.run import run_memory
from interlingua.models.hosts.preflight import ModelAsked, ModelSeen
from interlingua.models.hosts.reach import cache_folder
from interlingua.models.hosts.sizes import size_of
from interlingua.specs.corpora import WorldCorpus
from interlingua.specs.extraction import LastToken, Pooled
from interlingua.specs.finding import Finding, State
from interlingua.specs.hosts import AtBlock, PoolHost
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.placement import Single
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlTraining
from interlingua.specs.training import ArSpec
from interlingua.stages.graph.order import graph_of

Models = Sequence[tuple[ModelAsked, ModelSeen]]


def memory_lines(
    asked: ModelAsked, seen: ModelSeen, recipe: Recipe, nodes: Sequence[Node]
) -> Iterator[Finding]:
    """A line where the blocks of a host that are read may not fit where they are read."""
    if seen.read_bytes is not None:
        tag = asked.subject.partition(".")[2]
        _, device = recipe.placement.extraction.of_host(tag)
        found = memory_finding(asked.subject, seen.read_bytes, device, nodes)
        if found.state is State.WRONG:
            yield found


def training_lines(recipe: Recipe, models: Models, nodes: Sequence[Node]) -> Iterator[Finding]:
    """Whether the models fit on what trains them, beside their activations."""
    sizes = _sizes(recipe, models)
    place = recipe.placement.training
    ranks = 1 if place.workers is None or place.zero_stage == 0 else place.workers.count
    for size in _role_sizes(recipe, sizes):
        parts = size.bytes_by_part()
        # ZeRO shares out the optimizer's state from stage 1 on.
        state = (parts["moments"] + parts["master"]) // ranks
        num_bytes = parts["weights"] + parts["gradients"] + state
        yield memory_finding(f"{size.role} training", num_bytes, place.device, nodes)
    yield from _reinforcing_lines(recipe, sizes, nodes)


def disk_lines(recipe: Recipe, root: Path, models: Models) -> Iterator[Finding]:
    """What comes onto the disk of the root, beside what is free there and in the cache."""
    place, cache = (_existing(path) for path in (root, cache_folder()))
    free, free_in_cache = (shutil.disk_usage(one).free for one in (place, cache))
    # Two hosts of one hub id have one folder.
    weights = sum({asked.source: seen.to_come or 0 for asked, seen in models}.values())
    sizes = _sizes(recipe, models)
    checkpoints = checkpoint_bytes(_role_sizes(recipe, sizes))
    rows = _rows_bytes(recipe, sizes)
    parts = [
        f"models {readable_bytes(weights)}",
        f"checkpoints {readable_bytes(checkpoints)}",
        "rows of unknown number" if rows is None else f"rows {readable_bytes(rows)}",
    ]
    what = f"{root}: to come {', '.join(parts)}; {readable_bytes(free)} free"
    if weights + checkpoints + (rows or 0) <= free:
        yield Finding("disk", what, State.OK)
    else:
        yield Finding("disk", what, State.MISSING, "make room, or take another --root")
    is_linked = place.stat().st_dev == cache.stat().st_dev
    how = "linked into the root" if is_linked else "on another file system: copied into the root"
    what = f"{cache_folder()}: {how}; {readable_bytes(free_in_cache)} free"
    yield Finding("disk", what, State.OK)


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())


def _sizes(recipe: Recipe, models: Models) -> dict[str, PoolHost]:
    """The dimensions of the hosts by tag, of those where they are known."""
    folders = {
        asked.subject: str(seen.files.folder) for asked, seen in models if seen.files is not None
    }
    found = {}
    for host in recipe.hosts:
        source = host.source
        if isinstance(source, HubHost) and (folder := folders.get(f"hosts.{host.tag}")):
            source = HubHost(tag=host.tag, source=folder)
        if (size := size_of(source)) is not None:
            found[host.tag] = size
    return found


def _reinforcing_lines(
    recipe: Recipe, sizes: Mapping[str, PoolHost], nodes: Sequence[Node]
) -> Iterator[Finding]:
    """The roles of reinforcement learning at their peak."""
    if not recipe.rl or recipe.anchor not in sizes:
        return
    sized = replace(
        recipe,
        hosts=tuple(_with_depth(host, sizes.get(host.tag)) for host in recipe.hosts),
        ar=_ar(recipe, sizes[recipe.anchor]),
    )
    place = sized.placement.reinforcing
    spec = next(s.spec for s in graph_of(sized) if isinstance(s.spec, RlTraining))
    for row in run_memory(sizes[recipe.anchor], spec, place):
        device = place.device if isinstance(place, Single) else place.roles()[row.role].device
        yield memory_finding(f"rl {row.role}", row.total, device, nodes)


def _with_depth(host: HostSpec, size: PoolHost | None) -> HostSpec:
    """The host as a graph needs it, which counts blocks."""
    if not isinstance(host.source, HubHost):
        return host
    if size is None:  # which block it is changes no role
        return replace(host, block=AtBlock(index=0))
    return replace(host, source=replace(host.source, num_blocks=size.num_blocks))


def _ar(recipe: Recipe, trunk: PoolHost) -> ArSpec:
    """The AR with the block that a run takes from the anchor, where it names none."""
    if recipe.ar.block_index is not None:
        return recipe.ar
    block = recipe.host(recipe.anchor).block.block_index(trunk.num_blocks)
    return replace(recipe.ar, block_index=block)


def _role_sizes(recipe: Recipe, sizes: Mapping[str, PoolHost]) -> list[RoleSize]:
    """AV and AR; none where the dimensions of their trunk are not known."""
    if (trunk := sizes.get(recipe.anchor)) is None:
        return []
    return [av_size(trunk, recipe.av, []), ar_size(trunk, _ar(recipe, trunk))]


def _rows_bytes(recipe: Recipe, sizes: Mapping[str, PoolHost]) -> int | None:
    """The bytes of all rows; None where nobody knows how many texts there are."""
    corpus, read = recipe.passages.corpus, recipe.read
    num_passages = corpus.num_passages if isinstance(corpus, WorldCorpus) else corpus.count
    if num_passages is None or recipe.passages.pieces is not None:
        return None
    per_passage = 1 if isinstance(read, Pooled | LastToken) else read.per_passage
    return rows_bytes(num_passages * per_passage, [size.width for size in sizes.values()])
