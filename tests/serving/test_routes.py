"""Every route of this API over a backend whose answers are written down by hand."""

import asyncio
from base64 import b64decode
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from tests.serving.asgi import Answer, Asgi
from tests.serving.fake import HOST, MEAN_D, OTHER, FakeBackend, card
from tests.serving.shared import client

from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Backend, Limits, Message, Piece, Refused
from interlingua.serving.own import answers, model_answers
from interlingua.serving.own.app import Settings, make_app

H_2D = [[0, 3.0, 0, 0], [0, 0, 1.0, 0]]
LIMITS = Limits(
    max_input_chars=40,
    max_positions=3,
    max_new_tokens=50,
    max_rows=5,
    max_samples=4,
    max_description_chars=30,
    max_queued_rows=12,
)


def ask(backend: Backend, route: str, **content: Any) -> Answer:
    return client(backend).request("POST", f"/v1/{route}", json=content)


def answered(backend: Backend, route: str, kind: Any, **content: Any) -> Any:
    """The answer, once it is of its type, without one key too many."""
    answer = ask(backend, route, **content)
    assert answer.status == 200, answer.body
    assert_of(kind, answer.json())
    return answer.json()


def assert_of(kind: Any, value: Any) -> None:
    """Pydantic keeps no key that the type does not have."""
    assert TypeAdapter(kind).validate_python(value) == value


def refused(backend: Backend, route: str, field: str, **content: Any) -> str:
    answer = ask(backend, route, **content)
    assert answer.status == 400, answer.body
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["type"] == "refused"
    return answer.json()["error"]["message"]


def test_models_are_listed_as_openai_lists_them_with_ours_under_one_key() -> None:
    centred = replace(card("second"), is_centred=True)
    both = {"toy": FakeBackend(), "my/second": FakeBackend(card=centred)}
    answer = client(both).request("GET", "/v1/models")
    assert_of(model_answers.ModelsAnswer, answer.json())
    assert answer.json()["object"] == "list"
    first, second = answer.json()["data"]
    ours = first.pop("interlingua")
    assert first == {
        "id": "toy", "object": "model", "created": 1_700_000_000, "owned_by": "interlingua",
    }  # fmt: skip
    assert ours["hosts"][0] == {
        "tag": HOST, "width": 4, "block_index": 1, "num_blocks": 4, "max_tokens": 16,
        "reads": "pooled", "reads_from": 0, "dtype": "float32", "is_here": True,
        "denominator": 0.875, "null_n": 4,
    }  # fmt: skip
    assert (ours["limits"]["max_rows"], ours["is_centred"]) == (512, False)
    assert second["id"] == "my/second"
    assert second["interlingua"]["is_centred"] is True
    one = client(both).request("GET", "/v1/models/my/second")
    assert one.json() == second
    means = client(both).request("GET", "/v1/models/my/second?means=true").json()
    assert_of(model_answers.ModelAnswer, means)
    assert set(means["interlingua"].pop("means")) == {HOST, OTHER} and means == second


def test_bundles_come_and_go() -> None:
    backends: dict[str, Backend] = {}
    asgi = Asgi(make_app(backends, Settings()))
    body = {"host": HOST, "activations": H_2D}
    assert asgi.request("GET", "/v1/models").json() == {"object": "list", "data": []}
    none = asgi.request("POST", "/v1/verbalize", json=body)
    assert (none.status, none.json()["error"]["type"]) == (503, "not_available")
    backends["a"] = FakeBackend(card=card("a"))
    backends["b"] = FakeBackend(card=card("b"))
    assert asgi.request("POST", "/v1/verbalize", json=body).json()["model"] == "a"
    body["model"] = "b"
    assert asgi.request("POST", "/v1/verbalize", json=body).json()["model"] == "b"
    del backends["b"]
    gone = asgi.request("POST", "/v1/verbalize", json=body)
    assert (gone.status, gone.json()["error"]["field"]) == (404, "model")
    assert gone.json()["error"]["message"] == "model is 'b'; here are: a"
    assert asgi.request("GET", "/v1/models/b").status == 404


