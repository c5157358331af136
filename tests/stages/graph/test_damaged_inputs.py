"""A byte that changed upstream is found when something is built on it, whatever the kind.

All kinds and places of a longer walk stand in tests/full/test_corruption.py.
"""

import random
import shutil
from pathlib import Path

import pytest

from interlingua.cluster.local import local_context
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import build, folder
from interlingua.store.integrity import CorruptFile
from interlingua.store.record import CorruptRecord

pytestmark = pytest.mark.slow

STAGES = graph_of(world_mini())
KINDS = sorted({up.kind for stage in STAGES for up in stage.upstream.values()})


@pytest.fixture(scope="module")
def root(mini_nla_root, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("damaged") / "root"
    return Path(shutil.copytree(mini_nla_root, path))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_built_on_a_changed_byte(kind, root):
    rng = random.Random(kind)
    downstream = rng.choice(
        [s for s in STAGES if kind in {up.kind for up in s.upstream.values()}],
    )
    upstream = rng.choice([up for up in downstream.upstream.values() if up.kind == kind])
    files = [path for path in folder(upstream, root).rglob("*") if path.is_file()]
    path = rng.choice([path for path in files if path.stat().st_size])
    before, content = folder(downstream, root), path.read_bytes()
    aside = before.with_name("aside")
    before.rename(aside)
    place = rng.randrange(len(content))
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    try:
        with pytest.raises((CorruptFile, CorruptRecord), match=str(path)):
            build(downstream, root, local_context(world_mini().placement))
    finally:
        path.write_bytes(content)
        aside.rename(before)
