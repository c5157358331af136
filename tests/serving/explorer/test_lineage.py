"""Which evaluations are served with a bundle, by the records of what they were made from."""

import json
from pathlib import Path

import pytest
from tests.serving.explorer.made import stored, stored_evaluation

from interlingua.serving.explorer.lineage import (
    bundle_name,
    evaluation_at,
    evaluations_of,
    named,
    pair_of_evaluation,
)
from interlingua.store.bundle import DIGEST_KEY, MANIFEST_NAME, manifest_sha256
from interlingua.store.record import InputRecord

Inputs = dict[str, InputRecord]


def pair_in(root: Path, label: str) -> Inputs:
    """An AV and an AR; `rl` is one artifact, made from those of `sft`."""
    if label.startswith("rl"):
        both = stored(root, "rl", label, pair_in(root, "sft"))
        return {"pair.av": both, "pair.ar": both}
    return {"pair.av": stored(root, "av", label, {}), "pair.ar": stored(root, "ar", label, {})}


def scored_in(root: Path, label: str, pair: Inputs) -> InputRecord:
    texts = {name: stored(root, "verbalized", f"{label}-{name}", pair) for name in ("fit", "test")}
    decoder = stored(root, "decoder", label, {"texts": texts["fit"]})
    return stored(
        root,
        "scored",
        label,
        {"fit_texts": texts["fit"], "texts": texts["test"], "decoder": decoder},
    )


def evaluation_in(
    root: Path, label: str, pair: Inputs, start: Path | None = None, finished: str = ""
) -> Path:
    inputs = {f"scored.toy-{name}": scored_in(root, f"{label}-{name}", pair) for name in "ab"}
    if start is not None:
        begun = evaluation_at(start).record
        inputs["start"] = InputRecord(
            kind="evaluation", label=begun.label, fingerprint=begun.fingerprint
        )
    return stored_evaluation(root, label, 4, inputs, finished)


def bundle_in(root: Path, label: str, pair: Inputs) -> Path:
    record = stored(root, "bundle", label, pair)
    folder = root / "bundle" / f"{label}-{record.fingerprint}"
    artifacts = {name: one.fingerprint for name, one in pair.items()}
    content = {"format": 3, "artifacts": artifacts, "files": {}}
    sealed = {**content, DIGEST_KEY: manifest_sha256(content)}
    (folder / MANIFEST_NAME).write_text(json.dumps(sealed))
    return folder


def name_of(folder: Path, bundles: dict[str, Path]) -> str | None:
    return bundle_name(evaluation_at(folder), bundles)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_an_evaluation_is_of_the_pair_that_it_scored_not_of_the_one_before(root) -> None:
    sft, rl = pair_in(root, "sft"), pair_in(root, "rl")
    before = evaluation_in(root, "demo", sft)
    after = evaluation_in(root, "demo-rl", rl, start=before)
    bundles = {name: bundle_in(root, name, pair) for name, pair in (("sft", sft), ("rl", rl))}
    assert evaluations_of([bundles["rl"]]) == [after]
    assert evaluations_of([bundles["sft"]]) == [before]
    assert evaluations_of(bundles.values()) == [before, after]
    assert evaluations_of(reversed(bundles.values())) == [after, before]
    folders = {"demo": before, "demo-rl": after}
    assert named([before, after]) == folders
    assert [name_of(one, bundles) for one in (before, after)] == ["sft", "rl"]
    assert [name_of(one, {"x": bundles["sft"]}) for one in (before, after)] == ["x", None]


def test_the_first_of_two_bundles_of_one_pair_is_named(root) -> None:
    pair = pair_in(root, "sft")
    evaluation = evaluation_in(root, "demo", pair)
    bundles = {name: bundle_in(root, name, pair) for name in ("b", "a")}
    assert name_of(evaluation, bundles) == "b"


def test_a_pair_behind_a_url_is_that_of_its_bundle(root) -> None:
    pair = pair_in(root, "sft")
    bundle_in(root, "demo", pair)
    bundle = stored(root, "bundle", "demo", pair)
    served = stored(root, "served", "demo", {"bundle": bundle})
    evaluation = evaluation_in(root, "demo-served", {"pair.served": served})
    own = pair["pair.av"].fingerprint, pair["pair.ar"].fingerprint
    assert pair_of_evaluation(evaluation_at(evaluation)) == own
    unknown = stored(root, "served", "other", {})
    evaluation = evaluation_in(root, "other", {"pair.served": unknown})
    assert pair_of_evaluation(evaluation_at(evaluation)) is None


def test_what_lies_outside_a_run_root_has_no_evaluations(root, tmp_path) -> None:
    pair = pair_in(root, "sft")
    evaluation = evaluation_in(root, "demo", pair)
    folder = bundle_in(root, "demo", pair).rename(tmp_path / "fetched")
    assert evaluations_of([folder]) == []
    assert name_of(evaluation, {"demo": folder}) == "demo"


def test_an_evaluation_without_its_root_is_of_no_bundle(root, tmp_path) -> None:
    pair = pair_in(root, "sft")
    evaluation = evaluation_in(root, "demo", pair)
    bundle = bundle_in(root, "demo", pair)
    alone = evaluation.rename(tmp_path / evaluation.name)
    assert name_of(alone, {"demo": bundle}) is None


def test_unfinished_damaged_and_other_folders_are_left_out(root, caplog) -> None:
    pair = pair_in(root, "sft")
    whole, damaged, half = (evaluation_in(root, label, pair) for label in ("a", "b", "c"))
    (damaged / "artifact.json").write_text("{}")
    half.rename(half.with_name(f"{half.name}.0123.partial"))
    (root / "evaluation" / "empty").mkdir()
    assert evaluations_of([bundle_in(root, "demo", pair)]) == [whole]
    assert str(damaged) in caplog.text


def test_the_evaluation_of_a_pair_that_ended_last_comes_first(root) -> None:
    pair = pair_in(root, "sft")
    times = {"a": "2026-01-02", "b": "2026-01-03", "c": "2026-01-01"}
    found = {
        label: evaluation_in(root, label, pair, finished=time) for label, time in times.items()
    }
    assert evaluations_of([bundle_in(root, "demo", pair)]) == [found[one] for one in "bac"]


def test_a_damaged_record_upstream_leaves_an_evaluation_to_no_bundle(root, caplog) -> None:
    pair = pair_in(root, "sft")
    evaluation, bundle = evaluation_in(root, "demo", pair), bundle_in(root, "demo", pair)
    for record in (root / "scored").glob("*/artifact.json"):
        record.write_text("{}")
    assert evaluations_of([bundle]) == []
    assert name_of(evaluation, {"demo": bundle}) is None
    assert str(evaluation) in caplog.text


def test_two_of_one_label_are_named_by_their_folders(root, tmp_path) -> None:
    first = evaluation_in(root, "demo", pair_in(root, "sft"))
    second = evaluation_in(root, "demo", pair_in(root, "rl"))
    third = evaluation_in(tmp_path / "others", "small", {})
    assert named([first, second, third]) == {
        first.name: first,
        second.name: second,
        "small": third,
    }
    assert first.name != second.name


@pytest.mark.parametrize(
    ("kind", "words"), [(None, "it has no record"), ("bundle", "it is of the kind bundle")]
)
def test_what_is_no_evaluation_is_named(root, kind, words) -> None:
    folder = root / "x"
    folder.mkdir(parents=True)
    if kind is not None:
        folder = root / kind / f"x-{stored(root, kind, 'x', {}).fingerprint}"
    with pytest.raises(ValueError, match=words) as refused:
        evaluation_at(folder)
    assert str(folder) in str(refused.value)
