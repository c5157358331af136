"""A byte of any file of any artifact changes, and something is built on it: two hundred draws."""

import json
import random
import shutil
from pathlib import Path

import pytest
from tests.full.whole import added_host_stages, build_whole, context, whole_mini
from tests.local_host import local_host

from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HostSpec
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import Stage, build, find, folder
from interlingua.store.integrity import CorruptFile
from interlingua.store.model_files import model_hashes
from interlingua.store.record import CorruptRecord

NUM_DRAWS = 200


@pytest.fixture(scope="module")
def everything(whole_root, tmp_path_factory) -> tuple[Path, tuple[Stage, ...]]:
    """A root of this test's own with a host from elsewhere besides, and all of its stages."""
    path = tmp_path_factory.mktemp("corrupted")
    root = Path(shutil.copytree(whole_root, path / "root"))
    elsewhere = Path(shutil.copytree(next(root.glob("host/toy-gpt2-medium-*")), path / "elsewhere"))
    (elsewhere / "artifact.json").unlink()
    source = local_host("mine", str(elsewhere), None)
    host = HostSpec(source=source, block=AtBlock(index=0), max_tokens=256)
    added = added_host_stages(whole_mini(), host)
    build_whole(root, added)
    stages = {(s.kind, s.label): s for s in (*graph_of(whole_mini()), *added)}
    return root, tuple(stages.values())


def files_of(upstream: Stage, root: Path) -> list[Path]:
    found = [path for path in folder(upstream, root).rglob("*") if path.is_file()]
    if upstream.kind == "adopted":  # what belongs to it lies elsewhere
        source = Path(upstream.spec.source)
        found += [source / name for name in model_hashes(source)]
    return sorted(path for path in found if path.stat().st_size)


def says_the_same(path: Path, before: bytes) -> bool:
    try:
        return bool(json.loads(path.read_bytes()) == json.loads(before))
    except ValueError:
        return False


def test_nothing_is_built_on_a_changed_byte(everything) -> None:
    root, stages = everything
    rng = random.Random(0)
    pairs = [(down, up) for down in stages for up in down.upstream.values()]
    kinds = sorted({up.kind for _, up in pairs})
    assert {"rl", "tuned_encoder", "adopted", "evaluation", "bundle"} - set(kinds) == {"bundle"}
    for number in range(NUM_DRAWS):
        kind = kinds[number % len(kinds)]
        downstream, upstream = rng.choice([pair for pair in pairs if pair[1].kind == kind])
        path = rng.choice(files_of(upstream, root))
        content, done = path.read_bytes(), folder(downstream, root)
        place = rng.randrange(len(content))
        other = (content[place] + rng.randrange(1, 256)) % 256
        done.rename(done.with_name("aside"))
        path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
        try:
            if path.name == "artifact.json" and says_the_same(path, content):
                continue  # another space between two values: provably harmless
            with pytest.raises((CorruptFile, CorruptRecord), match=str(path)):
                build(downstream, root, context())
        finally:
            path.write_bytes(content)
            done.with_name("aside").rename(done)
    assert all(find(stage, root) for stage in stages)


def test_a_seal_needs_everything_upstream(everything) -> None:
    """A byte far upstream of a bundle and of an evaluation, where no stage in between is built."""
    root, stages = everything
    rng = random.Random(1)
    for stage in stages:
        if not stage.seals:
            continue
        upstream = next(s for s in stages if s.kind == "passages")
        path = rng.choice(files_of(upstream, root))
        content, done = path.read_bytes(), folder(stage, root)
        done.rename(done.with_name("aside"))
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        try:
            with pytest.raises((CorruptFile, CorruptRecord), match=str(path)):
                build(stage, root, context())
        finally:
            path.write_bytes(content)
            done.with_name("aside").rename(done)
