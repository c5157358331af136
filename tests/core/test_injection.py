"""Markers are found where a slow search finds them, and vectors written there and nowhere else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interlingua.core.injection import MarkerMismatch, marker_positions, scaled, write_at
from interlingua.specs.injection import AfterBlock, Replace

torch.set_num_threads(1)

MARKER, LEFT, RIGHT, PAD = 7, 8, 9, 0
REPLACE, KARVONEN = Replace(), AfterBlock(index=1)
RULES = pytest.mark.parametrize("rule", [REPLACE, KARVONEN])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])

Row = tuple[list[int], list[bool]]


def found(rows: list[Row], num_slots: int) -> list[list[int]]:
    positions_BS = marker_positions(
        torch.tensor([ids for ids, _ in rows]),
        torch.tensor([is_prompt for _, is_prompt in rows]),
        marker_id=MARKER,
        left_id=LEFT,
        right_id=RIGHT,
        num_slots=num_slots,
    )
    return positions_BS.tolist()


def searched(row: Row, num_slots: int) -> list[int] | None:
    """The same for one row, the slow and obvious way; None where the row is no good."""
    ids, is_prompt = row
    places = [t for t, i in enumerate(ids) if i == MARKER and is_prompt[t]]
    if len(places) != num_slots:
        return None
    first, last = places[0], places[-1]
    if places != list(range(first, first + num_slots)) or first == 0 or last == len(ids) - 1:
        return None
    around = (ids[first - 1], ids[last + 1]) == (LEFT, RIGHT)
    return places if around and is_prompt[first - 1] and is_prompt[last + 1] else None


def padded(rows: list[Row], on_left: bool) -> list[Row]:
    """All rows as long as the longest; the padding is no prompt."""
    longest = max(len(ids) for ids, _ in rows)

    def pad(row: list, fill: object) -> list:
        extra = [fill] * (longest - len(row))
        return extra + row if on_left else row + extra

    return [(pad(ids, PAD), pad(is_prompt, False)) for ids, is_prompt in rows]


@st.composite
def prompted(draw: st.DrawFn, num_slots: int, num_changes: int) -> Row:
    """Prompt and response of a good row, with some of its cells changed."""
    said = st.lists(st.sampled_from([1, 2, LEFT, RIGHT]), max_size=4)
    prompt = [*draw(said), LEFT, *[MARKER] * num_slots, RIGHT, *draw(said)]
    response = draw(st.lists(st.sampled_from([1, LEFT, MARKER, RIGHT]), max_size=5))
    ids = prompt + response
    is_prompt = [True] * len(prompt) + [False] * len(response)
    for _ in range(draw(st.integers(0, num_changes))):
        place = draw(st.integers(0, len(ids) - 1))
        if draw(st.booleans()):
            ids[place] = draw(st.sampled_from([1, LEFT, MARKER, RIGHT]))
        else:
            is_prompt[place] = not is_prompt[place]
    return ids, is_prompt


@given(st.data(), st.integers(1, 4), st.booleans())
def test_good_rows_are_found_whatever_pads_and_answers_them(data, num_slots, on_left):
    rows = data.draw(st.lists(prompted(num_slots, 0), min_size=1, max_size=4))
    rows = padded(rows, on_left)
    expected = [searched(row, num_slots) for row in rows]
    assert None not in expected
    assert found(rows, num_slots) == expected


@given(st.data(), st.integers(1, 4), st.booleans())
def test_changed_rows_are_found_or_refused_as_by_the_slow_search(data, num_slots, on_left):
    rows = data.draw(st.lists(prompted(num_slots, 3), min_size=1, max_size=4))
    rows = padded(rows, on_left)
    expected = [searched(row, num_slots) for row in rows]
    if None in expected:
        with pytest.raises(MarkerMismatch, match=rf"^row {expected.index(None)}: .*in Chinese"):
            found(rows, num_slots)
    else:
        assert found(rows, num_slots) == expected


def good(num_slots: int = 2) -> Row:
    ids = [1, LEFT, *[MARKER] * num_slots, RIGHT, 2, 3, 4, 5]
    return ids, [True] * (num_slots + 4) + [False] * 3


@pytest.mark.parametrize(
    ("ids", "num_prompt", "message"),
    [
        ([1, 2, MARKER, MARKER, RIGHT, 2, 3, 4, 5], 6, r"between the tokens \[2, 9\]"),
        ([1, LEFT, MARKER, MARKER, 2, 2, 3, 4, 5], 6, r"between the tokens \[8, 2\]"),
        ([1, RIGHT, MARKER, MARKER, LEFT, 2, 3, 4, 5], 6, r"\[9, 8\], expected \[8, 9\]"),
        ([1, LEFT, MARKER, RIGHT, 1, 2, 3, 4, 5], 6, "1 markers in the prompt, expected 2"),
        ([1, LEFT, MARKER, MARKER, MARKER, RIGHT, 3, 4, 5], 6, "3 markers in the prompt"),
        ([1, LEFT, RIGHT, 1, 2, 2, LEFT, MARKER, MARKER], 6, "0 markers in the prompt"),
        ([LEFT, MARKER, RIGHT, LEFT, MARKER, RIGHT, 3, 4, 5], 6, r"at \[1, 4\], expected one run"),
        ([1, LEFT, MARKER, 2, RIGHT, MARKER, 3, 4, 5], 6, r"at \[2, 5\], expected one run of 2"),
        ([MARKER, MARKER, RIGHT, 1, 2, 2, 3, 4, 5], 6, r"between the tokens \[None, 9\]"),
        ([1, 1, 1, 1, 1, 1, LEFT, MARKER, MARKER], 9, r"between the tokens \[8, None\]"),
        ([1, 1, 1, 1, LEFT, MARKER, MARKER, RIGHT, 5], 6, "1 markers in the prompt, expected 2"),
        ([1, 1, 1, LEFT, MARKER, MARKER, RIGHT, 4, 5], 6, "expected .* within the prompt"),
    ],
    ids=[
        "left neighbour",
        "right neighbour",
        "neighbours swapped",
        "one too few",
        "one too many",
        "only in the response",
        "two runs",
        "the last marker is further on",
        "at the left edge",
        "at the right edge",
        "reaches into the response",
        "right neighbour is said",
    ],
)
def test_a_row_that_is_not_as_it_must_be_is_named(ids, num_prompt, message):
    bad = ids, [True] * num_prompt + [False] * (len(ids) - num_prompt)
    with pytest.raises(MarkerMismatch, match=rf"^row 2: .*{message}.*in Chinese"):
        found([good(), good(), bad, good(), bad], 2)


def test_two_whole_runs_are_too_many():
    ids = [LEFT, MARKER, MARKER, RIGHT, LEFT, MARKER, MARKER, RIGHT]
    with pytest.raises(MarkerMismatch, match="row 0: 4 markers"):
        found([(ids, [True] * 8)], 2)


def test_more_slots_than_tokens_is_a_mismatch_too():
    with pytest.raises(MarkerMismatch, match="2 markers in the prompt, expected 20"):
        found([good()], 20)


def batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    h_BTD = 3 * torch.randn(2, 6, 16, generator=generator)
    x_BSD = torch.randn(2, 2, 16, generator=generator)
    return h_BTD.to(dtype), x_BSD, torch.tensor([[1, 2], [3, 4]])


def formula(h_D: Tensor, x_D: Tensor) -> Tensor:
    """h + ||h|| u(x)."""
    return h_D + h_D.norm() * x_D / x_D.norm()


@RULES
@DTYPES
def test_only_the_slots_are_written(rule, dtype):
    h_BTD, x_BSD, positions_BS = batch(dtype)
    before_BTD = h_BTD.clone()
    written_BTD = write_at(h_BTD, x_BSD, positions_BS, rule=rule)
    assert torch.equal(h_BTD, before_BTD)
    assert written_BTD.dtype == dtype
    for row, places in enumerate(positions_BS.tolist()):
        for place in range(h_BTD.shape[1]):
            is_same = torch.equal(written_BTD[row, place], h_BTD[row, place])
            assert is_same == (place not in places)


@DTYPES
def test_replace_writes_the_vector_itself(dtype):
    h_BTD, x_BSD, positions_BS = batch(dtype)
    written_BTD = write_at(h_BTD, x_BSD, positions_BS, rule=REPLACE)
    for row, slot in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected_D = x_BSD[row, slot].to(dtype)
        assert torch.equal(written_BTD[row, positions_BS[row, slot]], expected_D)


@DTYPES
def test_karvonen_adds_the_direction_with_the_norm_that_is_there(dtype):
    h_BTD, x_BSD, positions_BS = batch(dtype)
    written_BTD = write_at(h_BTD, x_BSD, positions_BS, rule=KARVONEN)
    for row, slot in ((0, 0), (0, 1), (1, 0), (1, 1)):
        place = positions_BS[row, slot]
        expected_D = formula(h_BTD[row, place].double(), x_BSD[row, slot].double())
        # one rounding at the end and none before it
        tolerance = 1e-6 if dtype is torch.float32 else 2**-8
        torch.testing.assert_close(
            written_BTD[row, place].double(), expected_D, rtol=tolerance, atol=1e-6
        )


@pytest.mark.parametrize("factor", [1e-6, 0.1, 1e3, 1e8])
def test_karvonen_counts_the_direction_alone(factor):
    h_BTD, x_BSD, positions_BS = batch()
    written_BTD = write_at(h_BTD, x_BSD, positions_BS, rule=KARVONEN)
    other_BTD = write_at(h_BTD, factor * x_BSD, positions_BS, rule=KARVONEN)
    torch.testing.assert_close(other_BTD, written_BTD, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(
        write_at(h_BTD, -factor * x_BSD, positions_BS, rule=KARVONEN), written_BTD, atol=0.1
    )


@DTYPES
def test_a_zero_vector_changes_nothing_under_karvonen(dtype):
    h_BTD, x_BSD, positions_BS = batch(dtype)
    written_BTD = write_at(h_BTD, torch.zeros_like(x_BSD), positions_BS, rule=KARVONEN)
    assert torch.equal(written_BTD, h_BTD)


@RULES
@pytest.mark.parametrize("of_x", [0.0, 1.0])
@pytest.mark.parametrize("of_h", [0.0, 1.0])
def test_gradients_are_finite_at_zero(rule, of_x, of_h):
    h_BTD, x_BSD, positions_BS = batch()
    h_BTD, x_BSD = (of_h * h_BTD).requires_grad_(), (of_x * x_BSD).requires_grad_()
    write_at(h_BTD, x_BSD, positions_BS, rule=rule).square().sum().backward()
    assert h_BTD.grad.isfinite().all()
    assert x_BSD.grad.isfinite().all()


def test_gradients_of_karvonen_are_those_of_its_formula():
    h_BTD, x_BSD, positions_BS = batch()
    weight_BTD = torch.randn(h_BTD.shape, generator=torch.Generator().manual_seed(1))
    h_BTD.requires_grad_()
    x_BSD.requires_grad_()
    write_at(h_BTD, x_BSD, positions_BS, rule=KARVONEN).mul(weight_BTD).sum().backward()
    h, x = h_BTD.detach().double().requires_grad_(), x_BSD.detach().double().requires_grad_()
    total = (h * weight_BTD).sum()
    for row, slot in ((0, 0), (0, 1), (1, 0), (1, 1)):
        place = positions_BS[row, slot]
        change_D = formula(h[row, place], x[row, slot]) - h[row, place]
        total = total + (change_D * weight_BTD[row, place]).sum()
    total.backward()
    torch.testing.assert_close(h_BTD.grad.double(), h.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x_BSD.grad.double(), x.grad, rtol=1e-5, atol=1e-5)


def test_what_replace_overwrites_gets_no_gradient():
    h_BTD, x_BSD, positions_BS = batch()
    h_BTD.requires_grad_()
    x_BSD.requires_grad_()
    write_at(h_BTD, x_BSD, positions_BS, rule=REPLACE).sum().backward()
    assert torch.equal(x_BSD.grad, torch.ones_like(x_BSD))
    expected_BTD = torch.ones_like(h_BTD)
    expected_BTD[0, 1:3] = expected_BTD[1, 3:5] = 0
    assert torch.equal(h_BTD.grad, expected_BTD)


@RULES
@pytest.mark.parametrize(
    ("num_rows", "num_slots", "num_positions"),
    [(1, 2, 2), (2, 1, 2), (2, 2, 1)],
    ids=["a row without a vector", "a slot without a vector", "two vectors at one position"],
)
def test_vectors_that_are_not_one_a_slot_are_refused(rule, num_rows, num_slots, num_positions):
    """A scatter takes them without a word, and what got no vector would be explained too."""
    h_BTD, x_BSD, positions_BS = batch()
    x_BSD, positions_BS = x_BSD[:num_rows, :num_slots], positions_BS[:num_rows, :num_positions]
    with pytest.raises((ValueError, RuntimeError)):
        write_at(h_BTD, x_BSD, positions_BS, rule=rule)


def test_a_rule_that_nobody_wrote_is_not_another_one():
    """The symptom would be a model that is trained by one rule under the name of another."""
    with pytest.raises(AssertionError, match="another rule"):
        write_at(*batch(), rule="another rule")


def test_a_block_before_the_first_is_refused():
    with pytest.raises(ValueError, match=r"AfterBlock\.index is -1; it must be zero or more"):
        AfterBlock(index=-1)


@DTYPES
@pytest.mark.parametrize("size", [1e-5, 1.0, 1e15])
def test_scaled_keeps_the_direction_and_sets_the_norm(dtype, size):
    v_BD = (size * torch.randn(3, 16, generator=torch.Generator().manual_seed(0))).to(dtype)
    scaled_BD = scaled(v_BD, 4.0)
    assert scaled_BD.dtype == torch.float32
    expected_BD = 4 * v_BD.double() / v_BD.double().norm(dim=1, keepdim=True)
    torch.testing.assert_close(scaled_BD.double(), expected_BD, rtol=1e-5, atol=1e-6)


def test_scaled_is_zero_with_finite_gradients_at_zero():
    v_BD = torch.zeros(2, 16, requires_grad=True)
    scaled_BD = scaled(v_BD, 4.0)
    assert torch.equal(scaled_BD, torch.zeros(2, 16))
    scaled_BD.sum().backward()
    assert v_BD.grad.isfinite().all()
