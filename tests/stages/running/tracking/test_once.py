"""What was uploaded is noted, and asked for again only where that may be needed."""

import pytest
from tests.forging import publish_again
from tests.stages.running.tracking.counted import (
    Counting,
    Interrupted,
    Refusing,
    held,
    stage,
)

from interlingua.stages.running.uploader import UPLOADED_NAME, OnceTracker
from interlingua.store.artifact import find
from interlingua.tracking.database import DATABASE_NAME
from interlingua.tracking.tracker import MemoryTracker


def test_what_was_uploaded_is_not_asked_for_again(run_all, root):
    tracker = Counting()
    both = stage(), stage("two")
    run_all(OnceTracker(tracker, root), *both)
    before = tracker.num_uploads
    assert before >= 3, "two stages, and the recipe that they are of"
    run_all(OnceTracker(tracker, root), *both)
    assert tracker.num_uploads == before
    # Another run of the recipe: three stages and itself.
    run_all(OnceTracker(tracker, root), *both, stage("three", num_steps=50))
    assert tracker.num_uploads >= before + 4


def test_what_was_not_uploaded_is_not_taken_for_uploaded(run_all, root, monkeypatch):
    run_all(OnceTracker(Refusing(), root), stage())
    assert not (root / UPLOADED_NAME).exists()
    tracker = Counting()
    with pytest.raises(Interrupted):
        run_all(OnceTracker(tracker, root), stage(), stage("two"), break_at=40)
    run_all(OnceTracker(tracker, root), stage(), stage("two"))
    assert held(tracker, "two").status == "FINISHED"


def built_again(root, monkeypatch):
    """The same stage, with another result, at another time."""
    changes = {"finished": "2130-01-01T00:00:00+00:00", "metrics": {"last": 41}}
    publish_again(find(stage(), root).path, **changes)


def elsewhere(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")


def database_lost(root, monkeypatch):
    (root / DATABASE_NAME).unlink()


def note_lost(root, monkeypatch):
    (root / UPLOADED_NAME).unlink()


@pytest.mark.parametrize("change", [built_again, elsewhere, database_lost, note_lost])
def test_it_is_uploaded_again_where_that_may_be_needed(change, run_all, root, monkeypatch):
    tracker = Counting()
    run_all(OnceTracker(tracker, root), stage())
    before = tracker.num_uploads
    change(root, monkeypatch)
    run_all(OnceTracker(tracker, root), stage())
    assert tracker.num_uploads > before
    assert "secret" not in (root / UPLOADED_NAME).read_text()


def test_an_unreadable_note_is_named_with_its_remedy(run_all, root, caplog):
    (root / UPLOADED_NAME).write_text('{"tracker": ')
    assert run_all(OnceTracker(MemoryTracker(), root), stage()) == ["counted/one"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{root / UPLOADED_NAME} is unreadable" in line and "delete it" in line
