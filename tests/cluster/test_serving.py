"""Bundles behind Ray Serve: what is asked over HTTP is what the models say in this process."""

import json
import signal
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.cluster.load import Load, Memory, counts, explained, summary
from tests.cluster.served import PATIENCE_SECONDS, started

from interlingua.models.bundle.nla import NLA
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HOST, OTHER = "toy-gpt2-medium", "toy-lfm-7b"
TEXTS = [
    "dear friend, the farmer happily carried a basket. there was rain.",
    "report from Velsk. the guard moored the ship.",
    "the baker sang in the market hall before the storm came.",
]
SOAK_SECONDS = 20.0
SHORT = {"max_new_tokens": 16}
DRAWN = {"n": 3, "temperature": 1.0, "seed": 5, "max_new_tokens": 12}


@pytest.fixture(scope="module")
def bundle(mini_nla_root):
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    return find(stage, mini_nla_root).path


@pytest.fixture(scope="module")
def nla(bundle):
    return NLA.load(bundle)


@pytest.fixture(scope="module")
def server(bundle):
    with started(f"mini={bundle}", f"again={bundle}", "--most-open", "1") as server:
        yield server


def raw(drawn):
    return [[one.raw_text for one in row] for row in drawn]


def answered(answer):
    return [[one["raw_text"] for one in row["explanations"]] for row in answer["data"]]


def test_the_explorer_lies_beside_the_api_and_its_address_is_printed_first(server):
    lines = [line for line in server.lines if line.startswith(("explorer: ", "serving "))]
    assert lines[0] == f"explorer: {server.url}/explorer/\n"
    with urllib.request.urlopen(server.url, timeout=PATIENCE_SECONDS) as answer:
        assert json.loads(answer.read())["status"] == "ok"  # a client, which is no browser
    with urllib.request.urlopen(f"{server.url}/explorer/", timeout=PATIENCE_SECONDS) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"<!doctype html>" in answer.read()


def test_rows_of_the_evaluation_of_the_bundles_are_found(server):
    status, listed = server.ask("/v1/evaluations")
    assert status == 200
    [one] = listed["data"]
    assert listed["refused"] == [] and one["bundle"] == "mini" and one["has_facts"]
    status, found = server.ask(
        f"/v1/evaluations/{one['name']}/rows", {"predictor": "teacher", "host": HOST, "limit": 1}
    )
    assert status == 200 and found["total"] == found["summary"]["num_rows"] > 0
    [row] = found["rows"]
    status, marked = server.ask(
        f"/v1/evaluations/{one['name']}/claims",
        {"passage_id": row["passage_id"], "texts": [row["explanation"]]},
    )
    assert status == 200 and marked["data"][0]["claims"]


def test_clients_side_by_side_get_what_the_models_say(nla, server):
    h_ND = nla.read(TEXTS, HOST).h_ND
    asked = [
        (host, nla.read(TEXTS, host).h_ND[n : n + 1], options)
        for host in (HOST, OTHER)
        for n in range(3)
        for options in (SHORT, DRAWN)
    ]

    def ask(host, h_1D, options):
        body = {"host": host, "activations": h_1D.tolist(), **options}
        return server.ask("/v1/verbalize", body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, *zip(*asked, strict=True)))
    for (host, h_1D, options), (status, answer) in zip(asked, answers, strict=True):
        assert status == 200, answer
        assert answered(answer) == raw(nla.verbalize(h_1D, host, **options))
    status, answer = server.ask("/v1/verbalize", {"host": HOST, "texts": TEXTS, **SHORT})
    assert status == 200 and answered(answer) == raw(nla.verbalize(h_ND, HOST, **SHORT))


def test_numbers_are_those_of_this_process(nla, server):
    explanation = "a guard appears. sounds glad."
    h_D = nla.activation(TEXTS[0], HOST)
    status, answer = server.ask(
        "/v1/score", {"host": HOST, "explanations": [explanation], "activations": [h_D.tolist()]}
    )
    assert status == 200, answer
    [score] = answer["data"]
    [rebuilt_D] = nla.reconstruct([explanation], HOST)
    cosine = rebuilt_D @ h_D / np.linalg.norm(rebuilt_D) / np.linalg.norm(h_D)
    assert score["cosine"] == pytest.approx(cosine, abs=1e-5)
    assert score["nmse"] == pytest.approx(2 - 2 * cosine, abs=1e-5)


