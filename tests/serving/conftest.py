"""The bundle of world_mini behind engines of this process."""

import asyncio
import os
import shutil

import pytest

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.models.bundle.nla import NLA
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.engines.local import opened_backend
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store.artifact import find


@pytest.fixture(scope="session")
def bundle(mini_nla_root):
    """Its folder."""
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture(scope="session")
def nla(bundle):
    """It, opened: the truth that a served one must give."""
    return NLA.load(bundle)


@pytest.fixture
def serve(bundle):
    """Start engines with these limits; they end with the test."""
    started = []

    def start(**limits):
        started.append(opened_backend(bundle, limits=Limits(**limits)))
        return started[-1]

    yield start
    for backend in started:
        backend.close()


@pytest.fixture
def backend(serve):
    """Engines with the usual limits."""
    return serve()


async def texts_of(backend, host, h_ND, sampling):
    """The raw texts of all samples, row by row; no piece comes twice."""
    found = {}
    async for piece in backend.verbalize(host, h_ND, sampling, wants_partial=False):
        assert (piece.row, piece.sample) not in found
        found[piece.row, piece.sample] = piece.done.raw_text
    return [[found[row, n] for n in range(sampling.n)] for row in range(len(h_ND))]


def run(coroutine):
    """Run to the end."""
    return asyncio.run(coroutine)


@pytest.fixture(scope="session")
def plain_bundle(mini_root, tmp_path_factory):
    """One slot, the anchor's own activations: what a client of the public sidecar can express."""
    root = tmp_path_factory.mktemp("plain") / "runs"
    shutil.copytree(mini_root, root, copy_function=os.link)
    recipe = with_overrides(
        world_mini(),
        [
            "av.injection.num_slots=1",
            "av.injection.centring=none",
            "av.template=the vector is <concept>{injection_char}</concept>",
        ],
    )
    stages = needed_for("bundle", graph_of(recipe))
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, local_context(recipe.placement), watcher)
    (stage,) = (stage for stage in stages if stage.kind == "bundle")
    return find(stage, root).path
