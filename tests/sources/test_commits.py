"""What is named on the hub without a commit is asked once, and the same in a root ever after."""

import json
from dataclasses import replace

import pytest
from tests.sources.hub import COMMIT, OTHER_COMMIT, serving, use

from interlingua.models.hosts.hub import NotFetched
from interlingua.recipes.own import mine, nla_of
from interlingua.sources.commits import (
    NAME,
    commits_in,
    committed,
    is_on_hub,
    note_commits,
    open_names,
)
from interlingua.specs.corpora import HubText, TextFiles
from interlingua.specs.models import HubHost
from interlingua.specs.training import HubFolder

MODEL, DATASET, START = "org/model", "org/stories", "org/trained"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving() as served:
        use(served, tmp_path / "hf", monkeypatch)
        for name in (MODEL, START):
            served.add(name, {"config.json": b"{}"}, kind="model")
        served.add(DATASET, {"a.jsonl": b"{}"})
        yield served


def recipe():
    """Everything that can be named on the hub, without a commit."""
    found = nla_of(
        "own",
        model=HubHost(tag="m", source=MODEL),
        texts=HubText(dataset=DATASET, files="*.jsonl"),
    )
    return replace(found, av=replace(found.av, lora=None, start=HubFolder(source=START)))


def revisions(found):
    return [found.passages.corpus.revision, found.hosts[0].source.revision, found.av.start.revision]


def test_all_that_has_no_commit_is_listed_and_asked_once(hub, tmp_path):
    root = tmp_path / "runs"
    names = [f"models/{START}", f"datasets/{DATASET}", f"models/{MODEL}"]
    assert open_names(recipe()) == names
    assert revisions(committed(recipe(), commits_in(root))) == [None, None, None]
    assert not root.exists()
    found = committed(recipe(), note_commits(recipe(), root))
    assert revisions(found) == [COMMIT] * 3 and open_names(found) == []
    assert json.loads((root / NAME).read_text()) == dict.fromkeys(names, COMMIT)
    asked = len(hub.asked)
    assert committed(recipe(), note_commits(recipe(), root)) == found
    assert len(hub.asked) == asked


def test_a_root_keeps_its_commits_though_the_branch_moves(hub, tmp_path):
    (tmp_path / NAME).write_text(json.dumps({f"models/{MODEL}": OTHER_COMMIT}))
    found = committed(recipe(), note_commits(recipe(), tmp_path))
    assert revisions(found) == [COMMIT, OTHER_COMMIT, COMMIT]


def test_what_is_named_stays_as_it_is(hub, tmp_path):
    named = replace(recipe().hosts[0], source=HubHost(tag="m", source=MODEL, revision="b" * 40))
    found = committed(replace(recipe(), hosts=(named,)), lambda name, kind: COMMIT)
    assert found.hosts[0].source.revision == "b" * 40
    assert committed(mine(), lambda name, kind: COMMIT) == mine()


def test_without_a_connection_it_is_one_line_for_all(tmp_path, monkeypatch):
    with serving() as served:
        use(served, tmp_path / "hf", monkeypatch)
    with pytest.raises(NotFetched, match=r"names no commit of org/trained and 2 others, and") as e:
        note_commits(recipe(), tmp_path)
    assert "\n" not in str(e.value) and "Or name it, with revision" in str(e.value)


def test_an_unknown_name_is_said(hub, tmp_path):
    wrong = replace(recipe(), passages=replace(recipe().passages, corpus=TextFiles(path="x")))
    del hub.repositories[MODEL]
    with pytest.raises(NotFetched, match="no model org/model, or it is private"):
        note_commits(wrong, tmp_path)


def test_a_damaged_note_is_named(tmp_path):
    (tmp_path / NAME).write_text("{")
    with pytest.raises(ValueError, match=r"commits.json is no JSON .*; restore it, or delete it"):
        commits_in(tmp_path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("org/model", True), ("model", False), ("./org/model", False), ("/org/model", False),
     ("~/model", False), ("org/model.gguf", False), ("a/b/c", False)],
)  # fmt: skip
def test_a_hub_id_is_known_by_how_it_is_written(source, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_on_hub(source, None) is expected
    assert not is_on_hub(source, COMMIT)
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert not is_on_hub("org/model", None)
