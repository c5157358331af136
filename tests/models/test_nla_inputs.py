"""What people hand to an NLA: an answer that is right, or a sentence that says what is wanted."""

import logging
from dataclasses import replace
from doctest import DocTestFinder, DocTestRunner

import numpy as np
import pytest
import torch

from interlingua.models.bundle import nla as module
from interlingua.models.bundle.nla import NLA

pytestmark = pytest.mark.slow

TEXT = "dear friend, the farmer happily carried a basket. there was rain."
HOST = "toy-gpt2-medium"  # 32 wide in world_mini
DRAWN = {"seed": 3, "temperature": 1.0, "n": 4, "max_new_tokens": 8}


@pytest.fixture(scope="module")
def h_D(nla):
    return nla.activation(TEXT, HOST)


@pytest.mark.parametrize("factor", [2.0**-70, 1e-30, 1e-300, 3.0, 1e20, 1e300])
def test_only_the_direction_of_a_vector_counts(factor, nla, h_D, short):
    [[expected]] = nla.verbalize(h_D, HOST, **short)
    [[found]] = nla.verbalize(h_D.astype(np.float64) * factor, HOST, **short)
    assert found.raw_text == expected.raw_text
    assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-4)


def test_a_power_of_two_changes_no_digit(nla, h_D):
    drawn = {**DRAWN, "n": 1}
    expected = nla.verbalize(h_D, HOST, **drawn)
    assert nla.verbalize(h_D * np.float32(2.0**-90), HOST, **drawn) == expected
    assert nla.verbalize(h_D * np.float32(2.0**90), HOST, **drawn) == expected


@pytest.mark.parametrize(
    "as_given",
    [
        torch.from_numpy,
        lambda h_D: torch.from_numpy(h_D).double(),
        lambda h_D: torch.from_numpy(h_D).requires_grad_(),
        lambda h_D: h_D.tolist(),
        lambda h_D: tuple(h_D),
        lambda h_D: h_D.astype(np.float64),
    ],
)
def test_tensors_arrays_and_lists_are_the_same_vector(as_given, nla, h_D, short):
    expected = nla.verbalize(h_D, HOST, **short)
    assert nla.verbalize(as_given(h_D), HOST, **short) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_short_float_is_read_as_what_it_stands_for(dtype, nla, h_D, short):
    given_D = torch.from_numpy(h_D).to(dtype)
    expected = nla.verbalize(given_D.float().numpy(), HOST, **short)
    assert nla.verbalize(given_D, HOST, **short) == expected


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda h_D: h_D[:1], r"shape \(1,\); activations of toy-gpt2-medium are .* \(32,\)"),
        (lambda h_D: h_D[:31], r"shape \(31,\); activations of .* or rows of the shape \(N, 32\)"),
        (lambda h_D: h_D[None, None], r"shape \(1, 1, 32\); activations of toy-gpt2-medium are"),
        (lambda h_D: 3.0, r"shape \(\); activations of toy-gpt2-medium are one vector of the"),
        (lambda h_D: np.stack([h_D, 0 * h_D]), "row 1 of activations is zero in all 32 places"),
        (lambda h_D: np.stack([h_D, h_D, np.nan * h_D]), "row 2 of activations holds 32 values"),
        (
            lambda h_D: "words",
            "activations is a str of <U5; it must be a tensor, an",
        ),
        (
            lambda h_D: [[1.0], [2.0, 3.0]],
            "activations is a list of unequal parts; it must be",
        ),
        (lambda h_D: h_D * 1j, "activations is a ndarray of complex64; it must be"),
        (
            lambda h_D: torch.from_numpy(h_D) * 1j,
            "activations is a Tensor of complex64",
        ),
        (
            lambda h_D: 0 * h_D,
            "activations is zero in all 32 places; .* has no direction",
        ),
        (lambda h_D: h_D * np.nan, "activations holds 32 values of 32 that are NaN or infinite"),
        (
            lambda h_D: np.where(np.arange(32) == 3, np.inf, h_D),
            "activations holds 1 values of 32",
        ),
    ],
)
def test_what_is_no_activation_is_refused(spoilt, said, nla, h_D):
    for ask in (nla.verbalize, nla.round_trips):
        with pytest.raises(ValueError, match=said):
            ask(spoilt(h_D), HOST, max_new_tokens=1)


def test_activations_or_texts_are_given(nla, h_D):
    for given in ({}, {"activations": h_D, "texts": [TEXT]}):
        with pytest.raises(ValueError, match="give activations or texts, one of the two"):
            nla.verbalize(**given, host=HOST)


