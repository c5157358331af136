"""A chat model that explains: every row ends, nothing is paid twice, and no more than may be."""

import logging
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.sources.openai import MODEL, Reply, explaining, failed, said, served
from tests.sources.teachers.asking import (
    PROMPT,
    SOON,
    WHOLE,
    chat,
    explained,
    passage,
    reasons,
    texts,
)

from interlingua.sources.source import Site
from interlingua.sources.teachers.chat_endpoint import TeachingStopped
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.teachers import Prompt, TaggedAnswer

KEY = "sk-test-0123456789-abcdef"
TAGGED = replace(PROMPT, answer=TaggedAnswer(tag="why", least_paragraphs=2))


def test_the_prompt_holds_what_was_read_and_how_it_is_sampled(tmp_path):
    prompt = Prompt(
        user="Explain {braces}: <<{text}>>", system="Be brief.", temperature=0.5, top_p=0.9
    )
    one = passage("First here. Then there.")
    sites = [
        WHOLE,
        Site(position=12, span=(12, 23)),
        Site(position=1, span=(0, 10), is_token=True),
    ]
    with served() as fake:
        teacher = chat(tmp_path, fake.url, prompt=prompt, concurrency=1)
        found = teacher.explain([(one, site) for site in sites], 1)
    read = ["First here. Then there.", "Then there.", "First here"]
    assert [asked.text for asked in fake.asked] == [f"Explain {{braces}}: <<{t}>>" for t in read]
    body = fake.asked[0].body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.9, 300)
    assert body["model"] == "fake-1"
    assert [[name for name, _ in texts] for texts in found] == [["fake-1"]] * 3
    counts = teacher.counts()
    assert counts["models"] == [MODEL] and counts["endpoint"] == fake.url.split("/")[2]
    assert (counts["prompt_tokens"], counts["answer_tokens"]) == (45, 30)


def test_each_sample_is_a_row_and_a_repeated_text_is_counted(tmp_path):
    with served(lambda asked: said("same" if asked.text == "text 0" else asked.text)) as fake:
        teacher = chat(tmp_path, fake.url)
        assert explained(teacher, ["text 0"], 3) == {"text 0": ["same"]}
    assert fake.times() == {"text 0": 3} and reasons(teacher) == {"num_repeated": 2}
    with served(explaining) as fake:
        assert len(explained(chat(tmp_path / "other", fake.url), ["text 0"], 3)["text 0"]) == 3


def test_two_sites_with_one_text_are_asked_once_and_one_without_text_never(tmp_path):
    sites = [Site(position=0, span=(0, 4)), Site(position=5, span=(5, 9)), Site(position=9,
             span=(9, 10))]  # fmt: skip
    with served() as fake:
        teacher = chat(tmp_path, fake.url)
        one, other, none = teacher.explain([(passage("same same "), site) for site in sites], 1)
    assert fake.times() == {"same": 1} and one == other and none == []
    assert reasons(teacher) == {"num_without_text": 1}
    assert teacher.counts()["prompt_tokens"] == 15, "a shared answer is paid once"


def passing(asked):
    """One trouble of every kind that passes, then an answer."""
    troubles = {
        "text 0": failed(429, retry_after="0.05"),
        "text 1": failed(500),
        "text 2": Reply(drops=True),
        "text 3": failed(429),
        "text 4": Reply(body={"error": {"message": "busy", "code": 503}}),
        "text 5": failed(503),
    }
    return troubles[asked.text] if asked.time_of_text == 0 else explaining(asked)


def test_what_passes_is_asked_again(tmp_path):
    with served(passing) as fake:
        teacher = chat(tmp_path, fake.url, concurrency=6)
        found = explained(teacher, texts(6))
    assert all(len(own) == 1 for own in found.values()) and not reasons(teacher)
    assert set(fake.times().values()) == {2}


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(tmp_path):
    def script(asked):
        return replace(explaining(asked), seconds=1.0 if asked.time_of_text == 0 else 0.0)

    with served(script) as fake:
        teacher = chat(tmp_path, fake.url, timeout_seconds=0.5)
        (found,) = explained(teacher, ["text 0"])["text 0"]
    assert found.startswith("It is about text 0") and fake.times()["text 0"] > 1