def test_activations_at_positions() -> None:
    answer = answered(
        FakeBackend(), "activations", answers.ActivationsAnswer,
        host=HOST, text="a bb ccc", positions=[-1, 0],
    )  # fmt: skip
    (one,) = answer.pop("data")
    assert answer == {"model": "toy", "host": HOST, "block_index": 1, "width": 4}
    assert (one["index"], one["text"], one["positions"]) == (0, "a bb ccc", [2, 0])
    assert one["activations"] == [[2, 1, 1, 1], [0, 1, 1, 1]]
    assert one["tokens"][1] == {
        "text": "bb", "id": 2, "position": 1, "start": 2, "end": 4, "fragment_index": 0,
        "fragment_count": 1, "role": None, "section": None, "channel": None, "message_index": None,
    }  # fmt: skip


def test_activations_of_every_token_of_the_whole_and_of_messages() -> None:
    backend = FakeBackend()
    asked = {"host": HOST, "text": "a bb"}
    every = answered(backend, "activations", answers.ActivationsAnswer, **asked, positions="all")
    assert every["data"][0]["positions"] == [0, 1]
    whole = answered(backend, "activations", answers.ActivationsAnswer, **asked)
    assert whole["data"][0]["positions"] == [None]
    assert whole["data"][0]["activations"] == [[2, 1, 1, 1]]
    chat = answered(
        backend, "activations", answers.ActivationsAnswer,
        host=HOST, messages=[{"role": "user", "content": "hi"}], positions="all",
    )  # fmt: skip
    assert chat["data"][0]["text"] == "user hi"
    assert chat["data"][0]["tokens"][0]["role"] == "user"


def test_tokens_of_texts_of_which_nothing_is_read() -> None:
    class Blind(FakeBackend):
        async def read(self, host, prompt, positions, *, whole=False):
            raise AssertionError("nothing is to be read")

    answer = answered(
        Blind(), "tokens", answers.TokensAnswer, host=HOST, texts=["a " * 40, "bb\n\u6f22"]
    )
    first, second = answer.pop("data")
    assert answer == {"model": "toy", "host": HOST, "width": 4, "max_tokens": 16}
    assert (first["index"], len(first["tokens"])) == (0, 40)  # more than are read at once
    assert (second["index"], second["text"]) == (1, "bb\n\u6f22")
    assert [(one["text"], one["start"], one["end"]) for one in second["tokens"]] == [
        ("bb", 0, 2), ("\u6f22", 3, 4),
    ]  # fmt: skip
    one = answered(Blind(), "tokens", answers.TokensAnswer, host=HOST, text="a bb")
    assert [token["id"] for token in one["data"][0]["tokens"]] == [1, 2]


def test_tokens_of_a_chat_are_of_the_text_that_the_template_makes() -> None:
    messages = [{"role": "user", "content": "hi"}]
    answer = answered(FakeBackend(), "tokens", answers.TokensAnswer, host=HOST, messages=messages)
    assert answer["data"][0]["text"] == "user hi"
    assert answer["data"][0]["tokens"][1]["role"] == "user"


def test_a_chat_is_handed_on_as_it_was_asked_for() -> None:
    class Remembers(FakeBackend):
        async def tokenize(self, host, prompt):
            prompts.append(prompt)
            return await super().tokenize(host, prompt)

    prompts: list[Any] = []
    for route in ("activations", "tokens"):
        ask(
            Remembers(), route, host=HOST, enable_thinking=True, add_generation_prompt=False,
            continue_final_message=True,
            messages=[{"role": "user", "content": "hi", "channel": "final"}],
        )  # fmt: skip
    prompt, same = prompts
    assert same == prompt
    assert prompt.messages == (Message(role="user", content="hi", channel="final"),)
    assert (prompt.enable_thinking, prompt.add_generation_prompt) == (True, False)
    assert prompt.continue_final_message and prompt.text is None


