"""Systems that know less, beside an NLA and on the same activations."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from tests.serving.asgi import Answer
from tests.serving.fake import HOST, MEAN_D, OTHERS_KD, WIDTH, FakeBackend, card, host_card
from tests.serving.shared import client

from interlingua.core.geometry import cosine, rescale, unit
from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Card, Limits, Piece, Refused
from interlingua.serving.http.wire import encoded
from interlingua.serving.own.answers import ControlsAnswer

ROW = [0, 3.0, 0.5, 0]
NAMES = [
    "constant", "zero_vector", "mean_vector", "shuffled", "nearest_explanation", "nearest_vector",
]  # fmt: skip
PASSAGE = "word " * 40 + "end at 2"


@dataclass
class Tells(FakeBackend):
    """Says of a vector where it is largest, and of zeros 3; counts what its models are asked."""

    zeros: list[tuple[int, Sampling]] = field(default_factory=list)
    rebuilt: list[list[str]] = field(default_factory=list)

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
        self._check(host)
        self.asked.append((host, h_ND, sampling))
        for row, h_D in enumerate(h_ND):
            await asyncio.sleep(0)
            yield self._ended(row, int(np.argmax(h_D)))

    async def verbalize_zero(self, host, count, sampling, *, wants_partial=True):
        self.zeros.append((count, sampling))
        for row in range(count):
            yield self._ended(row, 3)

    async def reconstruct(self, texts, host):
        self.rebuilt.append(list(texts))
        return await super().reconstruct(texts, host)

    def _ended(self, row: int, place: int) -> Piece:
        return Piece(row=row, sample=0, text="", done=Verbalization(f"at {place}", "raw", -1.0))


def hosts(changes: dict[str, Any], **of_card: Any) -> Card:
    return replace(card(), hosts={HOST: replace(host_card(HOST), **changes)}, **of_card)


def ask(backend: FakeBackend, **content: Any) -> Answer:
    return client(backend).request("POST", "/v1/controls", json={"host": HOST} | content)


def controls(backend: FakeBackend, **content: Any) -> list[list[dict[str, Any]]]:
    """By row; the answer is of its type, without one key too many."""
    answer = ask(backend, **content)
    assert answer.status == 200, answer.body
    assert TypeAdapter(ControlsAnswer).validate_python(answer.json()) == answer.json()
    return [row["controls"] for row in answer.json()["data"]]


def named(row: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (one,) = [one for one in row if one["name"] == name]
    return one


def test_systems_that_know_less_stand_beside_each_other_in_order() -> None:
    backend = Tells()
    (row,) = controls(backend, activations=[ROW])
    assert [one["name"] for one in row] == NAMES
    h_1D = np.array([ROW])
    # Of the four unit vectors the nearest one is 1; the mean (1/2, 1/2, 0, 0) is largest at 0.
    texts = {"zero_vector": "at 3", "mean_vector": "at 0", "nearest_explanation": "at 1"}
    vectors = {
        "constant": MEAN_D, "zero_vector": np.eye(4)[3], "mean_vector": np.eye(4)[0],
        "nearest_explanation": np.eye(4)[1], "nearest_vector": np.eye(4)[1],
    }  # fmt: skip
    for one in row:
        assert one["description"].endswith(".") and len(one["description"].split()) > 5
        if one["name"] != "shuffled":
            assert one["explanation"] == texts.get(one["name"])
            cos = float(cosine(vectors[one["name"]][None], h_1D)[0])
            assert one["cosine"] == pytest.approx(cos)
            assert one["fve_centred_train"] == pytest.approx(1 - 2 * (1 - cos) / 0.875)
        assert (one["denominator"], one["null_n"]) == (0.875, 4)
    shuffled = named(row, "shuffled")
    place = int(shuffled["explanation"].removeprefix("at "))
    assert shuffled["cosine"] == pytest.approx(float(cosine(np.eye(4)[[place]], h_1D)[0]))


def test_a_row_says_where_it_is_from() -> None:
    answer = ask(Tells(), texts=["a bb", "c dd ee"], positions=[[1], [2, 0]]).json()
    assert (answer["model"], answer["host"]) == ("toy", HOST)
    origins = [
        [row[key] for key in ("index", "text_index", "position", "token")] for row in answer["data"]
    ]
    assert origins == [[0, 0, 1, "bb"], [1, 1, 2, "ee"], [2, 1, 0, "c"]]


def test_models_are_asked_once_and_of_nothing_twice() -> None:
    backend = Tells()
    rows = controls(backend, activations=[ROW] * 3 + [[0, 0, 0.1, 5.0]], seed=3, max_new_tokens=9)
    sampling = Sampling(seed=3, max_new_tokens=9)
    assert backend.zeros == [(1, sampling)]
    ((host, shown_ND, used),) = backend.asked
    assert (host, used) == (HOST, sampling)
    assert len(np.unique(shown_ND, axis=0)) == len(shown_ND) <= 1 + 4
    (texts,) = backend.rebuilt
    assert len(texts) == len(set(texts))
    assert rows[0] == rows[1] == rows[2] != rows[3]


def test_what_was_said_of_zeros_and_of_the_mean_is_the_same_for_every_row() -> None:
    for row in controls(Tells(), activations=[ROW, [1.0, 0, 0, 0]]):
        assert named(row, "zero_vector")["explanation"] == "at 3"
        assert named(row, "mean_vector")["explanation"] == "at 0"


def shuffled_of(row: Any, backend: FakeBackend | None = None, **content: Any) -> list[str]:
    found = controls(backend or Tells(), activations=row, **content)
    return [named(one, "shuffled")["explanation"] for one in found]


def test_another_passage_is_drawn_by_the_seed_and_the_vector_alone() -> None:
    rng = np.random.default_rng(0)
    h_ND = rng.normal(size=(12, WIDTH)).astype(np.float32)
    of_all = shuffled_of(h_ND.tolist())
    assert of_all == [text for h_D in h_ND for text in shuffled_of([h_D.tolist()])]
    assert of_all == shuffled_of(encoded(8 * h_ND, "npy"))  # only directions count
    seeds = [shuffled_of(h_ND.tolist(), seed=seed) for seed in range(4)]
    assert of_all == seeds[0] and len({tuple(one) for one in seeds}) == 4
    assert set(of_all) == {f"at {place}" for place in range(4)}  # any of them may be drawn


def test_a_row_of_the_bundle_is_never_its_own_control() -> None:
    """Its own activation is among those that the bundle brings: as a user asks of a known text."""
    own_ND = OTHERS_KD + 1e-5
    for seed in range(8):
        for place, row in enumerate(controls(Tells(), activations=own_ND.tolist(), seed=seed)):
            assert named(row, "shuffled")["explanation"] != f"at {place}"
            assert named(row, "nearest_explanation")["explanation"] != f"at {place}"
            assert named(row, "nearest_vector")["cosine"] < 0.1


def test_the_nearest_is_so_about_the_mean() -> None:
    """What all have in common weighs nothing: by plain cosine the second would be nearer."""
    others_KD, h_1D = (
        rescale(np.array([[10.0, 1, 0, 0], [10, 3, 1.5, 0]])),
        np.array([[10.0, 3, 0, 0]]),
    )
    first, second = cosine(others_KD, np.repeat(h_1D, 2, axis=0))
    assert first < second
    backend = Tells(card=hosts({"others_KD": others_KD, "mean_D": np.array([1.98, 0, 0, 0])}))
    (row,) = controls(backend, activations=h_1D.tolist())
    assert named(row, "nearest_vector")["cosine"] == pytest.approx(first)


@pytest.mark.parametrize("others_KD", [None, np.zeros((0, WIDTH)), np.array([ROW])])
def test_without_other_passages_there_is_none_to_compare_with(others_KD) -> None:
    backend = Tells(card=hosts({"others_KD": others_KD}))
    (row,) = controls(backend, activations=[ROW], passage=PASSAGE)
    assert [one["name"] for one in row] == [*NAMES[:3], "passage_text"]


def test_where_the_mean_is_taken_off_the_av_is_not_shown_it() -> None:
    backend = Tells(card=hosts({}, is_centred=True))
    (row,) = controls(backend, activations=[ROW])
    assert [one["name"] for one in row] == [name for name in NAMES if name != "mean_vector"]
    assert not any(np.allclose(h_D, MEAN_D) for h_D in backend.asked[0][1])


def test_a_text_that_is_not_closed_explains_nothing() -> None:
    class Silent(Tells):
        def _ended(self, row: int, place: int) -> Piece:
            return Piece(row=row, sample=0, text="", done=Verbalization(None, "raw", -1.0))

    backend = Silent()
    (row,) = controls(backend, activations=[ROW])
    assert [one["name"] for one in row] == NAMES and backend.rebuilt == []
    for name in ("zero_vector", "mean_vector", "shuffled", "nearest_explanation"):
        one = named(row, name)
        assert (one["explanation"], one["cosine"], one["nmse"]) == (None, 0, 2)
    assert named(row, "nearest_vector")["cosine"] > 0.9


def words_of(backend: FakeBackend, **content: Any) -> list[str | None]:
    return [
        next((one["explanation"] for one in row if one["name"] == "passage_text"), None)
        for row in controls(backend, **content)
    ]


def test_the_text_itself_ends_with_the_token() -> None:
    text = "a bb\n at 2, c"
    assert words_of(Tells(), text=text, positions=[-1, 1, 0]) == [text, "a bb", "a"]
    assert words_of(Tells(), text=text) == [text]
    assert words_of(Tells(), texts=["a b", "c d"], positions=[[0], [1]]) == ["a", "c d"]
    messages = [{"role": "user", "content": "hi there"}]
    assert words_of(Tells(), messages=messages, positions=[1]) == ["user hi"]
    (row,) = controls(Tells(), text=text, positions=[3])
    assert named(row, "passage_text")["cosine"] == pytest.approx(1 / 12**0.5)  # (3, 1, 1, 1)


def test_of_a_long_text_its_last_words_are_taken() -> None:
    (found,) = words_of(Tells(), activations=[ROW], passage=PASSAGE + " \n")
    assert found == "word " * 29 + "end at 2"
    (han,) = words_of(Tells(), activations=[ROW], passage="\u6f22\u5b57" * 40)
    assert han == "\u6f22\u5b57" * 16
    # Of the whole of a text, as far as it is read: the fake host reads 16 of its tokens.
    numbers = [f"w{number}" for number in range(40)]
    assert words_of(Tells(), text=" ".join(numbers)) == [" ".join(numbers[:16])]


def test_as_many_words_are_taken_as_fit() -> None:
    few = Tells(card=card(limits=Limits(max_description_chars=12)))
    for passage, expected in (
        ("aaaa bbbb cc dddd", "bbbb cc dddd"),
        ("aaaa bbbb  cc dddd  ", "cc dddd"),
        ("aaaaaaaaaaaa", "aaaaaaaaaaaa"),
        ("b aaaaaaaaaaaa", "aaaaaaaaaaaa"),
        ("aaaaaaaaaaaaa", None),
        ("aaaaaaaaaaaaa bb", "bb"),
        ("aaaaaaaaaaaaa bb          ", "bb"),
        (" \n ", None),
    ):
        assert words_of(few, activations=[ROW], passage=passage) == [expected], passage


def test_without_a_text_there_is_none_to_read() -> None:
    assert words_of(Tells(), activations=[ROW]) == [None]


def test_words_that_the_ar_refuses_are_left_out_and_nothing_else() -> None:
    class Short(Tells):
        async def reconstruct(self, texts, host):
            if any("long" in text for text in texts):
                raise Refused("texts", "longer than the AR reads")
            return await super().reconstruct(texts, host)

    text = "a bb long"
    rows = controls(Short(), text=text, positions=[1, 2])
    assert [one["name"] for one in rows[0]] == [*NAMES, "passage_text"]
    assert [one["name"] for one in rows[1]] == NAMES
    expected = controls(Tells(), text=text, positions=[1, 2])
    assert rows[0] == expected[0] and rows[1] == expected[1][:-1]


def test_an_explanation_that_the_ar_refuses_is_an_error() -> None:
    class Short(Tells):
        async def reconstruct(self, texts, host):
            raise Refused("texts", "longer than the AR reads")

    for more in ({}, {"passage": "a b"}):
        answer = ask(Short(), activations=[ROW], **more)
        assert (answer.status, answer.json()["error"]["field"]) == (400, "texts")


def test_no_more_texts_are_rebuilt_at_once_than_a_request_may() -> None:
    backend = Tells(card=card(limits=Limits(max_rows=2)))
    words = controls(backend, text="a at1 at2 at3", positions=[1, 3])
    assert len(words) == 2
    assert max(map(len, backend.rebuilt)) == 2 and len(backend.rebuilt) > 1


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"activations": [ROW]}, "activations", "4 texts; the queue holds 3"),
    ({"text": "a b", "positions": "all"}, "positions", "the queue holds 3"),
    ({"texts": ["a"]}, "texts", "the queue holds 3"),
    ({"activations": [ROW] * 7}, "activations", "at most 6"),
    ({"activations": [[0, 0, 0, 0]]}, "activations[0]", "zero"),
    ({"activations": [ROW], "max_new_tokens": 51}, "max_new_tokens", "at most 50"),
    ({"activations": [ROW], "passage": ""}, "passage", "empty"),
    ({"activations": [ROW], "passage": "a" * 41}, "passage", "at most 40"),
    ({"activations": [ROW], "text": "a"}, "text", "both"),
    ({"text": "a", "passage": "a"}, "passage", "both"),
    ({"messages": [{"role": "user", "content": "a"}], "passage": "a"}, "passage", "both"),
    ({"passage": "a"}, "text", "none of them"),
    ({"text": "a", "positions": [1]}, "positions", "1 of 1"),
    ({"text": "a", "host": "other"}, "host", "knows"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "where", "words"), REFUSED, ids=lambda value: ascii(value)[:40]
)
def test_what_cannot_be_is_refused_with_its_field(content, where, words) -> None:
    limits = Limits(
        max_rows=6, max_positions=6, max_new_tokens=50, max_queued_rows=3, max_input_chars=40
    )
    backend = Tells(card=card(limits=limits))
    answer = ask(backend, **content)
    assert answer.status == 400, answer.body
    assert answer.json()["error"]["field"] == where
    assert words in answer.json()["error"]["message"]
    assert not backend.asked and not backend.zeros


@pytest.mark.parametrize("name", ["n", "temperature", "banned", "prefix", "keys", "zero_vectors"])
def test_texts_are_greedy_and_not_asked_for_otherwise(name) -> None:
    answer = ask(Tells(), activations=[ROW], **{name: 1})
    assert (answer.status, answer.json()["error"]["field"]) == (422, name)


def test_a_client_that_leaves_stops_the_av() -> None:
    class Waits(Tells):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            begun.set()
            try:
                await asyncio.Event().wait()
                yield
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    async def check() -> None:
        backend = Waits()
        asked = {"host": HOST, "activations": [ROW]}
        await client(backend).arequest(
            "POST", "/v1/controls", json=asked, leave_if=lambda _: begun.is_set()
        )
        assert backend.cancelled == 1 and len(asyncio.all_tasks()) == 1

    begun = asyncio.Event()
    asyncio.run(check())


@pytest.mark.slow
def test_the_controls_of_a_bundle_are_what_its_other_routes_answer(backend) -> None:
    host, text = "toy-gpt2-medium", "dear friend, the farmer happily carried a basket."
    asked = {"host": host, "max_new_tokens": 40}

    def post(route: str, **content: Any) -> Any:
        answer = client(backend).request("POST", f"/v1/{route}", json=content)
        assert answer.status == 200, answer.body
        return answer.json()

    read = post("activations", host=host, text=text, positions=[-1])["data"][0]
    (row,) = post("controls", text=text, positions=[-1], **asked)["data"]
    assert row["position"] == len(read["tokens"]) - 1
    found = {one["name"]: one for one in row["controls"]}
    assert list(found) == [
        name for name in [*NAMES, "passage_text"]
        if name != "mean_vector" or not backend.card.is_centred
    ]  # fmt: skip
    assert found["passage_text"]["explanation"] == text
    (zero,) = post("verbalize", zero_vectors=1, **asked)["data"]
    assert found["zero_vector"]["explanation"] == zero["explanations"][0]["explanation"]
    for name, one in found.items():
        if one["explanation"] is None:
            continue
        sent = {"explanations": [one["explanation"]], "activations": read["activations"]}
        (score,) = post("score", host=host, **sent)["data"]
        assert one["nmse"] == pytest.approx(score["nmse"], abs=1e-4), name
        assert one["null_percentile"] == pytest.approx(score["null_percentile"], abs=0.02)
    card, h_1D = backend.card.hosts[host], np.array(read["activations"])
    nearest = np.argmax(unit(rescale(h_1D) - card.mean_D) @ unit(card.others_KD - card.mean_D).T)
    cos = float(cosine(h_1D, card.others_KD[[nearest]])[0])
    assert found["nearest_vector"]["cosine"] == pytest.approx(cos)