def test_an_endpoint_that_asks_to_wait_is_left_alone_so_long(tmp_path):
    def script(asked):
        return failed(429, retry_after="0.4") if asked.number == 0 else explaining(asked)

    with served(script) as fake:
        explained(chat(tmp_path, fake.url, concurrency=1), texts(3))
    times = [asked.at for asked in fake.asked]
    assert times[1] - times[0] >= 0.4 and len(times) == 4


ENDS = {
    "refused": (lambda _: said(None, refusal="I will not."), "num_refused", 1),
    "filtered": (lambda _: said("half", finish="content_filter"), "num_refused", 1),
    "filtered_before": (lambda _: failed(400, "bad", "content_filter"), "num_refused", 1),
    "empty": (lambda _: said(" \n"), "num_empty", 1),
    "nothing": (lambda _: said(None), "num_empty", 1),
    "cut": (lambda _: said("It is ab", finish="length"), "num_cut_off", 1),
    "open_tag": (lambda _: said("<why>one\n\ntwo"), "num_malformed", 1),
    "few": (lambda _: said("<why>one</why>"), "num_malformed", 1),
    "half_json": (lambda _: Reply(body='{"choices": [{"mess'), "num_malformed", 1),
    "no_choice": (lambda _: Reply(body={"choices": []}), "num_malformed", 1),
    "no_object": (lambda _: Reply(body=[1]), "num_malformed", 1),
    "too_long": (lambda _: failed(400, "context length exceeded"), "num_rejected", 1),
    "down": (lambda _: failed(500), "num_failed", SOON.attempts),
    "dropped": (lambda _: Reply(drops=True), "num_failed", SOON.attempts),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_row_ends_with_a_counted_reason(end, tmp_path):
    trouble, reason, times = ENDS[end]
    good = said("<why>one\n\n2. two</why>")
    with served(lambda asked: trouble(asked) if asked.text == "text 1" else good) as fake:
        teacher = chat(tmp_path, fake.url, prompt=TAGGED)
        found = explained(teacher, texts(3))
    assert found == {"text 0": ["one\n\ntwo"], "text 1": [], "text 2": ["one\n\ntwo"]}
    assert reasons(teacher) == {reason: 1} and fake.times()["text 1"] == times


def test_what_was_paid_is_not_asked_again_whatever_it_was(tmp_path):
    """By another stage and sampled as often, also where it is read in another way."""
    with served(lambda asked: said("<why>one</why>")) as fake:
        first = chat(tmp_path, fake.url, prompt=TAGGED)
        explained(first, texts(4), 2)
        assert reasons(first) == {"num_malformed": 8}
        again = chat(tmp_path, fake.url, prompt=TAGGED, stage="two")
        explained(again, texts(4), 2)
        assert reasons(again) == {"num_malformed": 8} and len(fake.asked) == 8
        whole = chat(tmp_path, fake.url, stage="three")
        assert explained(whole, texts(4), 2)["text 0"] == ["<why>one</why>"]
        assert len(fake.asked) == 8
        explained(chat(tmp_path, fake.url, prompt=replace(PROMPT, temperature=0.1)), texts(4))
        assert len(fake.asked) == 12, "another prompt is another answer"
    assert again.counts()["prompt_tokens"] == first.counts()["prompt_tokens"] == 8 * 15


WRONG = {
    "key": (failed(401, f"Incorrect API key provided: {KEY}"), "put a valid one"),
    "forbidden": (failed(403), "may ask this model"),
    "model": (failed(404, "no such model"), "has no model fake-1"),
    "money": (failed(402), "top the account up"),
    "quota": (failed(429, "gone", "insufficient_quota"), "top the account up"),
    "tomorrow": (failed(429, "daily", retry_after="90000"), "no request for 90000 s"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_no_wait_can_mend_stops_at_once_in_one_line(wrong, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    reply, remedy = WRONG[wrong]
    with served(lambda _: reply) as fake:
        teacher = chat(tmp_path, fake.url, key_variable="MY_KEY", concurrency=2)
        with pytest.raises(TeachingStopped, match=remedy) as caught:
            explained(teacher, texts(30))
    assert len(fake.asked) <= 2 and fake.asked[0].key == KEY
    assert "\n" not in str(caught.value) and KEY not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_an_endpoint_that_answers_nothing_stops_before_all_rows_are_tried(tmp_path):
    with served(lambda _: failed(400, "unknown parameter")) as fake:
        with pytest.raises(TeachingStopped, match="none of 20 rows in a row.*unknown parameter"):
            explained(chat(tmp_path, fake.url), texts(200))
        assert len(fake.asked) < 30
        url = fake.url
    with pytest.raises(TeachingStopped, match="no connection: ConnectError"):
        explained(chat(tmp_path, url), texts(200))


def test_a_model_that_calls_the_limit_otherwise_is_asked_so(tmp_path):
    def script(asked):
        if "max_tokens" in asked.body:
            return failed(400, "use 'max_completion_tokens' instead of 'max_tokens'")
        return explaining(asked)

    with served(script) as fake:
        teacher = chat(tmp_path, fake.url)
        explained(teacher, texts(8))
    assert not reasons(teacher) and len(fake.asked) <= 8 + 4
    assert fake.asked[-1].body["max_completion_tokens"] == 20


def test_usage_that_is_not_reported_is_estimated_rather_too_high(tmp_path):
    answer = "An explanation of some forty characters."
    with served(lambda _: said(answer, usage=None)) as fake:
        teacher = chat(tmp_path, fake.url)
        explained(teacher, texts(3))
    counts = teacher.counts()
    assert counts["num_estimated"] == 3
    assert counts["answer_tokens"] == 3 * len(answer) / 2 and counts["prompt_tokens"] >= 3 * 4


def test_no_more_are_in_flight_and_no_more_a_minute_than_the_placement_says(tmp_path):
    with served(lambda asked: replace(explaining(asked), seconds=0.05)) as fake:
        explained(chat(tmp_path, fake.url, concurrency=3), texts(30))
        assert fake.most_together == 3
        del fake.asked[:]
        slow = chat(tmp_path, fake.url, requests_per_minute=1200, stage="slow")
        explained(slow, [f"slow {number}" for number in range(8)])
    gaps = [later - earlier for earlier, later in pairwise(sorted(a.at for a in fake.asked))]
    assert sum(gaps) >= 7 * 0.05 * 0.9


def test_a_budget_is_a_hard_stop_that_says_what_is_there_and_how_to_go_on(tmp_path):
    with served() as fake:  # 25 tokens an answer, and 39 may be asked for
        teacher = chat(tmp_path, fake.url, max_tokens=270, concurrency=8)
        with pytest.raises(TeachingStopped, match="270; 10 rows have answers") as caught:
            explained(teacher, texts(100))
        assert "250 tokens" in str(caught.value) and "max_tokens=..." in str(caught.value)
        assert "\n" not in str(caught.value) and fake.num_paid_tokens == 250
        again = chat(tmp_path, fake.url, max_tokens=270, stage="two")
        with pytest.raises(TeachingStopped):
            explained(again, texts(100))
        assert fake.num_paid_tokens == 250, "a budget is of a root: of all its stages and runs"
        raised = chat(tmp_path, fake.url, max_tokens=10_000)
        explained(raised, texts(100))
    assert set(fake.times().values()) == {1} and len(fake.asked) == 100


def test_an_endpoint_that_takes_more_than_was_asked_for_is_expected_to(tmp_path):
    usage = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 500}  # thoughts
    with served(lambda asked: said(asked.text, usage=usage)) as fake:
        teacher = chat(tmp_path, fake.url, max_tokens=1400, concurrency=1)
        with pytest.raises(TeachingStopped, match="1000 tokens are paid"):
            explained(teacher, texts(9))
        again = chat(tmp_path, fake.url, max_tokens=1400, stage="two")
        with pytest.raises(TeachingStopped):
            explained(again, texts(9))
    assert fake.num_paid_tokens == 1000


def test_dollars_are_counted_by_the_prices_and_stop_as_hard(tmp_path):
    prices = {"prompt_price": 1000.0, "answer_price": 4000.0}  # 0.055 dollars an answer
    with served() as fake:
        teacher = chat(tmp_path, fake.url, max_dollars=0.5, **prices)
        with pytest.raises(TeachingStopped, match=r"\(0\.4400 dollars\).*max_dollars is 0.5"):
            explained(teacher, texts(100))
        assert len(fake.asked) == 8
        raised = chat(tmp_path, fake.url, max_dollars=100.0, **prices)
        explained(raised, texts(20))
    assert raised.counts()["dollars"] == pytest.approx(20 * 0.055)


def test_a_request_that_may_be_paid_and_has_no_answer_counts_towards_the_budget(tmp_path):
    def script(asked):
        return replace(explaining(asked), seconds=0.4 if asked.text == "text 0" else 0.0)

    with served(script) as fake:
        explained(chat(tmp_path, fake.url), ["text 1"])
        teacher = chat(tmp_path, fake.url, timeout_seconds=0.2, max_tokens=1000)
        explained(teacher, texts(2))
        num_asked = len(fake.asked)
        assert reasons(teacher) == {"num_failed": 1} and num_asked > 1
        again = chat(tmp_path, fake.url, max_tokens=180, stage="two")
        with pytest.raises(TeachingStopped, match=f"{25 + SOON.attempts * 39} tokens"):
            explained(again, ["text 9"])
        assert explained(chat(tmp_path, fake.url, stage="three"), ["text 0"]) == {"text 0": []}
    assert len(fake.asked) == num_asked, "it may be paid, and is not asked again"


def test_a_process_whose_stage_was_taken_over_asks_no_more(tmp_path):
    with served() as fake:
        teacher = chat(tmp_path, fake.url)
        explained(teacher, ["text 0"])
        (folder,) = (tmp_path / "explanations").iterdir()
        folder.rename(folder.with_name("one.11111111.partial"))
        with pytest.raises(TeachingStopped, match="another process builds this stage"):
            teacher.explain([(passage("text 1"), WHOLE)], 1)
    assert len(fake.asked) == 1


@pytest.mark.parametrize("echo", ["error", "answer", "body"])
def test_the_key_stands_in_no_file_and_no_log_also_where_it_is_echoed(
    echo, tmp_path, monkeypatch, caplog, capfd
):
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    caplog.set_level(logging.DEBUG)

    def script(asked):
        if asked.text == "text 0":
            return explaining(asked)
        replies = {
            "error": failed(400, f"your key is {asked.key}"),
            "answer": said(f"It is {asked.key}."),
            "body": Reply(body=f'{{"choices": {asked.key}'),
        }
        return replies[echo]

    with served(script) as fake:
        teacher = chat(tmp_path, fake.url, key_variable="MY_KEY")
        found = explained(teacher, texts(2))
    assert {asked.key for asked in fake.asked} == {KEY}
    if echo == "answer":
        assert found["text 1"] == ["It is [key]."]
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert sum("text 0" in one for one in written) == 1
    assert not any(KEY in one for one in [*written, caplog.text, *capfd.readouterr()])
    assert not any(KEY in repr(record.__dict__) for record in caplog.records)


def test_what_is_missing_is_said_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(TeachingStopped, match="environment has no such variable: export"):
        chat(tmp_path, "http://127.0.0.1:9/v1", key_variable="MY_KEY")
    with pytest.raises(TeachingStopped, match="placement.teaching.url is empty"):
        chat(tmp_path, "")


@pytest.mark.parametrize(
    "url", [f"http://me:{KEY}@host/v1", f"http://{KEY}@host/v1", f"http://host/v1?key={KEY}"]
)
def test_a_url_that_may_hold_a_key_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="TeachingPlacement.url holds a user or a query") as caught:
        TeachingPlacement(url=url)
    assert KEY not in str(caught.value)
    with pytest.raises(ValueError, match="must begin with http"):
        TeachingPlacement(url="host/v1")


def test_progress_counts_every_row_and_what_it_cost(tmp_path):
    seen, asked = Counter(), Counter()

    def note(num_rows, *, tokens, dollars, is_asked):
        seen.update(rows=num_rows, tokens=tokens)
        asked.update({is_asked: num_rows})

    def script(one):
        return failed(400, "no") if one.text == "text 1" else explaining(one)

    with served(script) as fake:
        explained(chat(tmp_path, fake.url), ["text 0"])
        teacher = chat(tmp_path, fake.url, stage="two")
        teacher._on_rows = note
        explained(teacher, [*texts(4), "", "text 2"], 2)
    assert seen == {"rows": 12, "tokens": 5 * 25} and asked == {True: 7, False: 5}
