"""An owner of any kind of stage that checkpoints is frozen, replaced, and wakes: its work is lost.

The AV on Ray stands in test_av_on_ray.py.
"""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from tests import compare_roots
from tests.full.whole import context, whole_mini

from interlingua.stages.graph.order import graph_of
from interlingua.store import lock, progress
from interlingua.store.artifact import build, folder

REPOSITORY = Path(__file__).parents[3]
PROGRAM = REPOSITORY / "tests" / "full" / "programs" / "build_one.py"
NAMES = (
    "host/toy-gpt2-medium", "activations/toy-gpt2-medium-fit", "av/sft", "ar/sft",
    "verbalized/toy-gpt2-medium-fit", "rl/rl",
)  # fmt: skip


def seen(path, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_the_new_owners(name, whole_root, tmp_path, start_python, monkeypatch):
    root, marks = Path(shutil.copytree(whole_root, tmp_path / "root")), tmp_path / "marks"
    marks.mkdir()
    (stage,) = (stage for stage in graph_of(whole_mini()) if stage.name == name)
    shutil.rmtree(folder(stage, root))
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY}"}
    old = start_python(PROGRAM, root, name, marks, env=environment, cwd=REPOSITORY)
    seen(marks / "paused")
    os.kill(old.pid, signal.SIGSTOP)
    append = progress.MetricsLog.append

    def met(self, step, **values):
        """At the new owner's first report the old one wakes and does its worst."""
        append(self, step, **values)
        (marks / "taken").touch()
        seen(marks / "ended")

    def wake():
        seen(marks / "taken")
        (marks / "woken").touch()
        os.kill(old.pid, signal.SIGCONT)
        (marks / "word").write_text(old.stdout.readlines()[-1])
        (marks / "ended").touch()

    monkeypatch.setattr(lock, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(progress.MetricsLog, "append", met)
    waker = threading.Thread(target=wake)
    waker.start()
    artifact = build(stage, root, context())
    waker.join()
    assert (marks / "word").read_text().strip() == "LockLost"
    assert not [path for path in artifact.path.parent.iterdir() if "partial" in path.name]
    assert compare_roots.main(whole_root, root) == 0
