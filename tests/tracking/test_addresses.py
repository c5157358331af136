"""A report is found from MLflow: by a note of its run, one of its experiment, and an address."""

import pytest

from interlingua.tracking.addresses import ARTIFACTS, file_link, run_pages
from interlingua.tracking.runs import NOTE, File

SERVER, NAME = "http://127.0.0.1:5000", "report.html"


@pytest.fixture
def reported(make_run):
    """Makes a run with a report and notes that lead to it."""

    def make(**changes):
        link = file_link("report", NAME)
        file = File(path=NAME, digest="0", content=lambda: b"<p>")
        return make_run(note=f"See {link}", about=f"Newest: {link}", files=(file,), **changes)

    return make


def test_a_note_leads_to_a_file_of_its_run_and_the_experiments_to_the_newest(stored, reported):
    for name in ("encoder/one-0123456789ab", "encoder/two-0123456789ab"):
        stored.upload(reported(name=name))
        run = stored.held()[name]
        link = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/{NAME}"
        assert f"({link}?workflowType=machine_learning)" in run.data.tags[NOTE]
        experiment = stored.client().get_experiment_by_name("world")
        assert link in experiment.tags[NOTE] and ARTIFACTS not in experiment.tags[NOTE]


def test_pages_are_of_the_newest_run_that_has_the_file(stored, reported, make_run, parent):
    stored.upload(reported())
    stored.upload(make_run(name="later-0123456789ab", started=make_run().started + 9))
    nested = reported(name="nested-0123456789ab", parents=(parent("later-0123456789ab"),))
    stored.upload(nested)
    run = stored.held()[reported().name]
    [pages] = run_pages(stored.root, SERVER, NAME)
    assert pages.experiment == "world"
    assert pages.runs.startswith(f"{SERVER}/#/experiments/{run.info.experiment_id}/runs?")
    assert f"/runs/{run.info.run_id}/artifacts/{NAME}?" in pages.file
    [pages] = run_pages(stored.root, SERVER, "other.html")
    assert pages.file is None


def test_there_are_none_without_a_database_and_none_of_a_server(stored, monkeypatch, tmp_path):
    assert run_pages(tmp_path, SERVER, NAME) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert run_pages(stored.root, SERVER, NAME) == []


def test_what_somebody_deleted_has_no_page(stored, reported):
    stored.upload(reported())
    run = stored.held()[reported().name]
    stored.client().delete_run(run.info.run_id)
    assert run_pages(stored.root, SERVER, NAME) == []


def test_asking_changes_nothing(stored, reported):
    stored.upload(reported())
    before = stored.rows()
    run_pages(stored.root, SERVER, NAME)
    assert stored.rows() == before
