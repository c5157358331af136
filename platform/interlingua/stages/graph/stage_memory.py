"""The main memory of the processes of a stage, as far as its specs tell: nothing is opened.

What is not known counts for nothing: how many texts there are in a file, the sizes of a family that
nobody has described.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from interlingua.memory.parameters import RoleSize, ar_size, av_size, is_known_family
from interlingua.memory.run import run_memory
from interlingua.memory.stages import (
    asked_bytes,
    model_bytes,
    ridge_bytes,
    rows_bytes,
    weights_bytes,
)
from interlingua.models.hosts.sizes import size_of
from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.extraction import LastToken, Pooled
from interlingua.specs.hosts import PoolHost
from interlingua.specs.placement import Placement, ThreeGroups
from interlingua.specs.splits import Split
from interlingua.specs.training import ArSpec, AvSpec, AvTraining
from interlingua.specs.world import WorldCorpus
from interlingua.stages.evaluation.inputs import (
    CellInputs,
    LikelihoodInputs,
    MethodsInputs,
    ScoreInputs,
)
from interlingua.stages.maps.decoder import DecoderInputs
from interlingua.stages.maps.encoder import EncoderInputs
from interlingua.stages.maps.familiarity import FamiliarityInputs
from interlingua.stages.nla.inputs import BundleInputs, PairInputs, ReaderInputs, WriterInputs
from interlingua.stages.nla.nearest import NearestInputs
from interlingua.stages.nla.reconstruct import ReconstructInputs
from interlingua.stages.nla.verbalize import VerbalizeInputs
from interlingua.stages.rl.job import RlInputs
from interlingua.stages.rows.activations import ActivationsInputs
from interlingua.stages.rows.explanations import ExplanationsInputs
from interlingua.stages.sft.job import LearningInputs
from interlingua.store.artifact import Stage


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that the stage's own process asks for, and each of its workers, or of a role's."""

    own: int = 0
    each: int = 0
    roles: Mapping[str, int] = field(default_factory=dict)


def memory_of(stage: Stage, placement: Placement, *, device: str, has_workers: bool) -> Memory:
    """The memory of a stage that is worked at on `device`, by its own process or by workers."""
    match stage.inputs:
        case RlInputs():
            return _of_rl(stage, placement)
        case LearningInputs():
            size = _role_of(stage)
            if size is None:
                return Memory()
            each = asked_bytes(_of_role(size, device))
            # The stage's own process reads the best weights, when its workers are gone.
            return Memory(
                asked_bytes(weights_bytes(size.num_trained)) if has_workers else each, each
            )
    each = asked_bytes(_of_own(stage, device))
    return Memory(0 if has_workers else each, each)


def _of_own(stage: Stage, device: str) -> int:
    match stage.inputs:
        case EncoderInputs(own=own, anchor=anchor) if anchor is not None:
            if stage.spec.ridge is None:
                return 0
            return ridge_bytes(_width(own.fit), _width(anchor.dev), stage.spec.ridge.num_folds)
        case DecoderInputs(fit=fit, verbalized=texts):
            return ridge_bytes(_shared_width(texts), _width(fit), stage.spec.ridge.num_folds)
        case ScoreInputs(fit=fit, fit_texts=texts, rows=rows):
            return _of_rows(fit, texts) + _of_rows(rows, texts)
        case MethodsInputs(hosts=hosts):
            # One host after the other.
            return max(
                _of_rows(host.fit, host.fit_texts)
                + ridge_bytes(
                    _shared_width(host.fit_texts), _width(host.fit), stage.spec.ridge.num_folds
                )
                for host in hosts.values()
            )
        case ActivationsInputs(host=host):
            return 0 if device != "cpu" else _of_host(host, stage.spec.dtype)
        case ExplanationsInputs(model=model) if model is not None:
            return 0 if device != "cpu" else _of_host(model, stage.spec.teacher.dtype)
        case FamiliarityInputs(host=host, rows=rows):
            return _of_host(host, rows.fit.spec.dtype)
        case BundleInputs(pair=pair):
            # Written, then opened and compared with what was trained.
            return _of_models(pair, "cpu")
    return _of_models(stage.inputs, device)


