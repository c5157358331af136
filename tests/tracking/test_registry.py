"""Bundles are versions of a registered model, in a database and on a real server."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from urllib.error import URLError

import pytest

from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.registry import ALIAS
from interlingua.tracking.runs import NOTE, RUN, File, Model

PATIENCE_SECONDS = 120
MANIFEST = File(path="bundle/demo/manifest.json", digest="1", content=lambda: b'{"stage": "rl"}')
TABLE = File(
    path="texts.json", digest="1", is_table=True,
    content=lambda: b'{"columns": ["row"], "data": [["a"]]}',
)  # fmt: skip


@pytest.fixture
def bundled(make_run, tmp_path):
    """Makes a run that registers bundles of these fingerprints."""

    def make(*fingerprints, tags=(("fve/all hosts", "0.5"), ("gates", "all passed")), **changes):
        models = tuple(
            Model(
                name="demo",
                fingerprint=fingerprint,
                folder=tmp_path / fingerprint,
                manifest=MANIFEST.path,
                tags=dict(tags),
                description="NLA.load(...)",
            )
            for fingerprint in fingerprints
        )
        return make_run(models=models, files=(MANIFEST, TABLE), note="Four lines", **changes)

    return make


def versions_of(client):
    return {v.tags["fingerprint"]: v for v in client.search_model_versions("name = 'demo'")}


def test_a_bundle_is_one_version_and_the_alias_is_at_the_newest(stored, bundled, tmp_path):
    stored.upload(bundled("first", "second"))
    client = stored.client()
    found = versions_of(client)
    assert found.keys() == {"first", "second"}
    assert found["second"].source == (tmp_path / "second").as_uri()
    assert found["second"].tags["gates"] == "all passed"
    assert client.get_model_version_by_alias("demo", ALIAS).tags["fingerprint"] == "second"
    before = stored.rows()
    stored.upload(bundled("first", "second"))
    assert stored.rows() == before
    # Another run has one of them, too.
    stored.upload(bundled("second", "third", name="demo-other"))
    assert versions_of(client).keys() == {"first", "second", "third"}
    assert client.get_model_version_by_alias("demo", ALIAS).tags["fingerprint"] == "third"


def test_what_is_found_of_a_bundle_later_is_said_of_its_version(stored, bundled):
    stored.upload(bundled("first", tags=(), status="RUNNING"))
    stored.upload(bundled("first"))
    [version] = versions_of(stored.client()).values()
    assert version.tags["gates"] == "all passed" and version.tags["fve/all hosts"] == "0.5"


def test_a_version_that_somebody_deleted_stays_deleted(stored, bundled):
    stored.upload(bundled("first"))
    stored.client().delete_model_version("demo", versions_of(stored.client())["first"].version)
    stored.upload(bundled("first", status="FAILED"))
    stored.upload(bundled("first", tags=(("gates", "leakage failed"),)))
    assert versions_of(stored.client()) == {}


def test_a_registration_that_was_cut_off_is_completed(stored, bundled, monkeypatch):
    from mlflow import MlflowClient

    def broken(*_):
        raise ConnectionError("gone")

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(MlflowClient, "set_registered_model_alias", broken)
        stored.upload(bundled("first"))
    stored.upload(bundled("first"))
    [version] = versions_of(stored.client()).values()
    assert stored.client().get_model_version_by_alias("demo", ALIAS).version == version.version


@pytest.fixture
def served(root, tmp_path, monkeypatch):
    """The address of a server with a database and a place for artifacts of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri",
        f"sqlite:///{root / 'mlflow.db'}", "--artifacts-destination", str(tmp_path / "artifacts"),
        "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(tmp_path / "server.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/health", process)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            yield address
        finally:
            process.terminate()
            process.wait()


def wait_for(address, process):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return urllib.request.urlopen(address).read()
        except URLError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_a_server_holds_runs_files_tables_and_models(served, bundled, running, parent, tmp_path):
    """As anybody sees them: by its REST API."""
    tracker = MlflowTracker(tmp_path)
    child = running(10, 20, name="demo-1/av/sft", parents=(parent("demo-1"),))
    for _ in range(2):
        tracker.upload("demo", [child, bundled("first", name="demo-1")])

    def asked(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{served}/api/2.0/mlflow/{path}", data, headers)
        return json.load(urllib.request.urlopen(request))

    [experiment] = asked("experiments/search", {"max_results": 9, "filter": "name = 'demo'"})[
        "experiments"
    ]
    body = {"experiment_ids": [experiment["experiment_id"]]}
    runs = {}
    for run in asked("runs/search", body)["runs"]:
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        runs[tags[RUN]] = run["info"], tags
    assert runs.keys() == {"demo-1", "demo-1/av/sft"}
    info, tags = runs["demo-1"]
    assert runs["demo-1/av/sft"][1]["mlflow.parentRunId"] == info["run_id"]
    assert tags[NOTE] == "Four lines" and '"texts.json"' in tags["mlflow.loggedArtifacts"]
    listed = asked(f"artifacts/list?run_id={info['run_id']}")["files"]
    assert {file["path"] for file in listed} == {"bundle", "texts.json"}
    query = f"metrics/get-history?run_id={runs['demo-1/av/sft'][0]['run_id']}&metric_key=train/loss"
    points = asked(query)["metrics"]
    assert [point["step"] for point in points] == [10, 20]
    assert points[0]["timestamp"] < points[1]["timestamp"]
    version = asked(f"registered-models/alias?name=demo&alias={ALIAS}")["model_version"]
    assert version["version"] == "1" and version["run_id"] == info["run_id"]
    versions = asked("model-versions/search?filter=name%3D%27demo%27")["model_versions"]
    assert len(versions) == 1
    manifest = f"runs:/{info['run_id']}/{MANIFEST.path}"
    assert version["source"] == manifest
    assert {tag["key"]: tag["value"] for tag in version["tags"]}["folder"] == str(
        tmp_path / "first"
    )


def test_without_a_bundle_nothing_is_registered(stored, make_run):
    stored.upload(replace(make_run(), models=()))
    assert stored.client().search_registered_models() == []
