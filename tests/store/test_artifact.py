"""Building one stage once, whatever happens: see also test_artifact_killed.py."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.store.artifact import Stage, build, find, folder, lineage
from interlingua.store.atomic import StorageFull
from interlingua.store.lock import LockLost
from interlingua.store.partial import target_of
from interlingua.store.record import CorruptRecord, read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    seed: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    separator: str


def write_words(spec, inputs, out, runs):
    assert out.name.endswith(".partial") and out.is_dir()
    runs.append(spec.text)
    (out / "words.txt").write_text(f"{spec.seed} {spec.text}")
    return {"num_words": len(spec.text.split()), "saw_record": (out / "artifact.json").exists()}


def join_words(spec, inputs, out, runs):
    texts = [(inputs[name].path / "words.txt").read_text() for name in sorted(inputs)]
    (out / "words.txt").write_text(spec.separator.join(texts))
    return {"note": "joined", "loss": 0.25}


def fail(spec, inputs, out, runs):
    (out / "half.txt").write_text("half")
    raise runs


def lose_lock(spec, inputs, out, runs):
    target_of(out).with_name(target_of(out).name + ".lock").unlink()
    return {}


def lose_root(spec, inputs, out, runs):
    shutil.rmtree(out.parent.parent)
    return {"least": min([])}


def return_nonsense(spec, inputs, out, runs):
    return {"value": object()}


def words(text="a b c", **changes):
    spec = Words(seed=1, text=text)
    stage = Stage(kind="words", label="w", spec=spec, run=write_words, inputs={}, revision=1)
    return replace(stage, **changes)


def joined(inputs, label="j"):
    spec = Joined(separator="+")
    return Stage(kind="joined", label=label, spec=spec, run=join_words, inputs=inputs, revision=1)


def test_a_stage_is_run_once_and_found_afterwards(tmp_path):
    runs = []
    assert find(words(), tmp_path) is None
    first = build(words(), tmp_path, runs)
    assert build(words(), tmp_path, runs) == first == find(words(), tmp_path)
    assert runs == ["a b c"]
    assert first.path == folder(words(), tmp_path)
    assert (first.path / "words.txt").read_text() == "1 a b c"
    visible = [path.name for path in first.path.parent.iterdir()]
    assert visible == [first.path.name], "neither a lock nor a partial folder stays"


def test_the_record_says_what_was_built_from_what(tmp_path):
    upstream = words()
    build(upstream, tmp_path, [])
    stage = joined({"left": upstream})
    record = build(stage, tmp_path, None).record
    assert (record.kind, record.label, record.revision) == ("joined", "j", 1)
    assert record.fingerprint == stage.fingerprint
    assert record.spec == {"__type__": "Joined", "separator": "+"}
    assert record.inputs["left"].fingerprint == upstream.fingerprint
    assert record.metrics == {"note": "joined", "loss": 0.25}
    assert record.seed is None
    assert find(upstream, tmp_path).record.seed == 1
    assert record.started <= record.finished and record.seconds >= 0


def test_the_record_says_where_it_ran(tmp_path):
    place = replace(ONE_CORE_A_STAGE, threads_per_worker=3)
    artifact = build(words(), tmp_path, [], place)
    assert find(words(), tmp_path).record == artifact.record
    assert artifact.record.placement["name"] == "laptop"
    assert artifact.record.placement["threads_per_worker"] == 3
    assert artifact.record.placement["training"]["micro_batch_rows"] == 32


def test_the_fingerprint_is_what_it_always_was():
    assert words().fingerprint == "c6c00702e993"
    assert joined({"left": words(), "right": words("d")}).fingerprint == "02e06fb83e29"


def test_every_part_of_a_stage_is_in_its_fingerprint():
    stage = joined({"left": words(), "right": words("d")})
    variants = [
        stage,
        replace(stage, kind="other"),
        replace(stage, revision=2),
        replace(stage, spec=Joined(separator="-")),
        replace(stage, inputs={"left": words()}),
        replace(stage, inputs={"left": words(), "other": words("d")}),
        replace(stage, inputs={"left": words("d"), "right": words()}),
        replace(stage, inputs={"left": words(), "right": words("e")}),
        replace(stage, inputs={"left": words(), "right": words("d", revision=2)}),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_label_code_and_order_of_inputs_are_not_in_the_fingerprint():
    stage = joined({"left": words(), "right": words("d")})
    assert replace(stage, label="other").fingerprint == stage.fingerprint
    assert replace(stage, run=write_words).fingerprint == stage.fingerprint
    turned = joined({"right": words("d"), "left": words()})
    assert turned.fingerprint == stage.fingerprint


def test_a_deep_graph_of_shared_inputs_is_fingerprinted_at_once():
    stage = words()
    for _ in range(60):
        stage = joined({"left": stage, "right": stage})
    assert len(stage.fingerprint) == 12


def test_the_record_is_written_after_everything_else(tmp_path):
    stage = words()
    partial = Path(f"{folder(stage, tmp_path)}.partial")
    partial.mkdir(parents=True)
    (partial / "artifact.json").write_text("left by a process that died before the rename")
    artifact = build(stage, tmp_path, [])
    assert artifact.record.metrics["saw_record"] is False


def test_without_a_record_nothing_is_published(tmp_path):
    stage = words(run=return_nonsense)
    with pytest.raises(TypeError):
        build(stage, tmp_path, None)
    assert not folder(stage, tmp_path).exists()


def test_a_failed_run_publishes_nothing_and_keeps_its_files(tmp_path):
    stage = words(run=fail)
    with pytest.raises(ZeroDivisionError):
        build(stage, tmp_path, ZeroDivisionError())
    target = folder(stage, tmp_path)
    assert find(stage, tmp_path) is None and not target.exists()
    assert [path.name for path in target.parent.iterdir()] == [f"{target.name}.partial"]
    again = build(words(), tmp_path, [])
    assert (again.path / "half.txt").read_text() == "half"


def test_a_full_disk_is_named_and_other_errors_are_not_renamed(tmp_path):
    stage = words(run=fail)
    with pytest.raises(StorageFull):
        build(stage, tmp_path, OSError(errno.ENOSPC, "no space"))
    with pytest.raises(ConnectionResetError):
        build(stage, tmp_path, ConnectionResetError(errno.ECONNRESET, "gone"))


def test_who_lost_the_lock_publishes_nothing(tmp_path):
    stage = words(run=lose_lock)
    with pytest.raises(LockLost):
        build(stage, tmp_path, None)
    target = folder(stage, tmp_path)
    assert not target.exists()
    assert not Path(f"{target}.partial", "artifact.json").exists()


def test_a_root_that_is_deleted_in_the_middle_is_said(tmp_path):
    """Whatever the stage makes of files that are gone: the reason is another."""
    root = tmp_path / "root"
    with pytest.raises(LockLost, match="removed the lock file or the whole run root"):
        build(words(run=lose_root), root, None)


def test_inputs_must_be_built_first(tmp_path):
    with pytest.raises(ValueError, match="words/w-"):
        build(joined({"left": words()}), tmp_path, None)
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"revision"', '"version"'),
        lambda text: text.replace(words().fingerprint, "0123456789ab"),
    ],
    ids=["cut", "empty", "list", "bare", "renamed entry", "other fingerprint"],
)
def test_a_corrupt_record_is_an_error_with_its_remedy(tmp_path, damage):
    path = build(words(), tmp_path, []).path / "artifact.json"
    path.write_text(damage(path.read_text()))
    runs = []
    for use in (lambda: find(words(), tmp_path), lambda: build(words(), tmp_path, runs)):
        with pytest.raises(CorruptRecord, match=f"{path}.*delete the folder {path.parent}"):
            use()
    assert runs == []


def test_a_folder_without_its_record_is_not_run_over(tmp_path):
    path = build(words(), tmp_path, []).path / "artifact.json"
    path.unlink()
    assert find(words(), tmp_path) is None
    runs = []
    with pytest.raises(CorruptRecord, match=str(path)):
        build(words(), tmp_path, runs)
    assert runs == []


def test_lineage_names_every_upstream_artifact_once(tmp_path):
    a, b = words("a"), words("b")
    left, right = joined({"x": a, "y": b}, "left"), joined({"x": b}, "right")
    top = joined({"l": left, "r": right}, "top")
    for stage in (a, b, left, right):
        build(stage, tmp_path, [])
    artifact = build(top, tmp_path, [])
    expected = {folder(stage, tmp_path) for stage in (a, b, left, right)}
    found = [upstream.path for upstream in lineage(artifact, tmp_path)]
    assert len(found) == 4 and set(found) == expected
    (find(b, tmp_path).path / "artifact.json").unlink()
    with pytest.raises(CorruptRecord, match=str(folder(b, tmp_path))):
        lineage(artifact, tmp_path)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"kind": "a/b"}, "kind"),
        ({"label": ""}, "label"),
        ({"revision": -1}, "revision"),
        ({"spec": {"seed": 1}}, "spec"),
        ({"spec": Words}, "spec"),
        ({"run": lambda *given: {}}, "run"),
        ({"run": "write_words"}, "run"),
    ],
)
def test_a_wrong_stage_is_refused_by_name(changes, name):
    with pytest.raises(ValueError, match=f"Stage.{name} is"):
        words(**changes)


def test_a_spec_without_a_stable_form_has_no_fingerprint():
    with pytest.raises(TypeError):
        words(spec=Words(seed=1, text=object()))


def test_a_record_survives_its_file(tmp_path):
    artifact = build(words(), tmp_path, [])
    assert read_record(artifact.path) == artifact.record
    assert json.loads((artifact.path / "artifact.json").read_text())["kind"] == "words"


def test_stages_are_imported_without_heavy_libraries():
    heavy = "{'torch', 'ray', 'numpy', 'pyarrow', 'transformers'}"
    code = f"import sys, interlingua.store.artifact as a; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "platform")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
