"""The log of what was asked: whole lines count, a torn end does not, and damage is named."""

import json
from functools import partial

import pytest
from tests.sources.openai import failed, served
from tests.sources.teachers.asking import PROMPT, chat, explained, reasons, texts

from interlingua.sources.teachers.chat_answer import Answer, Usage
from interlingua.sources.teachers.chat_budget import Budget
from interlingua.sources.teachers.chat_lines import DamagedLog
from interlingua.sources.teachers.chat_log import AnswerLog, Known, answers_folder, key_of
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.teachers import ChatTeacher

WORST = Usage(10, 20)
ANSWER = Answer(
    text="one",
    refusal=None,
    finish_reason="stop",
    model="fake",
    usage=Usage(4, 3),
    is_estimated=False,
    is_readable=True,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "answers" / "fake-0"


def written(folder, owner="one"):
    """The log of a process that asked four rows, and whose last answer never came."""
    log = AnswerLog(folder, owner)
    for key in "abcd":
        log.ask(key, WORST, None)
    log.answered("a", ANSWER)
    log.unanswered("b", "500", may_be_paid=False)
    log.unanswered("c", "no answer within 9 s", may_be_paid=True)
    return log


def file_of(folder):
    (path,) = folder.glob("*.jsonl")
    return path


def test_a_process_finds_what_an_earlier_one_asked(folder):
    written(folder).close()
    log = AnswerLog(folder, "one")
    states = {key: log.known(key) for key in "abcde"}
    assert states == {
        "a": Known.ANSWERED,
        "b": Known.NOTHING,
        "c": Known.FAILED,
        "d": Known.LOST,
        "e": Known.NOTHING,
    }
    assert log.answer("a") == ANSWER and log.num_answers == 1
    assert log.spent() == Usage(4 + 10 + 10, 3 + 20 + 20)


def test_what_a_living_process_has_in_flight_is_lost_only_to_its_own_stage(folder):
    log = written(folder)
    assert AnswerLog(folder, "two").known("d") is Known.NOTHING
    # A stage has one process: the one before is frozen, or its lock was taken.
    assert AnswerLog(folder, "one").known("d") is Known.LOST
    log.close()
    assert AnswerLog(folder, "two").known("d") is Known.LOST


@pytest.mark.parametrize("num_bytes", [1, 7, 40])
def test_a_torn_last_line_was_never_written(folder, num_bytes):
    log = written(folder)
    log.answered("d", ANSWER)
    log.close()
    path = file_of(folder)
    path.write_bytes(path.read_bytes()[:-num_bytes])
    log = AnswerLog(folder, "one")
    assert log.known("d") is Known.LOST and log.known("a") is Known.ANSWERED


@pytest.mark.parametrize("damage", ["bit", "cut", "zeros", "empty"])
def test_a_damaged_line_in_the_middle_is_named(folder, damage):
    written(folder).close()
    path = file_of(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[4])["text"] == "one"
    lines[4] = {
        "bit": lines[4].replace(b'"one"', b'"oNe"'),
        "cut": lines[4][:-9] + b"\n",
        "zeros": bytes(len(lines[4]) - 1) + b"\n",
        "empty": b"\n",
    }[damage]
    path.write_bytes(b"".join(lines))
    with pytest.raises(DamagedLog, match=f"{path}:5: the line is damaged.*or delete the line"):
        AnswerLog(folder, "two")


def test_two_processes_share_one_budget(folder):
    """Neither sees an answer; each sees what the other has in flight, also of another model."""
    budget = Budget(TeachingPlacement(max_tokens=100))
    logs = [AnswerLog(folder, "one"), AnswerLog(folder.with_name("other-1"), "two")]
    excess = partial(budget.excess, worst=WORST)
    found = [logs[number % 2].ask(f"k{number}", WORST, excess) for number in range(4)]
    assert found == [None, None, None, "max_tokens"]
    logs[0].answered("k0", ANSWER)
    assert logs[1].ask("k3", WORST, excess) is None
    assert logs[1].ask("k4", WORST, excess) == "max_tokens"


def test_a_row_is_known_by_what_is_asked_and_by_nothing_else(tmp_path):
    teacher = ChatTeacher(model="a/b:c", prompt=PROMPT)
    assert answers_folder(tmp_path, teacher).name.startswith("a_b_c-")
    keys = {
        key_of(teacher, "x", 0),
        key_of(teacher, "x", 1),
        key_of(teacher, "y", 0),
        key_of(ChatTeacher(model="b", prompt=PROMPT), "x", 0),
    }
    assert len(keys) == 4


def test_a_lost_row_is_asked_again_where_the_placement_says_so(tmp_path):
    with served() as fake:
        teacher = chat(tmp_path, fake.url)
        spec = ChatTeacher(model="fake-1", prompt=PROMPT)
        log = AnswerLog(answers_folder(tmp_path, spec), "one")
        log.ask(key_of(spec, "text 1", 0), WORST, None)
        log.close()
        teacher = chat(tmp_path, fake.url)
        assert explained(teacher, texts(3))["text 1"] == [] and len(fake.asked) == 2
        assert reasons(teacher) == {"num_lost": 1}
        again = chat(tmp_path, fake.url, repeats_lost=True)
        assert explained(again, texts(3))["text 1"] and not reasons(again)
    assert len(fake.asked) == 3


def test_a_row_that_nobody_was_paid_for_is_asked_again(tmp_path):
    with served(lambda _: failed(503)) as fake:
        teacher = chat(tmp_path, fake.url)
        explained(teacher, texts(2))
        assert reasons(teacher) == {"num_failed": 2}
    with served() as fake:
        again = chat(tmp_path, fake.url)
        explained(again, texts(2))
        assert not reasons(again)


def test_a_process_that_finds_everything_leaves_no_file(tmp_path):
    with served() as fake:
        explained(chat(tmp_path, fake.url), texts(2))
        explained(chat(tmp_path, fake.url, stage="two"), texts(2))
    assert len(list((tmp_path / "answers").rglob("*.jsonl"))) == 1