def test_no_activations_have_no_explanations(nla):
    assert nla.verbalize(np.zeros((0, 32)), HOST) == []
    assert nla.round_trips(np.zeros((0, 32)), HOST) == []
    assert nla.reconstruct([], HOST).shape == (0, 32)
    assert nla.read([], HOST).h_ND.shape == (0, 32)


@pytest.mark.parametrize("host", ["llama", None, ["toy-gpt2-medium"]])
def test_an_unknown_host_names_the_known_ones_wherever_it_is_asked(host, nla, h_D):
    for ask in (
        lambda: nla.verbalize(h_D, host),
        lambda: nla.read([TEXT], host),
        lambda: nla.activation(TEXT, host),
        lambda: nla.reconstruct(["about rain."], host or 3),
        lambda: nla.round_trip(TEXT, host),
    ):
        with pytest.raises(
            ValueError, match="this NLA knows: toy-qwen3-1p7b, toy-gpt2-medium, toy-lfm-7b"
        ):
            ask()


def test_all_samples_are_handed_out(nla, h_D):
    [drawn] = nla.verbalize(h_D, HOST, **DRAWN)
    assert len(drawn) == 4 and len({one.raw_text for one in drawn}) > 1
    [[alone]] = nla.verbalize(h_D, HOST, **{**DRAWN, "n": 1})
    # Sums of fp32 in a batch of four and in one of one row.
    assert alone.log_prob == pytest.approx(drawn[0].log_prob, rel=1e-5)
    assert replace(alone, log_prob=drawn[0].log_prob) == drawn[0]


def test_many_at_once_are_what_they_are_one_by_one(nla):
    texts = [TEXT[end:] for end in (0, 6, 13, 20, 31)]
    h_ND = nla.read(texts, HOST).h_ND
    together = nla.verbalize(h_ND, HOST, **DRAWN)
    for text, h_D, row in zip(texts, h_ND, together, strict=True):
        np.testing.assert_allclose(nla.activation(text, HOST), h_D, rtol=1e-5, atol=1e-6)
        [alone] = nla.verbalize(h_D, HOST, **DRAWN)
        assert [one.raw_text for one in alone] == [one.raw_text for one in row]
    by_text = nla.verbalize(texts=texts, host=HOST, **DRAWN)
    assert [[one.raw_text for one in row] for row in by_text] == [
        [one.raw_text for one in row] for row in together
    ]


def test_positions_are_those_of_each_text(nla):
    texts, positions = [TEXT, TEXT[6:]], [[3, -1], [0]]
    at = nla.read(texts, HOST, positions=positions)
    num_tokens = nla.readers.reader(HOST).num_tokens(TEXT)
    assert (at.texts, at.positions) == ([0, 0, 1], [3, num_tokens - 1, 0])
    for h_D, text, position in zip(at.h_ND, [TEXT, TEXT, TEXT[6:]], [3, -1, 0], strict=True):
        np.testing.assert_allclose(nla.activation(text, HOST, position), h_D, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="positions are of 1 texts; there are 2"):
        nla.read(texts, HOST, positions=[[0]])
    with pytest.raises(ValueError, match="position is 999; toy-gpt2-medium reads this text as"):
        nla.read(texts, HOST, positions=[[0], [999]])


def test_banned_words_and_a_prefix(nla, h_D):
    [[free]] = nla.verbalize(h_D, HOST, max_new_tokens=12)
    tokenizer = nla.av._tokenizer
    ids = tokenizer.encode(free.raw_text, add_special_tokens=False)
    [[other]] = nla.verbalize(h_D, HOST, banned=ids[:1], max_new_tokens=12)
    assert other.raw_text != free.raw_text
    [[led]] = nla.verbalize(h_D, HOST, prefix="<explanation> a farm", max_new_tokens=4)
    assert led.raw_text.startswith("<explanation> a farm")
    with pytest.raises(ValueError, match="banned holds -1; ids are 0 to"):
        nla.verbalize(h_D, HOST, banned=[-1])
    with pytest.raises(ValueError, match="one of them must be left"):
        nla.verbalize(h_D, HOST, banned=range(nla.av._num_ids))
    with pytest.raises(ValueError, match="prefix holds </explanation>"):
        nla.verbalize(h_D, HOST, prefix="</explanation>")


