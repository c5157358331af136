"""Vectors come in the same to the last bit, whatever they came as; what is none is named."""

import io
import json
from base64 import b64encode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interlingua.serving.backend import Refused
from interlingua.serving.http.wire import encoded, vectors_of

WIDTH, HOST, MOST = 4, "toy-a", 6
FP32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = arrays(np.float32, st.tuples(st.integers(1, MOST), st.just(WIDTH)), elements=FP32)
HALVES = arrays(np.float16, (2, WIDTH), elements=st.floats(0.5, 100, width=16))


def read(given: object, width: int = WIDTH) -> np.ndarray:
    """Also through JSON, as it comes."""
    plain = json.loads(json.dumps(given))
    return vectors_of(plain, field="activations", width=width, host=HOST, max_rows=MOST)


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> dict[str, str]:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version, allow_pickle=True)
    return {"npy": b64encode(file.getvalue()).decode()}


def base64(array: np.ndarray, shape: object) -> dict[str, object]:
    return {"base64": b64encode(array.astype("<f4")).decode(), "shape": shape}


@given(ROWS)
def test_all_forms_give_the_same_bits_with_the_digits_that_were_sent(h_ND: np.ndarray) -> None:
    h_ND[~h_ND.any(axis=1), 0] = 1
    first_ND, *others = [read(encoded(h_ND, form)) for form in ("list", "base64", "npy")]
    assert first_ND.dtype == np.float32
    assert all(other.tobytes() == first_ND.tobytes() for other in others)
    largest_N1 = np.abs(first_ND).max(axis=1, keepdims=True)
    assert (largest_N1 >= 0.5).all() and (largest_N1 < 1).all()
    exponents_N1 = np.frexp(np.abs(h_ND).max(axis=1, keepdims=True).astype(np.float64))[1]
    exact_ND = np.ldexp(h_ND.astype(np.float64), -exponents_N1)
    assert (first_ND == exact_ND.astype(np.float32)).all()


@given(ROWS)
def test_what_is_answered_is_read_again_to_the_last_bit(x_ND: np.ndarray) -> None:
    assert np.array(encoded(x_ND, "list"), np.float32).tobytes() == x_ND.tobytes()
    as_base64 = encoded(x_ND, "base64")
    assert isinstance(as_base64, dict) and as_base64 == base64(x_ND, list(x_ND.shape))
    assert encoded(x_ND, "npy") == npy(x_ND)
    wide_ND = x_ND.astype(np.float64)
    assert encoded(wide_ND, "npy") == npy(x_ND)


@given(HALVES, st.sampled_from(["<f2", ">f2", "<f4", ">f8"]), st.sampled_from(["C", "F"]))
def test_a_npy_file_may_be_of_any_real_dtype_and_order(h_ND, dtype, order) -> None:
    array = np.array(h_ND, dtype, order=order)
    assert read(npy(array)).tobytes() == read(h_ND.tolist()).tobytes()
    assert read(npy(array, (2, 0))).tobytes() == read(h_ND.tolist()).tobytes()


@pytest.mark.parametrize(
    "one", [[1, 2, 3, 4.5], base64(np.ones(4), [4]), npy(np.arange(1, 5))], ids=repr
)
def test_one_vector_is_a_row(one: object) -> None:
    assert read(one).shape == (1, WIDTH)


@pytest.mark.parametrize("size", [1e300, 5e-324, 1e-30, 2**70, 10**300])
def test_only_the_direction_counts(size: float) -> None:
    unit_D = read([[0, size, 0, -size]])[0]
    assert unit_D[1] == -unit_D[3] and unit_D[0] == unit_D[2] == 0 and 0.5 <= unit_D[1] < 1


