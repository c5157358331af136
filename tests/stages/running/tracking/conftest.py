"""A run root without a server, and a job that builds stages in it."""

import pytest
from tests.stages.running.tracking.counted import Breaking, Silent, recipe_run_of

from interlingua.cluster.local import LocalBackend
from interlingua.stages.running.tracked import TrackingWatcher
from interlingua.stages.running.uploader import Uploader
from interlingua.tracking.database import DATABASE_NAME


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def root(tmp_path):
    """A run root whose database is there, as far as its name goes."""
    (tmp_path / DATABASE_NAME).touch()
    return tmp_path


@pytest.fixture
def run_all(root):
    """Build stages as a job does."""

    def run(tracker, *stages, break_at=None):
        shown = Silent()
        uploader = Uploader(tracker, recipe_run_of(*stages))
        with TrackingWatcher(shown, uploader, root) as watcher:
            LocalBackend().build_all(stages, root, Breaking(break_at), watcher)
        return shown.done

    return run
