"""Claims of texts against what is true: by the corpus's own truth, also sentence by sentence."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.serving.asgi import Answer, Asgi
from tests.serving.explorer.made import made_tables, stored, stored_evaluation
from tests.serving.explorer.test_routes import client, refused, schema_of

from interlingua.recipes.world import world_mini
from interlingua.serving.explorer.claims import claims_of
from interlingua.serving.explorer.lineage import evaluation_at
from interlingua.sources.source import corpus_of
from interlingua.specs.corpora import TextFiles
from interlingua.specs.text.canonical import jsonable

CLAIMS = "/v1/evaluations/demo/claims"
WORLD = world_mini().passages
TRUTH = corpus_of(WORLD.corpus).truth
assert TRUTH is not None


def evaluation_of(root: Path, spec: Any) -> Path:
    """An evaluation whose passages were made by this spec."""
    passages = stored(root, "passages", "world", {}, spec=jsonable(spec))
    return stored_evaluation(root, "demo", inputs={"passages": passages})


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory) -> Asgi:
    return client({"demo": evaluation_of(tmp_path_factory.mktemp("runs"), WORLD)})


@pytest.fixture(scope="module")
def passage() -> dict[str, Any]:
    """The second passage of the evaluation, of which a sentence was read."""
    _, passages = made_tables(12, seed=len("demo"))
    return {**passages.to_pylist()[1], "facts": dict(passages.to_pylist()[1]["facts"])}


def asked(asgi: Asgi, passage: dict[str, Any], texts: list[str], **others: Any) -> Answer:
    content = {"passage_id": passage["passage_id"], "texts": texts, **others}
    return asgi.request("POST", CLAIMS, json=content)


def test_claims_are_true_where_the_passage_has_the_fact(asgi, passage) -> None:
    mood = passage["facts"]["mood"]
    other = {"glad": "sad", "sad": "glad"}[mood]
    texts = [f"sounds {mood}. in english.", f"{other} mood.", "nothing at all"]
    answer = asked(asgi, passage, texts)
    assert answer.status == 200
    assert [one["claims"] for one in answer.json()["data"]] == [
        [
            {"fact": f"mood={mood}", "is_true": True},
            {"fact": "language=english", "is_true": False},  # the passage has no language
        ],
        [{"fact": f"mood={other}", "is_true": False}],
        [],
    ]


def test_clauses_are_the_sentences_that_name_a_fact(asgi, passage) -> None:
    mood = passage["facts"]["mood"]
    text = f"\N{SNOWMAN}\U0001f600 look. sounds {mood}.  and a {mood} {mood} end"
    (one,) = asked(asgi, passage, [text]).json()["data"]
    assert [text[clause["start"] : clause["end"]] for clause in one["clauses"]] == [
        f"sounds {mood}.",
        f"and a {mood} {mood} end",
    ]
    assert {(c["fact"], c["is_true"]) for c in one["clauses"]} == {(f"mood={mood}", True)}
    assert len(one["claims"]) == 1


SAYING = st.sampled_from(
    ["sounds glad.", "the tone is sad!", "about a farm", "topic mine.", "Mine? farm.", "x", ". ."]
    + ["the word is farm.", "now at glad. ", "\n", "in english."]
)


@given(st.lists(SAYING, max_size=6).map(" ".join), st.sampled_from(["farm", "mine"]))
def test_every_claim_is_of_the_text_and_every_clause_of_a_claim(text, topic) -> None:
    found = claims_of(text, TRUTH, {"topic": topic, "mood": "glad"})
    assert [one["fact"] for one in found["claims"]] == [
        f"{kind}={value}" for kind, value in TRUTH.asserted(text).facts
    ]
    of_claims = {one["fact"]: one["is_true"] for one in found["claims"]}
    assert all(of_claims[c["fact"]] == c["is_true"] for c in found["clauses"])
    assert all(of_claims[name] == (name in (f"topic={topic}", "mood=glad")) for name in of_claims)
    for clause in found["clauses"]:
        words = text[clause["start"] : clause["end"]].lower()
        assert clause["fact"].partition("=")[2] in words
    if "now at" not in text and "the word is" not in text:
        assert {c["fact"] for c in found["clauses"]} == of_claims.keys()


def test_at_a_position_the_facts_are_those_of_its_rows(asgi, passage) -> None:
    (place,) = asgi.request(
        "POST",
        "/v1/evaluations/demo/rows",
        json={"is_same_passage": passage["passage_id"], "predictor": "greedy", "host": "toy-a"},
    ).json()["rows"]
    assert place["position"] == 0
    (found,) = asked(asgi, passage, ["sounds glad. sounds sad."], position=0).json()["data"]
    assert {one["fact"]: one["is_true"] for one in found["claims"]} == {
        fact: fact in place["facts"] for fact in ("mood=glad", "mood=sad")
    }
    error = refused(asked(asgi, passage, ["a"], position=7), 400, "refused")
    assert error["field"] == "position" and "no row" in error["message"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"texts": []}, 400, "texts"),
        ({"texts": [""]}, 400, "texts[0]"),
        ({"texts": ["a", "b" * 8193]}, 400, "texts[1]"),
        ({"texts": ["a"] * 513}, 400, "texts"),
        ({"texts": ["\udcff"]}, 400, "texts[0]"),
        ({"passage_id": "zz"}, 400, "passage_id"),
        ({"texts": "a"}, 422, "texts"),
        ({"texts": [1]}, 422, "texts[0]"),
        ({"passage_id": None}, 422, "passage_id"),
        ({"position": -1}, 422, "position"),
        ({"truth": "a"}, 422, "truth"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_cannot_be_is_named(asgi, passage, change, status, field) -> None:
    content = {"passage_id": passage["passage_id"], "texts": ["a"], **change}
    answer = asgi.request("POST", CLAIMS, json=content)
    assert refused(answer, status, "refused" if status == 400 else "invalid")["field"] == field


def test_a_corpus_without_facts_has_no_truth(tmp_path, passage) -> None:
    spec = replace(WORLD, corpus=TextFiles(path="gone.jsonl", sha256="0" * 64))
    answer = asked(client({"demo": evaluation_of(tmp_path, spec)}), passage, ["a"])
    assert "nothing is known to be true" in refused(answer, 503, "not_available")["message"]


def test_passages_that_are_not_here_are_named(tmp_path, passage) -> None:
    folder = evaluation_of(tmp_path, WORLD)
    (place,) = (tmp_path / "passages").iterdir()
    place.rename(tmp_path / "away")
    answer = asked(client({"demo": folder}), passage, ["a"])
    assert f"{place} is not here" in refused(answer, 503, "not_available")["message"]
    assert evaluation_at(folder).record.inputs["passages"].label == "world"


def test_a_spec_that_nobody_knows_is_named(tmp_path, passage) -> None:
    passages = stored(tmp_path, "passages", "world", {}, spec={"__type__": "Other"})
    folder = stored_evaluation(tmp_path, "demo", inputs={"passages": passages})
    answer = asked(client({"demo": folder}), passage, ["a"])
    assert "cannot be opened here" in refused(answer, 503, "not_available")["message"]


def test_a_damaged_record_of_passages_is_named(tmp_path, passage) -> None:
    folder = evaluation_of(tmp_path, WORLD)
    (place,) = (tmp_path / "passages").iterdir()
    (place / "artifact.json").write_text("{}")
    message = refused(asked(client({"demo": folder}), passage, ["a"]), 503, "not_available")
    assert str(place) in message["message"]


def test_the_answer_is_what_the_description_says(asgi, passage) -> None:
    openapi = asgi.request("GET", "/openapi.json").json()
    operation = openapi["paths"]["/v1/evaluations/{name}/claims"]["post"]
    given = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answer = asked(asgi, passage, ["sounds glad."]).json()
    Draft202012Validator(schema_of(openapi, given)).validate(answer)


def test_the_examples_of_the_documentation_are_answered(tmp_path, passage) -> None:
    page = (Path(__file__).parents[3] / "docs/serving.md").read_text()
    _, _, section = page.partition("## Rows of an evaluation\n")
    section, _, _ = section.partition("\n## ")
    asgi = client({"demo-rl": evaluation_of(tmp_path, WORLD)})
    posts = re.findall(r"\$URL(/v1/\S+) -H [^\n]* -d '(\{.*?\})'", section, re.DOTALL)
    gets = re.findall(r'curl -s "?\$URL(/v1/[^\s"]+)"?(?: *#.*)?\n', section)
    assert len(posts) == 2 and len(gets) == 3
    for path, body in posts:
        content = json.loads(body)
        if "passage_id" in content:
            content["passage_id"] = passage["passage_id"]
        assert asgi.request("POST", path, json=content).status == 200
    for path in gets:
        assert asgi.request("GET", path.replace("19367", "3")).status == 200


def test_a_truth_needs_no_model() -> None:
    program = (
        "import sys; import interlingua.serving.explorer.routes; "
        "import interlingua.sources.source, interlingua.world.corpus; "
        "print([name for name in ('torch', 'ray', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr
