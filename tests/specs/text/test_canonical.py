"""Equal values give one text; anything without a stable form is refused by its path."""

import json
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.specs.text.canonical import canonical_json, jsonable


class Colour(StrEnum):
    RED = "red"


class Level(Enum):
    HIGH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    tag: str
    lr: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    hosts: tuple[Host, ...]
    extra: object = None


@dataclass
class Thawed:
    x: int = 1


def test_the_text_is_exactly_this() -> None:
    recipe = Recipe(hosts=(Host(tag="a", lr=1e-3),), extra={"b": [True, None], "a": "\u320e"})
    assert canonical_json(recipe) == (
        '{"__type__":"Recipe","extra":{"a":"\\u320e","b":[true,null]},'
        '"hosts":[{"__type__":"Host","lr":0.001,"tag":"a"}]}'
    )


def test_enums_sets_and_mappings_take_one_form() -> None:
    value = {"z": Colour.RED, "y": Level.HIGH, "x": frozenset({"q", "b", "k"})}
    assert jsonable(value) == {"z": "red", "y": 3, "x": ["b", "k", "q"]}
    assert canonical_json(MappingProxyType(value)) == canonical_json(dict(reversed(value.items())))
    assert canonical_json(frozenset({10, 9, 2})) == "[2,9,10]"


def test_the_class_name_and_the_number_type_count() -> None:
    assert canonical_json(Host(tag="a", lr=1)) != canonical_json({"tag": "a", "lr": 1})
    assert canonical_json(1) != canonical_json(1.0)
    assert canonical_json(1) != canonical_json(True)


@pytest.mark.parametrize(
    "bad",
    [
        Path("x"),
        {1, 2},
        frozenset({1, "a"}),
        frozenset({(1, 2)}),
        len,
        Host,
        Thawed(),
        b"x",
        1j,
        np.float64(0.5),
        np.int64(1),
        np.zeros(2),
        {1: "a"},
    ],
    ids=lambda bad: type(bad).__name__,  # repr of a set goes by the process's hash seed
)
def test_what_has_no_stable_form_is_refused_by_path(bad: object) -> None:
    recipe = Recipe(hosts=(Host(tag="a", lr=1.0), Host(tag="b", lr={"k": bad})))
    with pytest.raises(TypeError, match=r"^Recipe\.hosts\[1\]\.lr\['k'\] (is|has) "):
        canonical_json(recipe)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_by_path(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^Recipe\.hosts\[0\]\.lr is (nan|-?inf); .* finite"):
        canonical_json(Recipe(hosts=(Host(tag="a", lr=bad),)))


def test_a_mapping_cannot_pose_as_a_dataclass() -> None:
    with pytest.raises(ValueError, match="__type__"):
        canonical_json({"__type__": "Host", "tag": "a", "lr": 1})


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
# Texts are also drawn from constants in the code, and this one is refused (tested above).
keys = st.text().filter(lambda text: text != "__type__")
trees = st.recursive(
    leaves.filter(lambda x: not isinstance(x, float) or abs(x) != float("inf")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(trees)
def test_plain_trees_survive_json(tree: object) -> None:
    assert json.loads(canonical_json(tree)) == tree
    assert canonical_json(json.loads(canonical_json(tree))) == canonical_json(tree)
