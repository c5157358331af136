"""Which evaluations a server has, and of which bundle each is. Reads records, and no rows."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
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
    """The finished evaluations of these bundles' pairs in the run roots that they lie in.

    Those of the first bundle come first; of several of one pair the one that ended last.
    """
    folders = [folder.resolve() for folder in bundles]
    pairs = [pair_of_bundle(folder) for folder in folders]
    roots = dict.fromkeys(
        folder.parent.parent for folder in folders if folder.parent.name == BUNDLE
    )
    found = [
        (pairs.index(pair), evaluation)
        for root in roots
        for path in sorted((root / EVALUATION).glob("*"))
        if path.suffix != PARTIAL_SUFFIX and (evaluation := _if_sound(path)) is not None
        if (pair := pair_of_evaluation(evaluation)) is not None and pair in pairs
    ]
    found.sort(key=lambda one: one[1].record.finished, reverse=True)
    return [evaluation.path for _, evaluation in sorted(found, key=itemgetter(0))]


def pair_of_bundle(folder: Path) -> Pair | None:
    """The pair that a bundle holds."""
    return _pair(bundled_artifacts(folder))


def bundle_name(evaluation: Artifact, bundles: Mapping[str, Path]) -> str | None:
    """The first bundle whose pair an evaluation scored; None where it is of none of them."""
    pair = pair_of_evaluation(evaluation)
    names = (name for name, folder in bundles.items() if pair_of_bundle(folder) == pair)
    return None if pair is None else next(names, None)


def pair_of_evaluation(evaluation: Artifact) -> Pair | None:
    """The pair that an evaluation scored; None where the records of its root do not say."""
    # By way of what was scored: the evaluation of where training began is upstream, too.
    try:
        for scored in _inputs(evaluation, "scored"):
            for texts in _inputs(scored, "verbalized"):
                if SERVED not in texts.record.inputs:
                    return _pair(_fingerprints(texts.record))
                for served in _inputs(texts, "served"):
                    for bundle in _inputs(served, BUNDLE):
                        return _pair(_fingerprints(bundle.record))
    except CorruptRecord as error:
        logger.warning("%s is taken for no bundle's: %s", evaluation.path, error)
    return None


def _if_sound(folder: Path) -> Artifact | None:
    """The evaluation in a folder; None where its record is damaged, or something else is there."""
    try:
        return evaluation_at(folder)
    except (CorruptRecord, ValueError) as error:
        logger.warning("%s is left out: %s", folder, error)
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