def test_a_bundle_beside_it_is_opened_when_it_is_asked_for(server, nla):
    status, answer = server.ask(
        "/v1/verbalize", {"model": "again", "host": HOST, "text": TEXTS[0], **SHORT}
    )
    assert status == 200 and answer["model"] == "again"
    assert answered(answer) == raw(nla.verbalize(texts=TEXTS[:1], host=HOST, **SHORT))


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/v1/verbalize", {"host": "llama", "text": "rain"}, 400, "host"),
        ("/v1/verbalize", {"host": HOST, "text": "rain", "positions": [99]}, 400, "positions"),
        ("/v1/verbalize", {"host": HOST, "activations": [[0.0] * 32]}, 400, "activations"),
        ("/v1/verbalize", {"host": HOST, "text": "rain", "banned": [10**6]}, 400, "banned"),
        ("/v1/reconstruct", {"host": HOST, "texts": ["farmer " * 900]}, 400, "texts"),
    ],
)
def test_what_the_models_refuse_names_its_field(server, path, body, status, field):
    found, answer = server.ask(path, body)
    assert (found, answer["error"]["field"].partition("[")[0]) == (status, field), answer


def test_clients_of_all_kinds_at_once_lose_nothing(server, nla):
    """A short one; `tests/full/test_serving_soak.py` goes on for minutes and kills a replica."""
    load = Load(nla, server.port)
    with Memory(server.replicas) as memory:
        outcomes = load.run(SOAK_SECONDS)
    print(summary(outcomes, SOAK_SECONDS), memory.growth(10, 3), sep="\n")
    assert [one for one in outcomes if one.wrong] == []
    assert all(one.status < 500 for one in outcomes)
    assert all(counts(outcomes).values()) and len(outcomes) > 200
    assert {part for part, _ in memory.samples} == {"hosts", "av", "ar", "ingress"}
    assert max(memory.growth(10, 3).values()) < 0.03


def test_a_grid_of_prompts_is_answered_or_turned_away(server):
    grid = [(1, 8, 4, 8), (16, 8, None, 8), (48, 60, None, 4), (16, 60, 2, 32)]
    statuses = Counter(status for cell in grid for status in explained(server.port, *cell))
    print(statuses)
    assert statuses.keys() <= {200, 429} and statuses[200] > 30


def test_bundles_that_take_turns_in_one_place_lose_nothing(server, nla):
    """Each of its replicas has one bundle open at a time."""
    bodies = [
        {"model": ("mini", "again")[n % 2], "host": HOST, "text": TEXTS[n % 3], **SHORT}
        for n in range(36)
    ]
    expected = [raw(nla.verbalize(texts=[text], host=HOST, **SHORT)) for text in TEXTS]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: server.ask("/v1/verbalize", body), bodies))
    for n, (status, answer) in enumerate(answers):
        assert status == 200 and answer["model"] == bodies[n]["model"], answer
        assert answered(answer) == expected[n % 3]


def test_told_to_stop_it_answers_what_it_began(server, nla):
    """The last test of the file: behind it nobody answers."""
    body = {"host": HOST, "texts": TEXTS * 8, "max_new_tokens": 128}
    expected = raw(nla.verbalize(texts=TEXTS * 8, host=HOST))
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(server.ask, "/v1/verbalize", body) for _ in range(6)]
        time.sleep(0.5)
        assert not all(one.done() for one in asked)
        server.process.send_signal(signal.SIGTERM)
        for one in asked:
            status, answer = one.result()
            assert status == 200 and answered(answer) == expected
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert any("requests that were begun are answered" in line for line in server.lines)
    # What was refused above left no stack in the log: it would be anybody's to fill.
    assert not any("position is 99" in line for line in server.lines)