NAN, INF = float("nan"), float("inf")
GOOD = [1.0, 2.0, 3.0, 4.0]
BAD: list[tuple[object, str, str]] = [
    ([1.0, 2.0, 3.0], "activations", "3 wide; activations of toy-a are 4 wide"),
    ([GOOD, [1.0] * 5], "activations[1]", "5 wide; activations of toy-a are 4 wide"),
    (base64(np.ones((2, 3)), [2, 3]), "activations", "3 wide"),
    (npy(np.ones((2, 5))), "activations", "5 wide"),
    ([GOOD, [1.0, NAN, INF, 0.0]], "activations[1]", "2 values of 4 that are NaN or infinite"),
    (base64(np.array([GOOD, [INF] * 4]), [2, 4]), "activations[1]", "4 values of 4"),
    (npy(np.array([NAN, 1.0, 1.0, 1.0])), "activations[0]", "toy-a overflowed"),
    ([GOOD, [0, 0.0, -0.0, 0]], "activations[1]", "zero vector"),
    ([GOOD] * (MOST + 1), "activations", "at most 6"),
    (base64(np.ones((7, 4)), [7, 4]), "activations", "at most 6"),
    ([], "activations", "empty"),
    ([[]], "activations[0]", "0 wide"),
    ([GOOD, 1.0], "activations[1]", "not a list"),
    ([1.0, 2.0, 3.0, GOOD], "activations", "numbers alone"),
    ([[GOOD]], "activations[0]", "1 wide"),
    ([[GOOD] * 4], "activations[0]", "numbers alone"),
    (["1", 2, 3, 4], "activations", "numbers"),
    ([True, 2, 3, 4], "activations", "numbers"),
    ([None, 2, 3, 4], "activations", "numbers"),
    ([10**400, 2, 3, 4], "activations", "fp64"),
    ("AAAA", "activations", "is a str"),
    (7, "activations", "is a int"),
    (None, "activations", "is a NoneType"),
    (True, "activations", "is a bool"),
    ({}, "activations", "keys"),
    ({"base64": "AAAA"}, "activations", "keys"),
    ({"npy": "AAAA", "shape": [4]}, "activations", "keys"),
    ({"npy": 7}, "activations", "keys"),
    ({"\ud800": 7}, "activations", r"\\ud800"),
    ({"base64": "A\ud800AA", "shape": [4]}, "activations.base64", "no base64"),
    ({"base64": "!!!!", "shape": [4]}, "activations.base64", "no base64"),
    ({"base64": "AAA", "shape": [4]}, "activations.base64", "no base64"),
    (base64(np.ones(3), [1, 4]), "activations.base64", "holds 12 bytes"),
    (base64(np.ones(4), [10**30, 10**30]), "activations.base64", "holds 16 bytes"),
    *((base64(np.ones(4), shape), "activations.shape", "whole numbers") for shape in (
        [], [1, 1, 4], [True, 4], [4.0], [-1, -4], [0, 4], "4", 4, None,
    )),
    ({"npy": "????"}, "activations.npy", "no base64"),
    ({"npy": "AAAA"}, "activations.npy", "does not begin"),
    (npy(np.ones((1, 1, 4))), "activations.npy", "shape"),
    (npy(np.ones(())), "activations.npy", "shape"),
    (npy(np.ones((0, 4))), "activations.npy", "shape"),
    (npy(np.array([True] * 4)), "activations.npy", "bool"),
    (npy(np.array([1j] * 4)), "activations.npy", "complex"),
    (npy(np.array(["a"] * 4)), "activations.npy", "<U1"),
    (npy(np.array([None] * 4)), "activations.npy", "object"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "field", "words"), BAD, ids=lambda value: ascii(value)[:40])
def test_what_is_no_vector_is_refused_with_its_field(given, field, words) -> None:
    with pytest.raises(Refused, match=words) as caught:
        read(given)
    assert caught.value.field == field


def header(text: str, values: bytes = b"") -> dict[str, str]:
    begin = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    return {"npy": b64encode(begin + values).decode()}


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -4), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 4), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }\n",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 4), }\n",
        "{'descr': '<f4', 'shape': (1, 4), }\n",
        "(" * 5000,
        "1 +",
        "'\\",
        "",
    ],
)
def test_a_npy_header_that_lies_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"activations\.npy"):
        read(header(text, np.ones(4, "<f4").tobytes()))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_read_or_be_refused(content: bytes) -> None:
    plain = np.zeros(4, "<f4")
    for begin in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00"):
        given = {"npy": b64encode(begin + content + plain.tobytes()).decode()}
        try:
            assert read(given).shape[1] == WIDTH
        except Refused as error:
            assert error.field.startswith("activations")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=5)
        | st.dictionaries(st.sampled_from(["base64", "npy", "shape", "x"]), inside, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON)
def test_no_json_does_anything_but_be_read_or_be_refused(given: object) -> None:
    try:
        assert read(given).shape[1] == WIDTH
    except Refused as error:
        assert error.field.startswith("activations")