def _of_models(inputs: Any, device: str) -> int:
    """The models that a process opens; on a GPU only weights that were trained pass through it."""
    match inputs:
        case VerbalizeInputs(pair=pair) | CellInputs(pair=pair):
            return _of_models(pair, device)
        case LikelihoodInputs(writer=writer):
            return _of_models(writer, device)
        case NearestInputs(reader=reader):
            return _of_models(reader, device)
        case WriterInputs() | ReaderInputs() | ReconstructInputs() | PairInputs():
            return sum(_of_trained(size, device) for size in _pair_sizes(inputs))
    return 0


def _of_host(host: Stage, dtype: str) -> int:
    size = _size(host)
    return 0 if size is None else model_bytes(size, dtype)


def _of_trained(size: RoleSize, device: str) -> int:
    held = 4 * size.num_parameters if device == "cpu" else 0
    return held + weights_bytes(size.num_trained)


def _of_role(size: RoleSize, device: str) -> int:
    """A process that trains: on a GPU its model is opened here, and its best weights gathered."""
    held = size.num_bytes if device == "cpu" else 4 * size.num_parameters
    return held + weights_bytes(size.num_trained)


def _of_rl(stage: Stage, placement: Placement) -> Memory:
    place, trunk = placement.reinforcing, _size(stage.inputs.pair.trunk)
    if trunk is None:
        return Memory()
    rows = {row.role: row for row in run_memory(trunk, stage.spec, place)}
    if isinstance(place, ThreeGroups):
        devices = {name: role.device for name, role in place.roles().items()}
    else:
        devices = dict.fromkeys(rows, place.device)
    found = {
        name: asked_bytes(
            row.total - row.process
            if devices[name] == "cpu"
            else 4 * row.num_parameters + weights_bytes(row.num_trained)
        )
        for name, row in rows.items()
    }
    if isinstance(place, ThreeGroups):
        return Memory(roles=found)
    return Memory(sum(found.values()))


def _role_of(stage: Stage) -> RoleSize | None:
    trunk = stage.inputs.start_model or stage.inputs.trunk
    is_av = isinstance(stage.spec, AvTraining)
    return _av_of(trunk, stage.spec.av) if is_av else _ar_of(trunk, stage.spec.ar)


def _pair_sizes(inputs: Any) -> list[RoleSize]:
    found = []
    # One stage of reinforcement learning is both; what it trained has both specs.
    if not isinstance(inputs, ReaderInputs | ReconstructInputs):
        found.append(_av_of(inputs.trunk, inputs.av.spec.av))
    if not isinstance(inputs, WriterInputs):
        found.append(_ar_of(inputs.trunk, inputs.ar.spec.ar))
    return [size for size in found if size is not None]


def _av_of(trunk: Stage, spec: AvSpec) -> RoleSize | None:
    size = _size(trunk)
    # What does not fit together is said by whoever opens it: an estimate stops nobody.
    with suppress(ValueError):
        return None if size is None else av_size(size, spec, [])
    return None


def _ar_of(trunk: Stage, spec: ArSpec) -> RoleSize | None:
    size = _size(trunk)
    with suppress(ValueError):
        return None if size is None else ar_size(size, spec)
    return None


def _of_rows(rows: Stage, texts: Stage) -> int:
    return rows_bytes(_num_rows(rows), (_width(rows), _shared_width(texts)))


def _num_rows(rows: Stage) -> int:
    """The rows that a stage reads, as far as its specs tell."""
    passages: PassagesSpec = rows.inputs.passages.spec
    corpus = passages.corpus
    count = corpus.num_passages if isinstance(corpus, WorldCorpus) else corpus.count or 0
    shares, read = passages.split.shares(), rows.spec.read
    per_passage = 1 if isinstance(read, Pooled | LastToken) else read.per_passage
    return int(count * sum(shares[Split(split)] for split in rows.spec.splits) * per_passage)


def _shared_width(texts: Stage) -> int:
    """The width of the shared space, that of the trunk under the pair which wrote the texts."""
    pair = texts.inputs.pair
    size = _size(pair.trunk) if isinstance(pair, PairInputs) else None
    return 0 if size is None else size.width


def _width(rows: Stage) -> int:
    size = None if rows.inputs.host is None else size_of(rows.inputs.host.spec)
    return 0 if size is None else size.width


def _size(host: Stage) -> PoolHost | None:
    """The dimensions of a host whose parameters can be counted."""
    size = size_of(host.spec)
    return size if size is not None and is_known_family(size.model_type) else None
