"""A bundle of world_mini: as it is, opened, and copied to be spoilt."""

import shutil

import pytest

from interlingua.models.bundle.nla import NLA
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

SHORT = {"max_new_tokens": 12}


@pytest.fixture(scope="session")
def stages():
    """The stages of world_mini by kind and label."""
    return {f"{s.kind}/{s.label}": s for s in graph_of(world_mini())}


@pytest.fixture(scope="session")
def bundle(stages, mini_nla_root):
    """Its folder."""
    return find(stages["bundle/world_mini"], mini_nla_root).path


@pytest.fixture(scope="session")
def nla(bundle):
    """It, opened."""
    return NLA.load(bundle)


@pytest.fixture(scope="session")
def short():
    """Options of a call: greedy, and soon over."""
    return SHORT


@pytest.fixture
def copied(bundle, tmp_path):
    """A copy of the bundle that may be spoilt, beside the hosts that it points at."""
    for folder in bundle.parent.parent.iterdir():
        if folder.name != "bundle":
            (tmp_path / folder.name).symlink_to(folder)
    return shutil.copytree(bundle, tmp_path / "bundle" / "copy")


@pytest.fixture
def moved(bundle, tmp_path):
    """A copy of the bundle and of its hosts, which may be spoilt too: bundle/copy and host/*."""
    shutil.copytree(bundle.parent.parent / "host", tmp_path / "host")
    return shutil.copytree(bundle, tmp_path / "bundle" / "copy")
