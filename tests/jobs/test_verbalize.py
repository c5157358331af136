"""`python -m jobs.verbalize` as people run it."""

import json
import shutil
from functools import partial

import numpy as np
import pytest

from interlingua import NLA
from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture
def verbalize(run_job):
    return partial(run_job, "jobs.verbalize")


def test_it_shows_passages_of_dev_and_stores_what_it_shows(start_job, bundle, tmp_path):
    """As a process of its own; the others are run in this one."""
    job = start_job(
        bundle, "--host", "toy-gpt2-medium", "--num-passages", 3, "--max-new-tokens", 8,
        "--out", tmp_path / "said.jsonl", before=("-m", "jobs.verbalize"),
    )  # fmt: skip
    out, err = job.communicate()
    assert job.returncode == 0, err
    rows = [json.loads(line) for line in (tmp_path / "said.jsonl").open()]
    assert len(rows) == 3 == out.count("toy-gpt2-medium, cosine")
    for row in rows:
        assert row["facts"]["language"] in {"english", "ruska"} and -1 <= row["cosine"] <= 1
        assert row["generated"] and row["text"].split()[0] in out


def test_it_takes_texts_from_a_file(verbalize, bundle, tmp_path):
    (tmp_path / "texts.txt").write_text("dear friend, there was rain.\n\nthe farmer went home.\n")
    code, out, err = verbalize(
        bundle, "--host", "toy-lfm-7b", "--texts", tmp_path / "texts.txt", "--position", 2,
        "--max-new-tokens", 4, "--temperature", 1, "--num-passages", 1,  # of `dev`, not of a file
    )  # fmt: skip
    assert code == 0, err
    assert out.count("toy-lfm-7b, cosine") == 2 and "farmer" in out


@pytest.mark.parametrize(
    ("host", "folder", "said"),
    [
        (
            "llama",
            "",
            "host is 'llama'; this NLA knows: toy-qwen3-1p7b, toy-gpt2-medium, toy-lfm-7b",
        ),
        ("toy-lfm-7b", "av", "is not a bundle (no manifest.json)"),
    ],
)
def test_mistakes_are_told_in_one_line(verbalize, bundle, host, folder, said):
    code, _, err = verbalize(bundle / folder, "--host", host)
    last = err.strip().splitlines()[-1]
    assert code == 1 and last.startswith("error: ") and said in last


@pytest.mark.parametrize("num_passages", ["-3", "0", "many"])
def test_no_passages_are_no_number_of_passages(verbalize, bundle, num_passages):
    code, out, err = verbalize(bundle, "--host", "toy-lfm-7b", "--num-passages", num_passages)
    assert (code, out) == (2, "")
    assert f"argument --num-passages: it is {num_passages!r}; it must be at least 1" in err


def test_a_file_without_a_text_says_so(verbalize, bundle, tmp_path):
    (tmp_path / "texts.txt").write_text("\n\n")
    code, out, err = verbalize(bundle, "--host", "toy-lfm-7b", "--texts", tmp_path / "texts.txt")
    assert (code, out) == (1, "") and f"error: {tmp_path / 'texts.txt'} holds no text" in err


def test_a_copied_bundle_asks_for_texts(verbalize, bundle, tmp_path):
    copied = shutil.copytree(bundle, tmp_path / "bundle" / "copied")
    code, _, err = verbalize(copied, "--host", "toy-lfm-7b")
    assert code == 1 and "error: the trunk of" in err and "is not at" in err
    shutil.copytree(bundle.parent.parent / "host", tmp_path / "host")
    code, out, err = verbalize(copied, "--host", "toy-lfm-7b")
    last = err.strip().splitlines()[-1]
    assert (code, out) == (1, "") and last.startswith(f"error: the passages behind {copied} are")
    assert last.endswith("give --texts")


def test_it_takes_vectors_and_passages_by_id(verbalize, bundle, tmp_path):
    code, _, err = verbalize(
        bundle, "--host", "toy-gpt2-medium", "--num-passages", 2, "--max-new-tokens", 8,
        "--out", tmp_path / "first.jsonl",
    )  # fmt: skip
    assert code == 0, err
    [first, second] = map(json.loads, (tmp_path / "first.jsonl").open())
    nla = NLA.load(bundle)
    h_ND = nla.read([second["text"], first["text"]], "toy-gpt2-medium").h_ND
    np.save(tmp_path / "h.npy", h_ND)
    code, out, err = verbalize(
        bundle, "--host", "toy-gpt2-medium", "--vectors", tmp_path / "h.npy",
        "--max-new-tokens", 8, "--out", tmp_path / "again.jsonl",
    )  # fmt: skip
    assert code == 0, err
    again = [json.loads(line) for line in (tmp_path / "again.jsonl").open()]
    assert [row["generated"] for row in again] == [second["generated"], first["generated"]]
    assert out.count("a raw activation") == 2
    passages_of = dict(passages_by_text(bundle))
    ids = ",".join(passages_of[row["text"]] for row in (second, first))
    code, _, err = verbalize(
        bundle, "--host", "toy-gpt2-medium", "--ids", ids, "--max-new-tokens", 8,
        "--out", tmp_path / "ids.jsonl",
    )  # fmt: skip
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "ids.jsonl").open()]
    assert [row["text"] for row in rows] == [second["text"], first["text"]]


def passages_by_text(bundle):
    path = next((bundle.parent.parent / "passages").glob(f"*/{PASSAGES_NAME}"))
    for passage in read_passages(path, {Split.DEV}, SplitAccess({Split.DEV})):
        yield passage.text, passage.passage_id


def test_what_is_no_vector_or_no_passage_is_said(verbalize, bundle, tmp_path):
    (tmp_path / "h.npy").write_text("words")
    for arguments, expected in (
        (("--vectors", tmp_path / "h.npy"), "is no .npy file of numbers"),
        (("--ids", "0123"), "split dev has no passage 0123"),
    ):
        code, _, err = verbalize(bundle, "--host", "toy-lfm-7b", *arguments)
        assert code == 1 and expected in err.strip().splitlines()[-1]