def test_tokens_are_handed_out_as_they_are_drawn(nla, h_D):
    seen = {}
    drawn = nla.verbalize(
        np.stack([h_D, -h_D]), HOST, **{**DRAWN, "n": 2},
        on_token=lambda row, sample, text: seen.setdefault((row, sample), []).append(text),
    )  # fmt: skip
    assert sorted(seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (row, sample), texts in seen.items():
        assert texts[-1] == drawn[row][sample].raw_text
        assert [*map(len, texts)] == sorted(map(len, texts))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n is 0; it must be at least 1"),
        ({"n": 2}, "n is 2 at temperature 0; greedy text is one"),
        ({"temperature": -1.0}, "temperature is -1.0; it must not be negative"),
        ({"temperature": float("nan")}, "temperature is nan; "),
        ({"max_new_tokens": 0}, "max_new_tokens is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must not be negative"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, said, nla, h_D):
    with pytest.raises(ValueError, match=said):
        nla.verbalize(h_D, HOST, **options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (["a", "b"], "text is a list; a text is a str"),
        (None, "text is None; "),
        (b"a text", "text is a bytes; "),
        ("a \ud800 b", "text holds half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused(text, said, nla):
    for ask in (nla.activation, nla.round_trip):
        with pytest.raises(ValueError, match=said):
            ask(text, HOST)
    with pytest.raises(ValueError, match=said):
        nla.read([text], HOST)
    if text is not None:
        with pytest.raises(ValueError, match=said):
            nla.reconstruct([text])


def test_one_text_is_a_list_of_one(nla):
    for ask in (nla.read, nla.reconstruct):
        with pytest.raises(ValueError, match="texts is a str; give a list of texts"):
            ask("a text", HOST)


def test_for_no_explanation_there_is_no_vector(nla):
    rows = nla.reconstruct(["about rain.", None, "about rain."], HOST)
    assert np.isnan(rows[1]).all() and np.array_equal(rows[0], rows[2])


@pytest.mark.parametrize("position", [1.5, "3", np.ones(2)])
def test_a_position_is_a_whole_number(position, nla):
    with pytest.raises(ValueError, match=r"position is .*; it must be a whole number"):
        nla.activation(TEXT, HOST, position)
    assert np.array_equal(nla.activation(TEXT, HOST, np.int64(3)), nla.activation(TEXT, HOST, 3))


def test_a_text_that_is_cut_is_told(nla, caplog):
    long = "farmer " * 20_000
    with caplog.at_level(logging.WARNING):
        cut_D = nla.activation(long, HOST)
    [record] = caplog.records
    most = nla.manifest.hosts[HOST].max_tokens
    assert f"{HOST} reads the first {most} of this text's " in record.getMessage()
    caplog.clear()
    assert np.array_equal(nla.activation(long, HOST), cut_D)
    with caplog.at_level(logging.WARNING):
        nla.activation(TEXT, HOST)
        nla.activation(long, HOST, 3)  # what comes later does not change it
    assert len(caplog.records) == 1


@pytest.mark.parametrize("position", [-1, 5000])
def test_a_token_that_is_cut_off_is_refused(position, nla):
    with pytest.raises(ValueError, match=f"position is {position}; {HOST} reads the first "):
        nla.activation("farmer " * 20_000, HOST, position)


def test_an_explanation_that_the_ar_cannot_read_is_refused(nla):
    with pytest.raises(ValueError, match=r"is \d+ tokens long in its prompt; .* at most 512"):
        nla.reconstruct(["farmer " * 3000])


def test_a_round_trip_says_what_a_verbalization_says(nla, short):
    trip = nla.round_trip(TEXT, HOST, **short)
    assert [[trip.verbalization]] == nla.verbalize(nla.activation(TEXT, HOST), HOST, **short)


def test_what_was_read_is_explained_with_where_it_was_read(nla, short):
    read = nla.read([TEXT], HOST, positions=[[3, -1]])
    found = nla.verbalize(read, **short)
    assert found == nla.verbalize(read.h_ND, HOST, **short)
    tokens = [place.text[slice(*place.span)] for place in found.places]
    assert tokens[1] == "." and all(tokens)
    [trip, _] = nla.round_trips(read, **short)
    assert trip.place == read.places[0]
    assert nla.round_trip(TEXT, HOST, 3, **short).place == read.places[0]
    n_D, mean_D = trip.activation_D, nla.maps.mean_D(HOST)
    expected = n_D @ mean_D / np.linalg.norm(n_D) / np.linalg.norm(mean_D)
    assert trip.mean_cosine == pytest.approx(expected)
    assert nla._repr_html_().count("<tr>") == len(nla.hosts) + 1


@pytest.mark.parametrize(
    "name",
    [
        "activation",
        "read",
        "verbalize",
        "verbalize_zero",
        "reconstruct",
        "nll",
        "round_trips",
        "round_trip",
    ],
)
def test_every_method_shows_how_it_is_used(name, nla):
    finder = DocTestFinder(recurse=False)
    [example] = finder.find(getattr(NLA, name), name, module, extraglobs={"nla": nla})
    assert example.examples
    result = DocTestRunner(verbose=False).run(example)
    assert result.failed == 0
