"""Which evaluations a server has, and of which bundle each is. Reads records, and no rows."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from interlingua.store.artifact import Artifact, input_folder
from interlingua.store.bundle import bundled_artifacts
from interlingua.store.partial import PARTIAL_SUFFIX
from interlingua.store.record import CorruptRecord, Record, read_record

EVALUATION, BUNDLE = "evaluation", "bundle"  # kinds of artifacts
AV, AR, SERVED = "pair.av", "pair.ar", "pair.served"  # inputs of what uses a pair

logger = logging.getLogger(__name__)

Pair = tuple[str, str]  # fingerprints of the AV and the AR


def evaluation_at(folder: Path) -> Artifact:
    """The finished evaluation in a folder; raises ValueError where none is."""
    record = read_record(folder)
    if record is None or record.kind != EVALUATION or folder.suffix == PARTIAL_SUFFIX:
        found = "it has no record" if record is None else f"it is of the kind {record.kind}"
        raise ValueError(f"{folder} is no finished evaluation ({found})")
    return Artifact(folder, record)


def named(folders: Iterable[Path]) -> dict[str, Path]:
    """Evaluations by their labels; where two have one label, by the names of their folders."""
    labels = {folder: evaluation_at(folder).record.label for folder in folders}
    shared = {one for one in labels.values() if list(labels.values()).count(one) > 1}
    return {folder.name if label in shared else label: folder for folder, label in labels.items()}


def evaluations_of(bundles: Iterable[Path]) -> list[Path]:
    """The finished evaluations of these bundles' pairs in the run roots that they lie in."""
    folders = [folder.resolve() for folder in bundles]
    pairs = {pair_of_bundle(folder) for folder in folders} - {None}
    roots = dict.fromkeys(
        folder.parent.parent for folder in folders if folder.parent.name == BUNDLE
    )
    return [
        path
        for root in roots
        for path in sorted((root / EVALUATION).glob("*"))
        if path.suffix != PARTIAL_SUFFIX and _pair_if_sound(path) in pairs
    ]


def pair_of_bundle(folder: Path) -> Pair | None:
    """The pair that a bundle holds."""
    return _pair(bundled_artifacts(folder))


def pair_of_evaluation(evaluation: Artifact) -> Pair | None:
    """The pair that an evaluation scored; None where its root does not say."""
    # By way of what was scored: the evaluation of where training began is upstream, too.
    for scored in _inputs(evaluation, "scored"):
        for texts in _inputs(scored, "verbalized"):
            if SERVED not in texts.record.inputs:
                return _pair(_fingerprints(texts.record))
            for served in _inputs(texts, "served"):
                for bundle in _inputs(served, BUNDLE):
                    return _pair(_fingerprints(bundle.record))
    return None


def bundle_names(folders: Mapping[str, Path], bundles: Mapping[str, Path]) -> dict[str, str | None]:
    """The bundle of every evaluation by name, None where it is of none of them."""
    by_pair = {pair_of_bundle(folder): name for name, folder in reversed(list(bundles.items()))}
    by_pair.pop(None, None)
    return {name: by_pair.get(_pair_if_sound(folder)) for name, folder in folders.items()}


def _pair_if_sound(folder: Path) -> Pair | None:
    """None, too, where a record is damaged, or something else lies in the folder."""
    try:
        return pair_of_evaluation(evaluation_at(folder))
    except (CorruptRecord, ValueError) as error:
        logger.warning("%s is taken for no bundle's evaluation: %s", folder, error)
        return None


def _inputs(artifact: Artifact, kind: str) -> Iterator[Artifact]:
    """The inputs of a kind whose records are there: an evaluation may lie alone."""
    for name, entry in artifact.record.inputs.items():
        if entry.kind == kind:
            path = input_folder(artifact, name)
            record = read_record(path)
            if record is not None:
                yield Artifact(path, record)


def _fingerprints(record: Record) -> dict[str, str]:
    return {name: entry.fingerprint for name, entry in record.inputs.items()}


def _pair(artifacts: Mapping[str, str]) -> Pair | None:
    """The pair among fingerprints by the names of inputs."""
    return (artifacts[AV], artifacts[AR]) if {AV, AR} <= artifacts.keys() else None