def test_several_texts_have_positions_of_their_own() -> None:
    answer = answered(
        FakeBackend(), "activations", answers.ActivationsAnswer,
        host=HOST, texts=["a b", "c d e"], positions=[[1], [0, 2]], vector_form="npy",
    )  # fmt: skip
    assert [one["positions"] for one in answer["data"]] == [[1], [0, 2]]
    assert answer["data"][1]["index"] == 1
    content = b64decode(answer["data"][1]["activations"]["npy"])
    assert np.frombuffer(content[-32:], "<f4").tolist() == [0, 1, 1, 1, 2, 1, 1, 1]


def test_verbalize_vectors() -> None:
    backend = FakeBackend()
    answer = answered(
        backend, "verbalize", answers.VerbalizeAnswer,
        host=OTHER, activations=H_2D, n=2, temperature=0.5, seed=7, max_new_tokens=9,
        banned=[3], prefix="<explanation>", keys=["a", "b"],
    )  # fmt: skip
    assert (answer["model"], answer["host"]) == ("toy", OTHER)
    first, second = answer["data"]
    assert first["explanations"][1] == {
        "sample": 1, "explanation": "place 1 sample 1",
        "raw_text": "<explanation>\nplace 1 sample 1\n</explanation>",
        "log_prob": -1.5, "num_tokens": 7, "share_nearer": 0.25, "is_unlike": False,
    }  # fmt: skip
    nowhere = {"text_index": None, "position": None, "token": None}
    assert {key: second[key] for key in second if key != "explanations"} == {"index": 1} | nowhere
    ((host, h_ND, sampling),) = backend.asked
    assert host == OTHER
    assert h_ND.dtype == np.float32 and h_ND.tolist() == [[0, 0.75, 0, 0], [0, 0, 0.5, 0]]
    assert sampling == Sampling(
        n=2, temperature=0.5, seed=7, max_new_tokens=9, banned=(3,), prefix="<explanation>",
        keys=("a", "b"),
    )  # fmt: skip


