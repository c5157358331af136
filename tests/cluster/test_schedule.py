"""Graphs of toy stages on a Ray head: same bytes as without Ray, and what goes wrong is told."""

import hashlib
import os
import resource
import signal
import sys
from dataclasses import dataclass, replace

import pytest

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.cluster.schedule import WORKER_DEATHS_SURVIVED, RayBackend, WorkerLost
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.specs.placement import (
    ExtractionPlacement,
    HostWorkers,
    Placement,
    Workers,
    WorkKind,
)
from interlingua.stages.graph.order import joined
from interlingua.stages.running.context import StagesFailed
from interlingua.store.artifact import Stage, find
from interlingua.store.atomic import StorageFull, write_atomically

PLACEMENT = Placement(
    cpus_per_stage=1,
    threads_per_worker=1,
    stages_side_by_side=4,
    extraction=ExtractionPlacement(
        workers=Workers(count=1, cpus=1, gpus=0), device="cpu", block_passages=8, batch_tokens=64
    ),
    training=ONE_CORE_A_STAGE.training,
    verbalizing=ONE_CORE_A_STAGE.verbalizing,
    reinforcing=ONE_CORE_A_STAGE.reinforcing,
)
CONTEXT = local_context(PLACEMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySpec:
    """What a toy stage is asked for."""

    seed: int
    host_tag: str = "toy"


class Uncopyable(Exception):
    """An error that can be raised in one process, but not be made again in another."""

    def __init__(self, left, right):
        super().__init__(f"{left} and {right}")


class Listener:
    """A watcher that remembers what was done."""

    def __init__(self):
        self.done = []

    def on_preflight(self, lines):
        pass

    def on_done(self, stage, artifact):
        self.done.append(stage.name)

    def on_tick(self, running):
        pass


def write_digest(spec, inputs, out, context):
    parts = [(path.path / "digest.txt").read_text() for _, path in sorted(inputs.items())]
    text = hashlib.sha256("".join([str(spec.seed), *parts]).encode()).hexdigest()
    with write_atomically(out / "digest.txt") as file:
        file.write(text.encode())
    return {"length": len(text)}


def raise_lookup_error(spec, inputs, out, context):
    raise LookupError(f"no {spec.seed}\nin any place")


def raise_uncopyable(spec, inputs, out, context):
    raise Uncopyable("this", "that")


def fill_storage(spec, inputs, out, context):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        return write_digest(spec, inputs, out, context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kill_worker(spec, inputs, out, context):
    with (out / "attempts.txt").open("a") as file:
        file.write("attempt\n")
    os.kill(os.getpid(), signal.SIGKILL)


def kill_worker_once(spec, inputs, out, context):
    attempts = out / "attempts.txt"
    is_first = not attempts.exists()
    with attempts.open("a") as file:
        file.write("attempt\n")
    if is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_digest(spec, inputs, out, context)


def toy(label, run, **inputs):
    return Stage(
        kind="toy", label=label, spec=ToySpec(seed=len(label)), run=run, inputs=inputs, revision=1
    )


@pytest.fixture
def on_head(ray_head, monkeypatch):
    """Stages go to the head of the session; its workers do not import this file."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
        monkeypatch.setenv(name, value)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def built(backend, stages, root):
    """Build with this backend; what the watcher heard."""
    listener = Listener()
    backend.build_all(stages, root, CONTEXT, listener)
    return listener.done


def two_recipes(run=write_digest):
    """One graph of two: they share a stage, and each has a `toy/trained` of its own."""
    shared = toy("shared", write_digest)
    trained = [replace(toy("trained", run, up=shared), spec=ToySpec(seed=n)) for n in (1, 2)]
    ends = [toy(f"end{n}", write_digest, up=stage) for n, stage in enumerate(trained)]
    return joined([[shared, one, end] for one, end in zip(trained, ends, strict=True)])


@pytest.mark.parametrize("backend", [LocalBackend(), RayBackend()], ids=["local", "ray"])
@pytest.mark.ray
@pytest.mark.slow
def test_what_is_called_the_same_in_two_recipes_is_built_for_each(backend, on_head, tmp_path):
    graph = two_recipes()
    assert [stage.name for stage in graph] == [
        "toy/shared", "toy/trained", "toy/end0", "toy/trained", "toy/end1",
    ]  # fmt: skip
    assert sorted(built(backend, graph, tmp_path)) == sorted(stage.name for stage in graph)
    assert len({find(stage, tmp_path).path for stage in graph}) == 5


@pytest.mark.ray
@pytest.mark.slow
def test_a_failure_of_one_of_them_is_told_apart_and_stops_the_other_nowhere(on_head, tmp_path):
    shared, one, end, other, other_end = two_recipes()
    bad = replace(one, run=raise_lookup_error)
    stages = [shared, bad, replace(end, inputs={"up": bad}), other, other_end]
    with pytest.raises(StagesFailed) as raised:
        RayBackend().build_all(stages, tmp_path, CONTEXT, Listener())
    assert list(raised.value.causes) == [bad.key]
    assert find(other_end, tmp_path) is not None and find(bad, tmp_path) is None


def digests(stages, root):
    return {stage.name: find(stage, root).path.name for stage in stages} | {
        f"{stage.name} bytes": (find(stage, root).path / "digest.txt").read_bytes()
        for stage in stages
    }


@pytest.mark.ray
@pytest.mark.slow
def test_a_graph_gives_the_same_bytes_as_without_ray_also_when_a_worker_is_killed(
    on_head, tmp_path
):
    first, second = toy("first", write_digest), toy("second", write_digest)
    killed = toy("killed-once", kill_worker_once, first=first)
    last = toy("last", write_digest, killed=killed, second=second)
    graph = (first, second, killed, last)
    done = built(RayBackend(), graph, tmp_path / "ray")
    assert sorted(done) == sorted(stage.name for stage in graph)
    assert done.index("toy/first") < done.index("toy/killed-once") < done.index("toy/last")
    attempts = (find(killed, tmp_path / "ray").path / "attempts.txt").read_text()
    assert attempts.split() == ["attempt"] * 2

    plain = {stage.label: stage for stage in graph}
    plain["killed-once"] = replace(killed, run=write_digest)
    plain["last"] = replace(last, inputs={"killed": plain["killed-once"], "second": second})
    built(LocalBackend(), tuple(plain.values()), tmp_path / "local")
    assert digests(graph, tmp_path / "ray") == digests(plain.values(), tmp_path / "local")


@pytest.mark.ray
@pytest.mark.slow
def test_failures_name_their_own_causes_and_stop_nothing_else(on_head, tmp_path):
    broken, killed = toy("broken", raise_lookup_error), toy("killed", kill_worker)
    uncopyable, full = toy("uncopyable", raise_uncopyable), toy("full", fill_storage)
    needy = toy("needy", write_digest, broken=broken)
    needier = toy("needier", write_digest, needy=needy)
    fine = toy("fine", write_digest)
    graph = (broken, killed, uncopyable, full, needy, needier, fine)
    with pytest.raises(StagesFailed) as caught:
        built(RayBackend(), graph, tmp_path)

    causes = caught.value.causes
    assert causes.keys() == {"toy/broken", "toy/killed", "toy/uncopyable", "toy/full"}
    assert type(causes["toy/broken"]) is LookupError
    assert type(causes["toy/killed"]) is WorkerLost
    assert type(causes["toy/full"]) is StorageFull
    lines = str(caught.value).splitlines()
    assert len(lines) == len(causes) + 1
    assert "toy/broken failed: LookupError: no 6 in any place" in lines
    [line] = [line for line in lines if line.startswith("toy/uncopyable")]
    assert "Uncopyable: this and that" in line
    assert "toy/needy" in lines[-1] and "toy/needier" in lines[-1]

    assert [find(stage, tmp_path) is not None for stage in graph] == [False] * 6 + [True]
    [attempts] = tmp_path.glob("toy/killed-*.partial/attempts.txt")
    assert len(attempts.read_text().split()) == WORKER_DEATHS_SURVIVED + 1


@pytest.mark.ray
@pytest.mark.slow
def test_what_fits_on_no_node_is_refused_at_once(on_head, tmp_path):
    cpus = replace(PLACEMENT, cpus_per_stage=5)
    workers = Workers(count=1, cpus=0, gpus=3)
    gpus = replace(PLACEMENT, extraction=replace(PLACEMENT.extraction, workers=workers))
    many = Workers(count=5, cpus=1, gpus=0)
    many = replace(PLACEMENT, training=replace(PLACEMENT.training, workers=many))
    large = HostWorkers(tag="toy", workers=Workers(count=1, cpus=1, gpus=4), device="auto")
    hosts = replace(PLACEMENT, extraction=replace(PLACEMENT.extraction, hosts=(large,)))
    for placement, work, told in (
        (many, WorkKind.TRAINING, r"5 x \(1 CPUs\), all at once; .* 4 CPUs, 2 GPUs"),
        (hosts, WorkKind.EXTRACTION, r"1 x \(1 CPUs, 4 GPUs\); of 1 nodes the largest is "),
        (cpus, None, r"toy/big asks for 1 x \(5 CPUs\); of 1 nodes .* 4 CPUs, 2 GPUs"),
        (gpus, WorkKind.EXTRACTION, r"1 x \(3 GPUs\); of 1 nodes .* 4 CPUs, 2 GPUs"),
    ):
        context = local_context(placement)
        with pytest.raises(ValueError, match=told):
            stage = replace(toy("big", write_digest), work=work)
            RayBackend().build_all([stage], tmp_path, context, Listener())
    assert not list(tmp_path.rglob("*big*"))


def test_without_work_no_ray_is_needed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    leaf = toy("leaf", write_digest)
    graph = (leaf, toy("top", write_digest, leaf=leaf))
    with pytest.raises(ImportError):
        built(RayBackend(), graph, tmp_path)
    built(LocalBackend(), graph, tmp_path)
    assert built(RayBackend(), graph, tmp_path) == ["toy/leaf", "toy/top"]
