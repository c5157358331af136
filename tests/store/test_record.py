"""A record proves itself: what it says is what was written, and what it was computed from."""

import json
from dataclasses import dataclass, replace

import pytest

from interlingua.store.artifact import Stage, build, find
from interlingua.store.record import CorruptRecord, read_record, write_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    seed: int


def run(spec, inputs, out, context):
    (out / "output.txt").write_text("output")
    return {"loss": 0.5, "values": [1, float("nan")]}


STAGE = Stage(kind="kind", label="label", spec=Spec(seed=1), run=run, inputs={}, revision=1)


@pytest.fixture
def path(tmp_path):
    return build(STAGE, tmp_path, None).path / "artifact.json"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metrics", {"loss": 0.25}),
        ("spec", {"__type__": "Spec", "seed": 2}),
        ("revision", 2),
        ("kind", "other"),
        ("files", {}),
        ("seconds", 0.0),
        ("label", "other"),
    ],
)
def test_an_edited_record_is_refused(tmp_path, path, key, value):
    entries = json.loads(path.read_text())
    path.write_text(json.dumps(entries | {key: value}))
    with pytest.raises(CorruptRecord, match=f"{path}.*hash.*delete the folder"):
        find(STAGE, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"spec": {"__type__": "Spec", "seed": 2}}, {"revision": 2}, {"kind": "other"}],
    ids=["spec", "revision", "kind"],
)
def test_a_record_that_says_another_computation_than_its_fingerprint_is_refused(
    tmp_path, path, changes
):
    """Also where its hash was made anew with it."""
    write_record(path.parent, replace(find(STAGE, tmp_path).record, **changes))
    with pytest.raises(CorruptRecord, match="its fingerprint is"):
        read_record(path.parent)


def test_only_the_layout_of_the_json_may_change(tmp_path, path):
    before = find(STAGE, tmp_path).record
    path.write_text(json.dumps(json.loads(path.read_text())))
    after = find(STAGE, tmp_path).record
    assert repr(after) == repr(before)  # NaN is not equal to itself
