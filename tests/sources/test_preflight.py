"""What is found of texts, explanations and teachers before a run; endpoints on a free port."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.own_data import write_rows
from tests.sources.hub import COMMIT, serving, use

from interlingua.recipes.failures import world_mixed_teachers
from interlingua.recipes.own import nla_of
from interlingua.sources.preflight import (
    accepted_findings,
    corpus_findings,
    file_findings,
    teacher_findings,
)
from interlingua.specs.corpora import HubText, Mixture, MixturePart, TextFiles
from interlingua.specs.finding import State
from interlingua.specs.models import HubHost
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.teachers import (
    ChatTeacher,
    ExplanationFile,
    ExtractiveTeacher,
    MixedTeachers,
    Prompt,
    TeacherPart,
)

NAME = "org/stories"
SPEC = HubText(dataset=NAME, revision=COMMIT, files="data/train-*.jsonl")
TEACHER = ChatTeacher(model="wise", prompt=Prompt(user="{text}"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path, monkeypatch)
        served.add(NAME, {"data/train-0.jsonl": b"x" * 2048, "README.md": b""})
        yield served


def states(findings) -> list[tuple[str, State]]:
    return [(one.what, one.state) for one in findings]


def test_a_dataset_is_listed_and_not_fetched(hub):
    right = (f"dataset {NAME}: 1 files, 2.0 KiB at the most", State.OK)
    assert states(corpus_findings(SPEC, None)) == [right]
    assert hub.downloads() == []
    asked = list(hub.asked)
    assert states(corpus_findings(SPEC, "no hub")) == [right] and hub.asked == asked
    none = replace(SPEC, files="*.parquet")
    parts = tuple(
        MixturePart(tag=tag, share=0.5, corpus=one) for tag, one in (("a", SPEC), ("b", none))
    )
    assert states(corpus_findings(Mixture(parts=parts), None)) == [
        right,
        (f"dataset {NAME} has no file called *.parquet", State.WRONG),
    ]


def test_a_dataset_that_cannot_be_had(hub):
    other = replace(SPEC, dataset="org/other")
    [(what, state)] = states(corpus_findings(other, None))
    assert f"{hub.url} has no dataset org/other" in what and state is State.WRONG
    asked = list(hub.asked)
    assert states(corpus_findings(other, "no hub")) == [
        ("dataset org/other: not in the cache", State.MISSING)
    ]
    assert hub.asked == asked


def recipe(folder, **parts):
    given = {
        "model": HubHost(tag="it", source=str(folder)),
        "texts": TextFiles(path=str(folder / "texts.jsonl"), id_field="id"),
        "explanations": ExplanationFile(path=str(folder / "explanations.jsonl")),
    }
    return nla_of("own", **(given | parts))


@pytest.fixture
def folder(tmp_path):
    rows = [{"id": f"t{n}", "text": f"The text with the number {n}."} for n in range(200)]
    write_rows(tmp_path / "texts.jsonl", rows)
    rows = [{"id": row["id"], "explanation": "Numbers."} for row in rows]
    write_rows(tmp_path / "explanations.jsonl", rows)
    return tmp_path


def test_all_files_are_read_and_all_faults_are_said(folder):
    found = list(file_findings(recipe(folder)))
    assert [(one.subject, one.state) for one in found] == [
        ("passages.corpus", State.OK),
        ("av_lessons.teacher", State.OK),
        ("ar_lessons.teacher", State.OK),
    ]
    write_rows(folder / "texts.jsonl", [{"id": "t0"}])
    write_rows(folder / "explanations.jsonl", [{"id": "t0", "other": "Numbers."}])
    found = list(file_findings(recipe(folder)))
    assert [one.state for one in found] == [State.WRONG] * 3
    assert "texts.jsonl, line 1" in found[0].what and "explanations.jsonl" in found[1].what


def test_what_is_not_set_or_not_there_is_a_line(folder):
    found = list(file_findings(recipe(folder, texts=TextFiles(path=""))))
    assert (found[0].subject, found[0].state) == ("passages.corpus.path", State.MISSING)
    assert "passages.corpus" not in {one.subject for one in found}
    found = list(file_findings(recipe(folder, explanations=TEACHER)))
    assert (found[0].subject, found[0].state) == ("placement.teaching.url", State.MISSING)
    gone = ExplanationFile(path=str(folder / "gone.jsonl"))
    found = [one for one in file_findings(recipe(folder, explanations=gone)) if not one.is_good]
    assert [one.subject for one in found] == ["av_lessons", "ar_lessons"]
    assert all("gone.jsonl names no file" in one.what for one in found)


@contextmanager
def endpoint(status: int, content: object):
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("Authorization"))
            self.send_response(status if self.path == "/v1/models" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", keys
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


MODELS = {"data": [{"id": "wise"}, {"id": "other"}]}


@pytest.mark.parametrize(
    ("status", "content", "state", "expected"),
    [
        (200, MODELS, State.OK, "has wise"),
        (200, {"data": [{"id": "other"}]}, State.WRONG, "has no wise"),
        (401, {}, State.WRONG, "refuses the key for its /models (401)"),
        (500, {}, State.UNKNOWN, "answers 500 to /models: wise may be there"),
        (200, ["no list"], State.UNKNOWN, "has no list of models that is OpenAI's"),
    ],
)
def test_an_endpoint_is_asked_for_its_models(status, content, state, expected, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with endpoint(status, content) as (url, keys):
        place = TeachingPlacement(url=url, key_variable="MY_KEY", max_tokens=1000)
        found = list(teacher_findings("it", TEACHER, place))
    assert keys == ["Bearer sk-secret"]
    assert states(found) == [(f"{url} {expected}", state), ("budget: 1,000 tokens", State.OK)]
    assert "sk-secret" not in repr(found)


def test_teachers_that_nobody_accepted_are_a_line():
    recipe = world_mixed_teachers()
    assert list(accepted_findings(recipe)) == []
    [line] = accepted_findings(replace(recipe, accepts_teachers=()))
    assert line.state is State.WRONG and "mixes teachers" in line.what
    assert "--set accepts_teachers=world" in line.remedy


def test_a_teacher_without_endpoint_or_key(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    nowhere = TeachingPlacement(url="http://127.0.0.1:9/v1", key_variable="MY_KEY")
    key, answers, budget = teacher_findings("it", TEACHER, nowhere)
    assert (key.state, key.remedy) == (State.MISSING, "export MY_KEY=...")
    assert answers.state is State.MISSING and "does not answer" in answers.what
    assert (budget.what, budget.state) == ("budget: none", State.OK)
    assert list(teacher_findings("it", TEACHER, TeachingPlacement())) == []
    assert list(teacher_findings("it", ExtractiveTeacher(), nowhere)) == []
    parts = tuple(TeacherPart(tag=tag, share=0.5, teacher=TEACHER) for tag in ("a", "b"))
    found = teacher_findings("it", MixedTeachers(parts=parts), nowhere)
    assert {one.subject for one in found} == {"it.a", "it.b"}
