"""The lines of `--preflight` that compare bytes: of hosts, of training, of the disk."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from interlingua.cluster.findings import memory_finding
from interlingua.cluster.placement import Node
from interlingua.memory.disk import checkpoint_bytes, rows_bytes
from interlingua.memory.parameters import RoleSize, ar_size, av_size, readable_bytes
from interlingua.memory.run import run_memory
from interlingua.models.hosts.preflight import ModelAsked, ModelSeen
from interlingua.models.hosts.reach import cache_folder
from interlingua.models.hosts.sizes import size_of
from interlingua.specs.corpora import CorpusSpec, WorldCorpus
from interlingua.specs.extraction import LastToken, Pooled
from interlingua.specs.finding import Finding, State
from interlingua.specs.models import HubHost
from interlingua.specs.placement import Single
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlTraining
from interlingua.stages.graph.order import graph_of


def memory_lines(
    asked: ModelAsked, seen: ModelSeen, recipe: Recipe, nodes: Sequence[Node]
) -> Iterator[Finding]:
    """Whether the blocks of a host that are read fit where they are read."""
    if seen.read_bytes is not None:
        tag = asked.subject.partition(".")[2]
        _, device = recipe.placement.extraction.of_host(tag)
        yield memory_finding(asked.subject, seen.read_bytes, device, nodes)


def training_lines(
    recipe: Recipe, seen: Sequence[ModelSeen], nodes: Sequence[Node]
) -> Iterator[Finding]:
    """Whether the models fit on what trains them, beside their activations."""
    place = recipe.placement.training
    ranks = 1 if place.workers is None or place.zero_stage == 0 else place.workers.count
    for size in _role_sizes(recipe):
        parts = size.bytes_by_part()
        # ZeRO shares out the optimizer's state from stage 1 on.
        state = (parts["moments"] + parts["master"]) // ranks
        num_bytes = parts["weights"] + parts["gradients"] + state
        yield memory_finding(f"{size.role} training", num_bytes, place.device, nodes)
    yield from _reinforcing_lines(recipe, nodes)


def disk_lines(
    recipe: Recipe, root: Path, seen: Sequence[tuple[ModelAsked, ModelSeen]]
) -> Iterator[Finding]:
    """What comes onto the disk of the root, beside what is free there and in the cache."""
    place, cache = (_existing(path) for path in (root, cache_folder()))
    free, free_in_cache = (shutil.disk_usage(one).free for one in (place, cache))
    # Two hosts of one hub id have one folder.
    models = sum({asked.source: one.to_come or 0 for asked, one in seen}.values())
    checkpoints = checkpoint_bytes(_role_sizes(recipe))
    rows = _rows_bytes(recipe, [one for _, one in seen])
    parts = [
        f"models {readable_bytes(models)}",
        f"checkpoints {readable_bytes(checkpoints)}",
        "rows of unknown number" if rows is None else f"rows {readable_bytes(rows)}",
    ]
    what = f"{root}: to come {', '.join(parts)}; {readable_bytes(free)} free"
    if models + checkpoints + (rows or 0) <= free:
        yield Finding("disk", what, State.OK)
    else:
        yield Finding("disk", what, State.MISSING, "make room, or take another --root")
    is_linked = place.stat().st_dev == cache.stat().st_dev
    how = "linked into the root" if is_linked else "on another file system: copied into the root"
    what = f"{cache_folder()}: {how}; {readable_bytes(free_in_cache)} free"
    yield Finding("disk", what, State.OK)


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())


def _reinforcing_lines(recipe: Recipe, nodes: Sequence[Node]) -> Iterator[Finding]:
    """The roles of reinforcement learning at their peak."""
    sized = _with_depths(recipe)
    trunk = None if sized is None else size_of(sized.host(sized.anchor).source)
    if sized is None or trunk is None or not sized.rl:
        return
    place = sized.placement.reinforcing
    spec = next(s.spec for s in graph_of(sized) if isinstance(s.spec, RlTraining))
    for row in run_memory(trunk, spec, place):
        device = place.device if isinstance(place, Single) else place.roles()[row.role].device
        yield memory_finding(f"rl {row.role}", row.total, device, nodes)


def _with_depths(recipe: Recipe) -> Recipe | None:
    """The recipe with the depths that are known here, for what counts blocks; None without."""
    hosts = []
    for host in recipe.hosts:
        if isinstance(host.source, HubHost) and host.source.num_blocks is None:
            size = size_of(host.source)
            if size is None:
                return None
            source = replace(host.source, num_blocks=size.num_blocks)
            host = replace(host, source=source)
        hosts.append(host)
    found = replace(recipe, hosts=tuple(hosts))
    if found.ar.block_index is None:
        block = found.host(found.anchor).block_index
        found = replace(found, ar=replace(found.ar, block_index=block))
    return found


def _role_sizes(recipe: Recipe) -> list[RoleSize]:
    """AV and AR; none where the dimensions of their trunk are not known."""
    sized = replace(recipe, rl=())
    trunk = size_of(sized.host(sized.anchor).source)
    if trunk is None:
        return []
    ar = sized.ar
    if ar.block_index is None:
        block = sized.host(sized.anchor).block.block_index(trunk.num_blocks)
        ar = replace(ar, block_index=block)
    return [av_size(trunk, sized.av, []), ar_size(trunk, ar)]


def _rows_bytes(recipe: Recipe, seen: Sequence[ModelSeen]) -> int | None:
    """The bytes of all rows; None where nobody knows how many texts there are."""
    num_passages = _num_passages(recipe.passages.corpus)
    if num_passages is None or recipe.passages.pieces is not None:
        return None
    made = [size_of(host.source) for host in recipe.hosts if not isinstance(host.source, HubHost)]
    widths = [size.width for size in made if size is not None]
    widths += [one.width for one in seen if one.width is not None]
    read = recipe.read
    per_passage = 1 if isinstance(read, Pooled | LastToken) else read.per_passage
    return rows_bytes(num_passages * per_passage, widths)


def _num_passages(corpus: CorpusSpec) -> int | None:
    return corpus.num_passages if isinstance(corpus, WorldCorpus) else corpus.count
