import json
import sys

from interlingua.store import provenance
from interlingua.store.provenance import gathered_provenance


def test_it_says_what_runs_here():
    found = gathered_provenance()
    assert found.argv == tuple(sys.argv)
    assert found.python.split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert {"torch", "numpy", "pyarrow"} <= set(found.packages)


def test_the_ray_job_is_known_in_its_driver_only(monkeypatch):
    monkeypatch.delenv(provenance.RAY_JOB_CONFIG, raising=False)
    assert gathered_provenance().ray_job_id is None
    config = {"metadata": {"job_submission_id": "raysubmit_1"}}
    monkeypatch.setenv(provenance.RAY_JOB_CONFIG, json.dumps(config))
    assert gathered_provenance().ray_job_id == "raysubmit_1"
    monkeypatch.setenv(provenance.RAY_JOB_CONFIG, "{}")
    assert gathered_provenance().ray_job_id is None


def test_a_worker_records_its_driver(monkeypatch):
    monkeypatch.setenv(provenance.RAY_JOB_CONFIG, '{"metadata": {"job_submission_id": "job"}}')
    monkeypatch.setattr(sys, "argv", ["jobs/run.py", "world"])
    handed_on = provenance.driver_environment()
    monkeypatch.delenv(provenance.RAY_JOB_CONFIG)
    monkeypatch.setattr(sys, "argv", ["worker.py"])
    for name, value in handed_on.items():
        monkeypatch.setenv(name, value)
    found = gathered_provenance()
    assert (found.argv, found.ray_job_id) == (("jobs/run.py", "world"), "job")
    assert provenance.driver_environment() == handed_on


def test_outside_of_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    found = gathered_provenance()
    assert found.git_commit is None and found.git_is_dirty is None


def test_in_a_checkout_the_commit_and_its_dirt_are_known(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    git = provenance._git
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    assert git("init") is not None
    assert git(*who, "commit", "--allow-empty", "-m", "first") is not None
    clean = gathered_provenance()
    assert clean.git_commit == git("rev-parse", "HEAD") and clean.git_is_dirty is False
    (tmp_path / "new.txt").write_text("x")
    assert gathered_provenance().git_is_dirty is True