def test_partial_pieces_are_asked_for_streams_alone() -> None:
    class Notes(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            wanted.append(wants_partial)
            async for piece in super().verbalize(host, h_ND, sampling):
                yield piece

    wanted: list[bool] = []
    for route, more in (("verbalize", {}), ("verbalize", {"stream": True}), ("roundtrip", {})):
        assert ask(Notes(), route, host=HOST, activations=H_2D, **more).status == 200
    assert wanted == [False, True, False]


def test_what_is_not_asked_is_as_in_process_within_the_limits() -> None:
    for limits, most in ((Limits(), Sampling().max_new_tokens), (LIMITS, 50)):
        backend = FakeBackend(card=card(limits=limits))
        ask(backend, "verbalize", host=HOST, activations=H_2D)
        ((_, _, sampling),) = backend.asked
        assert sampling == Sampling(max_new_tokens=most)


def test_verbalize_texts_says_which_row_is_of_what() -> None:
    backend = FakeBackend()
    answer = answered(
        backend, "verbalize", answers.VerbalizeAnswer,
        host=HOST, texts=["a bb", "c d ee f"], positions=[[1], [-1, 0]],
    )  # fmt: skip
    keys = ("index", "text_index", "position", "token")
    assert [[row[key] for key in keys] for row in answer["data"]] == [
        [0, 0, 1, "bb"], [1, 1, 3, "f"], [2, 1, 0, "c"],
    ]  # fmt: skip
    assert backend.asked[0][1].tolist() == [[1, 1, 1, 1], [3, 1, 1, 1], [0, 1, 1, 1]]
    whole = answered(backend, "verbalize", answers.VerbalizeAnswer, host=HOST, text="a bb")
    assert [whole["data"][0][key] for key in keys] == [0, 0, None, None]


def test_rows_and_samples_may_end_in_any_order() -> None:
    class Backwards(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            pieces = [piece async for piece in super().verbalize(host, h_ND, sampling)]
            for piece in reversed(pieces):
                yield piece

    asked = {"host": HOST, "activations": H_2D, "n": 3, "temperature": 1}
    there = ask(FakeBackend(), "verbalize", **asked).json()
    assert ask(Backwards(), "verbalize", **asked).json() == there


def test_reconstruct_for_a_host_and_shared() -> None:
    asked = {"texts": ["at 2", "at 1"]}
    one = answered(FakeBackend(), "reconstruct", answers.ReconstructAnswer, **asked, host=HOST)
    assert one == {
        "model": "toy", "host": HOST, "width": 4, "vectors": [[0, 0, 2, 0], [0, 2, 0, 0]],
    }  # fmt: skip
    shared = answered(
        FakeBackend(), "reconstruct", answers.ReconstructAnswer, **asked, vector_form="base64"
    )
    assert shared["host"] is None
    assert shared["vectors"]["shape"] == [2, 4]
    values = np.frombuffer(b64decode(shared["vectors"]["base64"]), "<f4")
    assert values.tolist() == [0, 0, 2, 0, 0, 2, 0, 0]


class Silent(FakeBackend):
    """The second sample closes no tag; log_prob is not finite."""

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
        for row in range(len(h_ND)):
            for sample in range(sampling.n):
                text = None if sample else f"at {row + 1}"
                done = Verbalization(text, "raw", float("-inf"))
                yield Piece(row=row, sample=sample, text="raw", done=done)


def test_roundtrip_has_numbers_with_their_denominator_and_null() -> None:
    answer = answered(
        Silent(), "roundtrip", answers.RoundtripAnswer,
        host=HOST, activations=H_2D, n=2, temperature=1, rebuilt=True,
    )  # fmt: skip
    first, second = answer["data"]
    right, none = first["explanations"]
    assert right == {
        "sample": 0, "explanation": "at 1", "raw_text": "raw", "log_prob": None,
        "num_tokens": None, "share_nearer": None, "is_unlike": False,
        "cosine": 1, "nmse": 0, "denominator": 0.875, "fve_centred_train": 1,
        "null_percentile": 0.75, "null_n": 4, "rebuilt": [[0, 2, 0, 0]],
    }  # fmt: skip
    assert none["explanation"] is None and "rebuilt" not in none
    assert (none["cosine"], none["nmse"], none["null_percentile"]) == (0, 2, 0)
    assert second["explanations"][0]["rebuilt"] == [[0, 0, 2, 0]]
    assert second["explanations"][0]["nmse"] == 0


def test_roundtrip_of_a_text_without_vectors() -> None:
    answer = answered(
        FakeBackend(), "roundtrip", answers.RoundtripAnswer,
        host=HOST, text="a b c d", positions=[3],
    )  # fmt: skip
    (row,) = answer["data"]
    (one,) = row["explanations"]
    assert (row["position"], row["token"]) == (3, "d") and "rebuilt" not in one
    # "place 0 sample 0" is rebuilt as the first unit vector; the activation is (3, 1, 1, 1)
    assert one["cosine"] == pytest.approx(3 / 12**0.5)


def test_roundtrip_asks_for_no_more_texts_at_once_than_a_request_may() -> None:
    class Counts(FakeBackend):
        async def reconstruct(self, texts, host):
            counts.append(len(texts))
            return await super().reconstruct(texts, host)

    counts: list[int] = []
    backend = Counts(card=card(limits=LIMITS))
    asked = {"host": HOST, "activations": [*H_2D, [1, 0, 0, 0]], "n": 4, "temperature": 1}
    answered(backend, "roundtrip", answers.RoundtripAnswer, **asked)
    assert counts == [5, 5, 2]


def test_score() -> None:
    answer = answered(
        FakeBackend(), "score", answers.ScoreAnswer,
        host=HOST, explanations=["at 1", "at 3"], activations=H_2D,
    )  # fmt: skip
    right, wrong = answer["data"]
    assert (right["index"], right["nmse"], right["null_percentile"]) == (0, 0, 0.75)
    assert (wrong["index"], wrong["nmse"], wrong["null_percentile"]) == (1, 2, 0)
    assert wrong["denominator"] == 1 - (MEAN_D**2).sum() / 4


def test_the_only_host_need_not_be_named() -> None:
    whole = card()
    one = replace(whole, hosts={HOST: whole.hosts[HOST]})
    answer = answered(FakeBackend(card=one), "verbalize", answers.VerbalizeAnswer, activations=H_2D)
    assert answer["host"] == HOST
    assert f"{HOST}, {OTHER}" in refused(FakeBackend(), "verbalize", "host", activations=H_2D)


VECTORS = {"host": HOST, "activations": H_2D}
TEXT = {"host": HOST, "text": "a b"}
TEXTS = {"host": HOST, "texts": ["a b", "c"]}
SCORE = {**VECTORS, "explanations": ["a", "b"]}


def chat(*messages: dict[str, str]) -> dict[str, Any]:
    return {"host": HOST, "messages": list(messages)}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("verbalize", VECTORS | {"host": "other"}, "host", f"knows: {HOST}, {OTHER}"),
    ("verbalize", VECTORS | {"activations": [1, 2, 3]}, "activations", "4 wide"),
    ("verbalize", VECTORS | {"activations": [[0, 0, 0, 0]]}, "activations[0]", "zero"),
    ("verbalize", VECTORS | {"activations": [float("nan")] * 4}, "activations[0]", "NaN"),
    ("verbalize", VECTORS | {"activations": "text"}, "activations", "a list of numbers"),
    ("verbalize", VECTORS | {"activations": H_2D * 3}, "activations", "at most 5"),
    ("verbalize", VECTORS | {"text": "a"}, "text", "both"),
    ("verbalize", VECTORS | {"positions": [1]}, "positions", "both"),
    ("verbalize", VECTORS | {"zero_vectors": 1}, "activations", "both"),
    ("verbalize", TEXT | {"zero_vectors": 1}, "text", "both"),
    ("verbalize", {"host": HOST, "zero_vectors": 6}, "zero_vectors", "at most 5"),
    ("verbalize", VECTORS | {"keys": ["a"]}, "keys", "1 for 2"),
    ("roundtrip", VECTORS | {"keys": ["a"] * 3}, "keys", "3 for 2"),
    ("verbalize", VECTORS | {"n": 2}, "n", "temperature 0"),
    ("verbalize", VECTORS | {"n": 5, "temperature": 1}, "n", "at most 4"),
    ("verbalize", VECTORS | {"n": 10**400, "temperature": 1}, "n", "at most 4"),
    ("verbalize", VECTORS | {"activations": H_2D * 2, "n": 4, "temperature": 1}, "n", "16 texts"),
    ("verbalize", VECTORS | {"temperature": 1e-320}, "temperature", "give 0"),
    ("verbalize", VECTORS | {"max_new_tokens": 51}, "max_new_tokens", "at most 50"),
    ("verbalize", VECTORS | {"prefix": "a" * 31}, "prefix", "at most 30"),
    ("verbalize", {"host": HOST}, "text", "none of them"),
    ("activations", {"host": HOST}, "text", "none of them"),
    ("activations", TEXT | {"texts": ["a"]}, "text", "text and texts"),
    ("activations", {"text": "a"}, "host", "missing"),
    ("activations", TEXT | {"text": ""}, "text", "empty"),
    ("activations", TEXT | {"text": "a" * 41}, "text", "at most 40"),
    ("activations", TEXTS | {"texts": []}, "texts", "empty"),
    ("activations", TEXTS | {"texts": ["a", ""]}, "texts[1]", "empty"),
    ("activations", TEXTS | {"texts": ["a", "b" * 41]}, "texts[1]", "at most 40"),
    ("activations", TEXTS | {"texts": ["a"] * 6}, "texts", "at most 5"),
    ("activations", chat(), "messages", "empty"),
    ("activations", chat(*[{"role": "u", "content": "b" * 21}] * 2), "messages", "42"),
    ("activations", TEXT | {"positions": [2]}, "positions", "2 of 2"),
    ("activations", TEXT | {"positions": [-3]}, "positions", "-3 of 2"),
    ("activations", TEXT | {"positions": [10**30]}, "positions", "31 bits"),
    ("activations", TEXT | {"positions": []}, "positions", "empty"),
    ("activations", TEXT | {"positions": [0] * 4}, "positions", "at most 3"),
    ("activations", TEXT | {"positions": [True]}, "positions", "whole numbers"),
    ("activations", TEXT | {"positions": [0.0]}, "positions", "whole numbers"),
    ("activations", TEXT | {"positions": ["0"]}, "positions", "whole numbers"),
    ("activations", TEXT | {"positions": "none"}, "positions", "whole numbers"),
    ("activations", TEXT | {"positions": {"0": 1}}, "positions", "whole numbers"),
    ("activations", TEXT | {"text": "a b c d", "positions": "all"}, "positions", "4 tokens"),
    ("activations", TEXTS | {"texts": ["a", " "], "positions": "all"}, "texts[1]", "no token"),
    ("activations", TEXTS | {"positions": [0, 0]}, "positions[0]", "list"),
    ("activations", TEXTS | {"positions": [[0]]}, "positions", "2 texts"),
    ("activations", TEXTS | {"positions": [[0], [1]]}, "positions[1]", "1 of 1"),
    ("activations", TEXTS | {"positions": [[0] * 3] * 2}, "positions", "6 activations"),
    ("activations", TEXTS | {"texts": ["a b c", "d e f"], "positions": "all"}, "positions", "6 "),
    ("tokens", {"host": HOST}, "text", "none of them"),
    ("tokens", {"text": "a"}, "host", "missing"),
    ("tokens", TEXT | {"texts": ["a"]}, "text", "text and texts"),
    ("tokens", TEXT | {"text": ""}, "text", "empty"),
    ("tokens", TEXTS | {"texts": ["a", "b" * 41]}, "texts[1]", "at most 40"),
    ("tokens", TEXTS | {"texts": ["a"] * 6}, "texts", "at most 5"),
    ("tokens", chat(), "messages", "empty"),
    ("reconstruct", {"texts": []}, "texts", "empty"),
    ("reconstruct", {"texts": ["a", ""]}, "texts[1]", "empty"),
    ("reconstruct", {"texts": ["a" * 31]}, "texts[0]", "at most 30"),
    ("reconstruct", {"texts": ["a"], "host": "x"}, "host", "knows"),
    ("score", SCORE | {"explanations": ["a"]}, "explanations", "1 explanations of 2"),
    ("score", SCORE | {"explanations": ["a", "b" * 31]}, "explanations[1]", "at most 30"),
    ("score", SCORE | {"activations": [1, 2]}, "activations", "4 wide"),
    ("roundtrip", VECTORS | {"n": 2}, "n", "temperature 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "content", "field", "words"), REFUSED, ids=lambda value: ascii(value)[:40]
)
def test_what_cannot_be_is_refused_with_its_field(route, content, field, words) -> None:
    backend = FakeBackend(card=card(limits=LIMITS))
    assert words in refused(backend, route, field, **content)
    assert not backend.asked


TEXT_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("verbalize", VECTORS | {"prefix": "a\ud800"}, "prefix"),
    ("verbalize", VECTORS | {"host": "\udfff"}, "host"),
    ("verbalize", VECTORS | {"model": "\udfff"}, "model"),
    ("verbalize", VECTORS | {"\ud800": 1}, "body"),
    ("activations", TEXT | {"text": "\ud83d"}, "text"),
    ("activations", TEXTS | {"texts": ["a", "\ud800 b"]}, "texts[1]"),
    ("activations", chat({"role": "\ud800", "content": ""}), "messages[0].role"),
    ("activations", chat({"role": "a", "content": "\ud800"}), "messages[0].content"),
    ("reconstruct", {"texts": ["\ud800"]}, "texts[0]"),
    ("score", SCORE | {"explanations": ["a", "\ud800"]}, "explanations[1]"),
    ("verbalize", VECTORS | {"activations": "\ud800"}, "activations"),
    ("activations", TEXT | {"positions": "\ud800"}, "positions"),
]  # fmt: skip


@pytest.mark.parametrize(("route", "content", "field"), TEXT_FIELDS, ids=ascii)
def test_half_a_surrogate_pair_is_a_400_that_names_the_field(route, content, field) -> None:
    refused(FakeBackend(), route, field, **content)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    answer = client(FakeBackend()).request(
        "POST",
        "/v1/activations",
        body=rb'{"host": "toy-a", "text": "\ud83d\ude00"}',
        headers={"content-type": "application/json"},
    )
    assert answer.json()["data"][0]["text"] == "\N{GRINNING FACE}"


def test_half_a_surrogate_pair_in_utf8_is_none_either() -> None:
    answer = client(FakeBackend()).request(
        "POST",
        "/v1/activations",
        body=b'{"host": "toy-a", "text": "\xed\xa0\x80"}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status, answer.json()["error"]["field"]) == (400, "text")


def test_what_a_bundle_refuses_of_one_text_names_that_text() -> None:
    class Picky(FakeBackend):
        async def tokenize(self, host, prompt):
            if prompt.text == "bad":
                raise Refused("text", "too bad")
            return await super().tokenize(host, prompt)

        async def reconstruct(self, texts, host):
            raise Refused("texts[1]", "too short")

    for positions in (None, "all", [[0], [0]]):
        asked = {"host": HOST, "texts": ["a", "bad"], "positions": positions}
        assert refused(Picky(), "activations", "texts[1]", **asked) == "too bad"
    assert refused(Picky(), "tokens", "texts[1]", host=HOST, texts=["a", "bad"]) == "too bad"
    assert refused(Picky(), "activations", "text", host=HOST, text="bad") == "too bad"
    assert refused(Picky(), "score", "explanations[1]", **SCORE) == "too short"


def test_texts_of_a_host_that_is_not_here_are_not_available_and_its_vectors_are() -> None:
    for route in ("verbalize", "tokens"):
        answer = ask(FakeBackend(), route, host=OTHER, text="a b")
        assert answer.status == 503
        assert OTHER in answer.json()["error"]["message"]
    assert ask(FakeBackend(), "verbalize", host=OTHER, activations=H_2D).status == 200


def test_a_request_for_tokens_has_no_positions() -> None:
    answer = ask(FakeBackend(), "tokens", **TEXT, positions=[0])
    assert (answer.status, answer.json()["error"]["field"]) == (422, "positions")


def test_one_error_ends_the_other_reads() -> None:
    class Waits(FakeBackend):
        async def read(self, host, prompt, positions, *, whole=False):
            if prompt.text == "bad":
                raise Refused("text", "too bad")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    backend = Waits()
    refused(backend, "activations", "texts[1]", host=HOST, texts=["a", "bad", "c"])
    assert backend.cancelled == 2


@pytest.mark.parametrize("form", ["list", "base64", "npy"])
def test_vectors_that_were_read_come_back_as_they_were(form) -> None:
    """Whatever the form: verbalizing what /v1/activations gave is verbalizing the text."""
    backend = FakeBackend()
    asked = {"host": HOST, "text": "a b c d", "positions": [3, 1]}
    read = ask(backend, "activations", **asked, vector_form=form).json()["data"][0]["activations"]
    by_vector = ask(backend, "verbalize", host=HOST, activations=read).json()
    by_text = ask(backend, "verbalize", **asked).json()
    assert [row["explanations"] for row in by_vector["data"]] == [
        row["explanations"] for row in by_text["data"]
    ]
    (_, vectors_ND, _), (_, read_ND, _) = backend.asked
    assert read_ND.tolist() == [[3, 1, 1, 1], [1, 1, 1, 1]]
    assert vectors_ND.tolist() == [[0.75, 0.25, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]]
