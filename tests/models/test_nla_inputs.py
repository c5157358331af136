"""What people hand to an NLA: an answer that is right, or a sentence that says what is wanted."""

import logging
from dataclasses import replace
from doctest import DocTestFinder, DocTestRunner

import numpy as np
import pytest
import torch

from interlingua.models import nla as module
from interlingua.models.nla import NLA
from interlingua.specs.training import SamplingSpec

pytestmark = pytest.mark.slow

TEXT = "dear friend, the farmer happily carried a basket. there was rain."
HOST = "toy-gpt2-medium"  # 32 wide in world_mini
DRAWN = SamplingSpec(seed=3, temperature=1.0, samples=4, max_new_tokens=8)


@pytest.fixture(scope="module")
def h_D(nla):
    return nla.activation(TEXT, HOST)


@pytest.mark.parametrize("factor", [2.0**-70, 1e-30, 1e-300, 3.0, 1e20, 1e300])
def test_only_the_direction_of_a_vector_counts(factor, nla, h_D, short):
    expected = nla.verbalize(h_D, HOST, short)
    found = nla.verbalize(h_D.astype(np.float64) * factor, HOST, short)
    assert found.raw_text == expected.raw_text
    assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-4)


def test_a_power_of_two_changes_no_digit(nla, h_D):
    drawn = replace(DRAWN, samples=1)
    expected = nla.verbalize(h_D, HOST, drawn)
    assert nla.verbalize(h_D * np.float32(2.0**-90), HOST, drawn) == expected
    assert nla.verbalize(h_D * np.float32(2.0**90), HOST, drawn) == expected


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
    expected = nla.verbalize(h_D, HOST, short)
    assert nla.verbalize(as_given(h_D), HOST, short) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_short_float_is_read_as_what_it_stands_for(dtype, nla, h_D, short):
    given_D = torch.from_numpy(h_D).to(dtype)
    expected = nla.verbalize(given_D.float().numpy(), HOST, short)
    assert nla.verbalize(given_D, HOST, short) == expected


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda h_D: h_D[:1], r"shape \(1,\); an activation of toy-gpt2-medium is .* \(32,\)"),
        (lambda h_D: h_D[:31], r"shape \(31,\); an activation of toy-gpt2-medium is .* \(32,\)"),
        (lambda h_D: h_D[None], r"shape \(1, 32\); .* \(32,\): pass one row at a time"),
        (
            lambda h_D: 3.0,
            r"shape \(\); an activation of toy-gpt2-medium is one vector of .* \(32,\)",
        ),
        (lambda h_D: None, "h_D is a NoneType of object; it must be a tensor, an array or a list"),
        (lambda h_D: "words", "h_D is a str of <U5; it must be a tensor, an array or a list of"),
        (lambda h_D: [[1.0], [2.0, 3.0]], "h_D is a list of unequal parts; it must be a tensor"),
        (lambda h_D: h_D * 1j, "h_D is a ndarray of complex64; it must be"),
        (lambda h_D: torch.from_numpy(h_D) * 1j, "h_D is a Tensor of complex64; it must be"),
        (lambda h_D: 0 * h_D, "h_D is zero in all 32 places; .* a zero vector has no direction"),
        (lambda h_D: h_D * np.nan, "h_D holds 32 values of 32 that are NaN or infinite"),
        (lambda h_D: np.where(np.arange(32) == 3, np.inf, h_D), "h_D holds 1 values of 32 that"),
    ],
)
def test_what_is_no_activation_is_refused(spoilt, said, nla, h_D):
    for ask in (nla.verbalize, nla.sample):
        with pytest.raises(ValueError, match=said):
            ask(spoilt(h_D), HOST, replace(DRAWN, samples=1))


@pytest.mark.parametrize("host", ["llama", None, ["toy-gpt2-medium"]])
def test_an_unknown_host_names_the_known_ones_wherever_it_is_asked(host, nla, h_D):
    for ask in (
        lambda: nla.verbalize(h_D, host),
        lambda: nla.sample(h_D, host, DRAWN),
        lambda: nla.activation(TEXT, host),
        lambda: nla.reconstruct("about rain.", host or 3),
        lambda: nla.round_trip(TEXT, host),
    ):
        with pytest.raises(
            ValueError, match="this NLA knows: toy-qwen3-1p7b, toy-gpt2-medium, toy-lfm-7b"
        ):
            ask()


def test_all_samples_are_handed_out(nla, h_D):
    drawn = nla.sample(h_D, HOST, DRAWN)
    assert len(drawn) == 4 and len({one.raw_text for one in drawn}) > 1
    alone = nla.verbalize(h_D, HOST, replace(DRAWN, samples=1))
    # Sums of fp32 in a batch of four and in one of one row.
    assert alone.log_prob == pytest.approx(drawn[0].log_prob, rel=1e-5)
    assert replace(alone, log_prob=drawn[0].log_prob) == drawn[0]


def test_several_samples_are_not_dropped_in_silence(nla, h_D):
    for ask in (
        lambda: nla.verbalize(h_D, HOST, DRAWN),
        lambda: nla.round_trip(TEXT, HOST, sampling=DRAWN),
    ):
        with pytest.raises(ValueError, match="samples is 4; .* `sample` hands out all of them"):
            ask()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (["a", "b"], "text is a list; an NLA takes one text at a time"),
        (None, "text is None; "),
        (b"a text", "text is a bytes; "),
        ("a \ud800 b", "text holds half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused(text, said, nla):
    for ask in (nla.activation, nla.round_trip, nla.reconstruct):
        with pytest.raises(ValueError, match=said):
            ask(text, HOST)
    with pytest.raises(ValueError, match=said):
        nla.reconstruct(text)


def test_nothing_said_is_not_rebuilt(nla):
    with pytest.raises(ValueError, match="text is None; where the AV did not close its tag there"):
        nla.reconstruct(None)


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
        nla.reconstruct("farmer " * 3000)


def test_a_round_trip_says_what_a_verbalization_says(nla, short):
    trip = nla.round_trip(TEXT, HOST, sampling=short)
    assert trip.verbalization == nla.verbalize(nla.activation(TEXT, HOST), HOST, short)


@pytest.mark.parametrize("name", ["activation", "verbalize", "sample", "reconstruct", "round_trip"])
def test_every_method_shows_how_it_is_used(name, nla):
    finder = DocTestFinder(recurse=False)
    [example] = finder.find(getattr(NLA, name), name, module, extraglobs={"nla": nla})
    assert example.examples
    result = DocTestRunner(verbose=False).run(example)
    assert result.failed == 0
