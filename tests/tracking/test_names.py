"""Names that MLflow takes, of which no two that differ become one."""

import pytest

from interlingua.tracking.names import MAX_NAME, MAX_TEXT, error_line, leaves, name_of, text_of


def test_a_good_name_stays_as_it_is():
    assert name_of("dev/fve centred.own-1:2") == "dev/fve centred.own-1:2"


@pytest.mark.parametrize(
    ("one", "other"), [("a+b", "a_b"), ("a+b", "a*b"), ("x/../y", "x/y"), ("a" * 300, "a" * 301)]
)
def test_names_that_differ_stay_different(one, other):
    assert name_of(one) != name_of(other)
    assert name_of(one) == name_of(one)
    assert max(len(name_of(name)) for name in (one, other)) <= MAX_NAME
    assert ".." not in name_of(one).split("/")


def test_long_texts_that_differ_at_their_end_stay_different():
    one, other = (text_of("x" * 9000 + end) for end in "ab")
    assert one != other and len(one) == MAX_TEXT and one[:400] == "x" * 400


def test_a_type_stands_at_the_path_of_its_value():
    spec = {"__type__": "Big", "hosts": [{"__type__": "Host", "tag": "h"}], "words": ["a", "b"]}
    assert dict(leaves(spec, ".")) == {
        "__type__": "Big",
        "hosts.0": "Host",
        "hosts.0.tag": "h",
        "words": ["a", "b"],
    }


def test_an_error_is_one_line_without_a_password():
    line = error_line(ValueError("no\nanswer of http://user:secret@host:5000"))
    assert line == "ValueError: no answer of http://host:5000"
