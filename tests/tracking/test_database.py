"""The database in the run root is made once and whole, and its page opens on it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow, ui_arguments, ui_command

SOURCE = Path(__file__).parents[2] / "platform"
SERVER = "http://user:secret@127.0.0.1:9"

UPLOADS = """
import sys
from pathlib import Path
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import Report, Run

root, first = Path(sys.argv[1]), int(sys.argv[2])
tracker = MlflowTracker(root)
reports = [Report(step=step, time=1e9 + step, values={"loss": 1 / step}) for step in range(1, 40)]
for number in range(first, first + 3):
    run = Run(
        name=f"encoder/h{number}-0123456789ab",
        title=f"encoder/h{number}",
        status="RUNNING",
        started=1e9,
        ended=None,
        series={"train": reports},
    )
    tracker.upload("world", [run])
print("done")
"""

# The job ends while its tracker, in a thread of its own, still writes an empty database.
ENDS_MEANWHILE = """
import sys, threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from interlingua.tracking.database import prepared_mlflow

begun = threading.Event()

class Client:
    def __init__(self, uri):
        self.folder = Path(uri.removeprefix("sqlite:///")).parent

    def search_experiments(self, max_results):
        for number in count():
            with suppress(OSError):
                (self.folder / str(number)).touch()
            if number == 500:
                begun.set()

sys.modules["mlflow"] = SimpleNamespace(MlflowClient=Client)
root = Path(sys.argv[1])
threading.Thread(target=prepared_mlflow, args=(root,), daemon=True).start()
begun.wait()
"""


@pytest.mark.slow
def test_two_processes_upload_to_one_new_database(bare_root, start_python, stored_in):
    """Two of the stages are uploaded by both, and both find no database."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [start_python("-c", UPLOADS, bare_root, first, env=environment) for first in (0, 1)]
    assert [process.stdout.readline() for process in started] == ["done\n", "done\n"]
    stored = stored_in(bare_root)
    runs = stored.held()
    assert set(runs) == {f"encoder/h{number}-0123456789ab" for number in range(4)}
    for run in runs.values():
        assert len(stored.history(run, "train/loss")) == 39


def test_an_interrupted_making_of_the_database_leaves_none(bare_root, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared_mlflow(bare_root)
    assert not (bare_root / DATABASE_NAME).exists()


def test_a_job_that_ends_while_the_database_is_made_says_nothing_of_it(
    bare_root, tmp_path, start_python
):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path)}
    process = start_python("-c", ENDS_MEANWHILE, bare_root, env=environment, stderr=subprocess.PIPE)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert not (bare_root / DATABASE_NAME).exists()


def test_the_page_is_opened_on_the_database_of_the_root(root):
    command = shlex.split(ui_command(root, 5055))
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    assert f"sqlite:///{root / DATABASE_NAME}" in command
    assert ui_arguments(root, 5055) == command


def test_the_page_needs_a_database_and_a_server_has_its_own(bare_root, monkeypatch):
    with pytest.raises(ValueError, match="run a recipe"):
        ui_arguments(bare_root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    with pytest.raises(ValueError, match="names a server"):
        ui_arguments(bare_root)
    assert "secret" not in ui_command(bare_root)


def test_tracking_is_imported_without_mlflow():
    program = (
        "import sys, interlingua.tracking.mlflow_tracker; "
        "assert not {'mlflow', 'sqlalchemy'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
