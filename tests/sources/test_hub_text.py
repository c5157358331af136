"""Texts of a hub on a free port: what is read and recorded, and refusals in words that help."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from huggingface_hub import constants, hf_hub_download
from tests.sources.hub import COMMIT, GOOD_TOKEN, OTHER_COMMIT, FakeHub, serving, use

from interlingua.models.hosts import hub as hub_files
from interlingua.sources.source import corpus_of
from interlingua.specs.corpora import HubText, Mixture, MixturePart, TextFiles

NAME = "org/stories"
SPEC = HubText(dataset=NAME, revision=COMMIT, files="data/train-*.jsonl")


def lines(*texts: str) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


FILES = {
    ".gitattributes": b"* text\n",
    "README.md": b"# Stories\n",
    "data/test-0.jsonl": lines("not asked for"),
    # Not in the order of names: the hub promises none.
    "data/train-1.jsonl": lines("three", "four"),
    "data/train-0.jsonl": lines("zero", "one", "two"),
    "data/train-2.jsonl": lines("five"),
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path, monkeypatch)
        served.add(NAME, dict(FILES))
        yield served


def texts(spec: HubText) -> list[str]:
    return [record.text for record in corpus_of(spec).records()]


def refusal(spec: HubText) -> str:
    with pytest.raises(ValueError) as caught:
        texts(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_texts_come_in_the_order_of_file_names(hub):
    corpus = corpus_of(SPEC)
    records = list(corpus.records())
    assert [record.text for record in records] == ["zero", "one", "two", "three", "four", "five"]
    assert [record.row_id for record in records] == [str(number) for number in range(6)]
    assert [record.document_id for record in records] == [f"{NAME}:{n}" for n in range(6)]
    assert records[3].where.endswith("data/train-1.jsonl, line 1")
    assert corpus.truth is None


def test_what_was_read_is_recorded(hub):
    corpus = corpus_of(SPEC)
    assert corpus.shards() == []
    list(corpus.records())
    assert corpus.shards() == [
        {"file": file, "sha256": hashlib.sha256(FILES[file]).hexdigest(), "rows": rows}
        for file, rows in [
            ("data/train-0.jsonl", 3),
            ("data/train-1.jsonl", 2),
            ("data/train-2.jsonl", 1),
        ]
    ]


def test_no_file_is_fetched_further_than_asked_for(hub):
    corpus = corpus_of(replace(SPEC, first=1, count=2))
    records = list(corpus.records())
    assert [record.text for record in records] == ["one", "two"]
    # Counted before the slice, so that a slice has the names that the whole has.
    assert [record.document_id for record in records] == [f"{NAME}:1", f"{NAME}:2"]
    assert [record.row_id for record in records] == ["1", "2"]
    assert hub.downloads() == ["data/train-0.jsonl"]
    assert [shard["rows"] for shard in corpus.shards()] == [3]


def test_the_release_calls_its_documents_by_another_name(hub):
    named = corpus_of(replace(SPEC, name="stories:train", count=1))
    assert next(named.records()).document_id == "stories:train:0"


def test_a_mixture_fetches_no_file_further_than_asked_for(hub, tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_bytes(lines(*"abcdef"))
    own = TextFiles(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    parts = (
        MixturePart(tag="hub", share=0.5, corpus=SPEC),
        MixturePart(tag="own", share=0.5, corpus=own),
    )
    corpus = corpus_of(Mixture(parts=parts, count=6))
    records = list(corpus.records())
    assert [record.text for record in records] == ["zero", "a", "one", "b", "two", "c"]
    assert records[2].document_id == f"hub/{NAME}:1"
    assert hub.downloads() == ["data/train-0.jsonl"]
    assert [shard["part"] for shard in corpus.shards()] == ["hub", "own"]


def test_a_field_may_name_rows_and_documents(hub):
    rows = [{"text": "a", "id": 7, "doc": "x"}, {"text": "b", "id": 8, "doc": "x"}]
    hub.add(NAME, {"a.jsonl": b"\n".join(json.dumps(row).encode() for row in rows)})
    spec = replace(SPEC, files="a.jsonl", id_field="id", document_field="doc")
    records = list(corpus_of(spec).records())
    assert [(record.row_id, record.document_id) for record in records] == [("7", "x"), ("8", "x")]


def test_what_was_fetched_once_is_read_without_a_connection(hub, monkeypatch):
    assert texts(replace(SPEC, count=3)) == ["zero", "one", "two"]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert texts(replace(SPEC, count=3)) == ["zero", "one", "two"]
    # The list of files is known in full: none is left out because it is not in the cache.
    assert refusal(SPEC).startswith(
        f"HF_HUB_OFFLINE is set and data/train-1.jsonl of dataset {NAME} at {COMMIT[:12]} is not "
        f"in the cache ({constants.HF_HUB_CACHE}); unset it, or fetch it where there is"
    )


def test_offline_with_nothing_in_the_cache(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refusal(SPEC).startswith(f"HF_HUB_OFFLINE is set and dataset {NAME} at {COMMIT[:12]}")
    assert hub.asked == []


def test_offline_with_files_that_others_fetched(hub, monkeypatch):
    hf_hub_download(NAME, "data/train-0.jsonl", repo_type="dataset", revision=COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    # Whether there are more files before it or behind it cannot be known.
    assert refusal(SPEC) == (
        f"some files of dataset {NAME} at {COMMIT[:12]} are in the cache "
        f"({constants.HF_HUB_CACHE}) without the list of all, which the hub cannot be asked for "
        "now; run once where there is a connection, HF_HUB_OFFLINE unset"
    )


def test_a_download_that_is_cut_off_goes_on_where_it_was(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 5)  # the library goes on at a whole one
    hub.cuts["data/train-0.jsonl"] = [5, 10]
    assert texts(replace(SPEC, count=3)) == ["zero", "one", "two"]
    assert hub.downloads() == [f"data/train-0.jsonl{r}" for r in ("", " bytes=5-", " bytes=15-")]


def test_a_download_that_is_reset_is_begun_again(hub):
    hub.cuts["data/train-0.jsonl"] = [-1, -1]
    assert texts(replace(SPEC, count=3)) == ["zero", "one", "two"]
    assert hub.downloads() == ["data/train-0.jsonl"] * 3


def test_a_download_that_is_always_cut_off_is_given_up(hub):
    hub.cuts["data/train-0.jsonl"] = [0] * 1000
    assert re.fullmatch(
        f"the download of data/train-0.jsonl of dataset {NAME} was cut off, and again at every new "
        r"attempt \(.+\); run the same command again: what has come stays",
        refusal(SPEC),
    )
    assert len(hub.downloads()) == 6 * (1 + len(hub_files.WAITS_S))
    hub.cuts.clear()
    assert len(texts(SPEC)) == 6


def test_a_list_that_is_cut_off_is_asked_for_again(hub):
    hub.cuts["tree"] = [5, -1]
    assert len(texts(SPEC)) == 6


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_gated_dataset(hub: FakeHub, is_listed, monkeypatch):
    hub.gated.add(f"datasets/{NAME}")
    if is_listed:  # licence taken back after the list was read
        monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
        texts(replace(SPEC, count=1))
        monkeypatch.setenv("HF_TOKEN", "hf_other")
    what = f"data/train-1.jsonl of dataset {NAME}" if is_listed else f"dataset {NAME}"
    assert refusal(SPEC) == (
        f"{what} is gated: accept its licence at {hub.url}/datasets/{NAME} and set HF_TOKEN to a "
        "token of the account that did"
    )


def test_a_gated_dataset_with_its_licence_accepted(hub, monkeypatch):
    hub.gated.add(f"datasets/{NAME}")
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    assert len(texts(SPEC)) == 6


def test_a_dataset_that_is_not_there(hub):
    assert refusal(replace(SPEC, dataset="org/storys")) == (
        f"{hub.url} has no dataset org/storys, or it is private: mind the spelling, and set "
        "HF_TOKEN where it is yours"
    )


def test_a_name_that_cannot_be(hub):
    assert refusal(replace(SPEC, dataset="a/b/c")).startswith(
        "dataset a/b/c is no name on the hub: write owner/name ("
    )


def test_a_revision_that_is_not_there(hub):
    assert refusal(replace(SPEC, revision=OTHER_COMMIT)) == (
        f"dataset {NAME} has no revision {OTHER_COMMIT}; take a commit of "
        f"{hub.url}/datasets/{NAME}/commits/main"
    )


def test_no_file_of_that_name(hub):
    assert refusal(replace(SPEC, files="train*")) == (
        f"HubText.files is 'train*', and no file of dataset {NAME} is called so; there are: "
        "README.md, data/test-0.jsonl, data/train-0.jsonl, data/train-1.jsonl, data/train-2.jsonl"
    )
    hub.add("org/many", {f"{number}.jsonl": b"" for number in range(7)})
    assert refusal(replace(SPEC, dataset="org/many")).endswith("4.jsonl and 2 more")


def test_files_that_are_no_texts(hub):
    assert re.match(
        r"HubText.files is '\*', which names .gitattributes of dataset org/stories; name files "
        r"that end with .jsonl, .*\.gz",
        refusal(replace(SPEC, files="*")),
    )
    assert "README.md is a plain text; name one kind by a pattern" in refusal(
        replace(SPEC, files="[!.]*")
    )
    assert "HubText.id_field is 'id', and README.md is a plain text" in refusal(
        replace(SPEC, files="README.md", id_field="id")
    )


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "the hub refuses HF_TOKEN; make another, or unset it"),
        (403, "HF_TOKEN gives no right to it; take a token that may read it"),
        (429, "too many requests; wait, or set HF_TOKEN, which raises the limit"),
        (503, "run the same command again later: what has come stays"),
    ],
)
@pytest.mark.parametrize(
    ("asked", "what"),
    [("tree", "dataset"), ("data/train-0.jsonl", "data/train-0.jsonl of dataset")],
)
def test_other_answers_of_the_hub(hub, asked, what, status, remedy):
    hub.status[asked] = status
    assert refusal(SPEC) == f"{hub.url} answers {status} for {what} {NAME}: {remedy}"


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    assert re.fullmatch(
        rf"dataset {NAME} is not in the cache, and http://127.0.0.1:1 cannot be reached \(.+\); "
        r"mind the connection \(proxy, HF_ENDPOINT\) and run the same command again",
        refusal(SPEC),
    )


def test_a_cache_that_cannot_be_written(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    (tmp_path / "file").write_text("")
    assert f"cannot be stored (the cache is {tmp_path}/file/hub): " in refusal(SPEC)


def test_a_process_of_its_own_needs_the_variables_only(hub, tmp_path):
    program = (
        "from interlingua.sources.source import corpus_of\n"
        "from interlingua.specs.corpora import HubText\n"
        f"spec = {SPEC!r}\n"
        "print([record.text for record in corpus_of(spec).records()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=hub.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['zero', 'one', 'two', 'three', 'four', 'five']\n"
    assert done.stderr == ""
