"""Examples: chosen by a rule, marked by what holds, the same rows before and after."""

import numpy as np
import pytest
from tests.report.conftest import record_of, stored

from interlingua.report.page.examples import examples_of, marked_pieces, passage_pieces
from interlingua.report.tables.material import read_material
from interlingua.store.record import InputRecord
from interlingua.store.rows.scored import ROWS_FOLDER, Scored, host_path, write_scored

HOST = "toy-bloom-560m"


def test_words_for_facts_are_marked_by_whether_these_hold():
    holds = {"topic=farm": True, "mood=sad": False, "language=ruska": True}
    assert marked_pieces("About a Farm. farmers are sad.", holds) == [
        ("About a ", ""), ("Farm", "good"), (". farmers are ", ""), ("sad", "bad"), (".", ""),
    ]  # fmt: skip
    assert marked_pieces("a (b) c", {"kind=(b)": True})[1] == ("(b)", "good")
    assert marked_pieces("nothing", {}) == [("nothing", "")]


def test_what_was_read_of_a_passage_is_marked_and_a_long_passage_is_cut():
    assert passage_pieces("one. two. three.", 5, 9) == [
        ("one. ", ""), ("two.", "read"), (" three.", ""),
    ]  # fmt: skip
    ((whole, mark),) = passage_pieces("word " * 400, -1, -1)
    assert len(whole) < 430 and whole.endswith(" ...") and mark == ""
    before, read, after = passage_pieces("a" * 900 + "READ" + "b" * 900, 900, 904)
    assert read == ("READ", "read") and before[0].startswith("... a") and len(before[0]) < 220
    assert after[0].endswith("b ...")


@pytest.fixture
def after_rl(tmp_path, evaluated):
    """An evaluation whose start is upstream: the same rows, with other texts."""
    evaluation = evaluated(is_rewarded=True)
    plain = read_material("world", evaluation, ())
    start = stored(tmp_path / "before", record_of("evaluation", "world"))
    (start.path / ROWS_FOLDER).mkdir()
    for host in plain.roles:
        columns = dict(plain.rows.where(plain.rows["host"] == host).columns)
        texts = [text and f"before {text}" for text in columns["explanation"]]
        columns["explanation"] = np.array(texts, dtype=object)
        write_scored(host_path(start.path, host), Scored(columns))
    link = InputRecord(kind="evaluation", label="world", fingerprint=start.record.fingerprint)
    evaluation.record.inputs["start"] = link
    return read_material("world", evaluation, [start])


@pytest.mark.slow
def test_the_first_rows_by_id_stand_before_and_after_rl(after_rl):
    found = examples_of(after_rl)
    assert HOST in found.rule and "before and after RL" in found.rule and found.knows_facts
    own = after_rl.rows.of(HOST, "sampled")
    own = own.where(own["sample"] == 0)
    for passage_id, example in zip(sorted(own["passage_id"])[:3], found.examples, strict=True):
        assert example.passage[0][0] == after_rl.passages[passage_id].text[:420]
        before, after = example.sayings
        assert (before.title, after.title) == ("before RL", "after RL")
        words = ["".join(text for text, _ in one.pieces) for one in (before, after)]
        (row,) = np.flatnonzero(own["passage_id"] == passage_id)
        assert words[1] == (own["explanation"][row] or own["text"][row])
        assert words[0] in (f"before {words[1]}", words[1])
        said, true = own["said"][row], own["true"][row]
        assert list(after.wrong) == [one.replace("=", " ") for one in said if one not in true]


@pytest.mark.slow
def test_without_rl_there_are_the_explanations_alone(evaluated):
    found = examples_of(read_material("world", evaluated(), ()))
    assert [len(example.sayings) for example in found.examples] == [1, 1, 1]
    assert found.examples[0].sayings[0].title == "sampled (T=1)" and "RL" not in found.rule
