"""Overrides are typed by the dataclass, collected before building, and refused by path."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.specs.checks import check_positive
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.specs.text.typed import variant_name


class Rule(StrEnum):
    REPLACE = "replace"
    KARVONEN = "karvonen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRank:
    rank: int
    init: Init
    is_shared: bool = False

    def __post_init__(self) -> None:
        check_positive(self, rank=self.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSpec:
    decay: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    rule: Rule
    scale: float | Literal["sqrt_d", "raw"]
    affine: LowRank | FullSpec | None = None
    after_block: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    steps: int
    warmup: int
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    is_frozen: bool = False

    def __post_init__(self) -> None:
        check_positive(self, steps=self.steps)
        if self.warmup > self.steps:
            raise ValueError(f"Train.warmup is {self.warmup}; it must be at most {self.steps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    tag: str
    lr: float
    blocks: tuple[int, ...] = ()
    revision: int | str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    tag: str
    device: str | None = None
    rows: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    name: str
    train: Train
    injection: Injection
    hosts: tuple[Host, ...] = ()
    stages: tuple[Train, ...] = ()
    specials: tuple[Special, ...] = ()
    note: str | None = None
    built: str = field(default="", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "built", self.name.upper())
        if len({host.tag for host in self.hosts}) < len(self.hosts):
            raise ValueError("Recipe.hosts has the same tag twice")


TRAIN = Train(steps=100, warmup=10, lr=1e-4)
RECIPE = Recipe(
    name="tiny",
    train=TRAIN,
    injection=Injection(rule=Rule.REPLACE, scale=150.0),
    hosts=(Host(tag="gpt2-medium", lr=1e-3), Host(tag="bloom", lr=2e-3)),
    stages=(TRAIN, replace(TRAIN, lr=3e-4)),
)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("name=a=b", "name", "a=b"),
        ("name=none", "name", "none"),
        ("train.steps=200", "train.steps", 200),
        ("train.lr=1", "train.lr", 1.0),
        ("train.lr=1e-3", "train.lr", 1e-3),
        ("train.betas=0.8,1", "train.betas", (0.8, 1.0)),
        ("train.is_frozen=true", "train.is_frozen", True),
        ("injection.rule=karvonen", "injection.rule", Rule.KARVONEN),
        ("injection.scale=sqrt_d", "injection.scale", "sqrt_d"),
        ("injection.scale=3", "injection.scale", 3.0),
        ("injection.after_block=1", "injection.after_block", 1),
        ("injection.after_block=none", "injection.after_block", None),
        ("note=none", "note", None),
        ("note=", "note", ""),
        ("hosts.bloom.lr=5", "hosts.1.lr", 5.0),
        ("hosts.0.lr=5", "hosts.0.lr", 5.0),
        ("hosts.gpt2-medium.blocks=3, 4,5", "hosts.0.blocks", (3, 4, 5)),
        ("hosts.bloom.blocks=", "hosts.1.blocks", ()),
        ("hosts.bloom.revision=12", "hosts.1.revision", 12),
        ("hosts.bloom.revision=v12", "hosts.1.revision", "v12"),
        ("stages.1.lr=0.5", "stages.1.lr", 0.5),
    ],
)
def test_a_value_is_read_by_its_annotation(override: str, path: str, expected: object) -> None:
    found: object = with_overrides(RECIPE, [override])
    for step in path.split("."):
        found = found[int(step)] if isinstance(found, tuple) else getattr(found, step)
    assert found == expected
    assert type(found) is type(expected)


def test_nothing_else_changes_and_the_input_stays() -> None:
    before = repr(RECIPE)
    changed = with_overrides(RECIPE, ["train.steps=200", "hosts.bloom.lr=1", "name=big"])
    assert repr(RECIPE) == before
    hosts = (RECIPE.hosts[0], replace(RECIPE.hosts[1], lr=1.0))
    train = replace(TRAIN, steps=200)
    assert changed == replace(RECIPE, name="big", hosts=hosts, train=train)
    assert changed.built == "BIG"
    assert with_overrides(RECIPE, []) == RECIPE


def test_one_item_may_be_addressed_in_several_ways_at_once() -> None:
    changed = with_overrides(RECIPE, ["hosts.1.lr=5", "hosts.bloom.revision=b"])
    assert changed.hosts[1] == Host(tag="bloom", lr=5.0, revision="b")
    assert with_overrides(RECIPE, ["hosts.bloom.lr=5", "hosts.1.lr=6"]).hosts[1].lr == 6.0


ALONE = replace(RECIPE, hosts=(Host(tag="lr", lr=1e-3, revision="a"),))


def test_the_tag_of_a_single_item_may_be_left_out() -> None:
    alone = replace(RECIPE, hosts=RECIPE.hosts[:1])
    for path in ("hosts", "hosts.gpt2-medium", "hosts.0"):
        changed = with_overrides(alone, [f"{path}.lr=5", "hosts.gpt2-medium.revision=b"])
        assert changed.hosts == (Host(tag="gpt2-medium", lr=5.0, revision="b"),)
    # A tag is a tag, also where a field has its name.
    assert with_overrides(ALONE, ["hosts.lr.lr=5", "hosts.revision=b"]).hosts == (
        Host(tag="lr", lr=5.0, revision="b"),
    )


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        (RECIPE, "hosts.lr=5", r"unknown setting hosts\.lr; did you mean .*hosts\.bloom\.lr"),
        (ALONE, "hosts.rl=5", r"unknown setting hosts\.rl; did you mean .*hosts\.lr\.lr"),
        (ALONE, "hosts.lr=5", r"hosts\.lr=5: hosts\.lr is set by its fields"),
        (replace(RECIPE, hosts=()), "hosts.lr=5", r"unknown setting hosts\.lr"),
    ],
)
def test_of_several_items_and_of_none_there_is_no_such_field(
    recipe: Recipe, override: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        with_overrides(recipe, [override])


def test_an_item_that_needs_nothing_but_its_tag_is_added_by_it() -> None:
    overrides = ["specials.bloom.device=cuda:1", "specials.x.rows=2", "specials.bloom.rows=3"]
    changed = with_overrides(RECIPE, overrides)
    bloom, other = Special(tag="bloom", device="cuda:1", rows=3), Special(tag="x", rows=2)
    assert changed.specials == (bloom, other)
    again = with_overrides(changed, ["specials.1.rows=5", "specials.y.rows=6"])
    assert [item.rows for item in again.specials] == [3, 5, 6]
    assert with_overrides(again, ["specials="]) == RECIPE


def test_an_empty_tuple_is_listed_so_that_it_is_found() -> None:
    listed = {path: value for path, _, value in list_paths(RECIPE)}
    assert listed["specials"] == ()
    assert "specials" not in {
        path for path, *_ in list_paths(with_overrides(RECIPE, ["specials.x.rows=2"]))
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["specials.x=5"], r"specials\.x=5: specials\.x is set by its fields"),
        (["specials.x.row=5"], r"unknown setting specials\.x\.row; .*specials\.x\.rows"),
        (["specials.rows=5"], r"unknown setting specials\.rows"),
    ],
)
def test_an_added_item_is_refused_as_any_other(overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_overrides(RECIPE, overrides)


def test_fields_that_must_agree_change_together_and_the_later_value_wins() -> None:
    with pytest.raises(ValueError, match=r"^train\.steps=5: Train\.warmup is 10"):
        with_overrides(RECIPE, ["train.steps=5"])
    changed = with_overrides(RECIPE, ["train.steps=5", "train.warmup=9", "train.warmup=2"])
    assert (changed.train.steps, changed.train.warmup) == (5, 2)


def test_a_variant_is_named_and_then_filled_in_any_order() -> None:
    fields_first = ["injection.affine.rank=64", "injection.affine.init.std=0.1"]
    for overrides in (
        ["injection.affine=low_rank", *fields_first],
        [*fields_first, "injection.affine=low_rank"],
    ):
        affine = with_overrides(RECIPE, overrides).injection.affine
        assert affine == LowRank(rank=64, init=Init(std=0.1))
    full = with_overrides(RECIPE, ["injection.affine=full"])
    assert full.injection.affine == FullSpec()
    assert with_overrides(full, ["injection.affine=none"]) == RECIPE


def test_naming_the_variant_it_is_keeps_its_fields_and_another_starts_anew() -> None:
    full = with_overrides(RECIPE, ["injection.affine=full", "injection.affine.decay=3"])
    again = with_overrides(full, ["injection.affine=full"])
    assert again.injection.affine == FullSpec(decay=3.0)
    there = ["injection.affine=low_rank", "injection.affine.rank=1", "injection.affine.init.std=1"]
    back = with_overrides(with_overrides(full, there), ["injection.affine=full"])
    assert back.injection.affine == FullSpec()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.stpes=5"], r"unknown setting train\.stpes; did you mean train\.steps"),
        (["warmup=5"], r"unknown setting warmup; did you mean .*train\.warmup"),
        (["hosts.gpt2-medum.lr=5"], r"unknown setting hosts\.gpt2-medum; .*hosts\.gpt2-medium"),
        (["hosts.2.lr=5"], r"unknown setting hosts\.2"),
        (["train.steps.x=5"], r"unknown setting train\.steps\.x"),
        (["built=x"], r"unknown setting built"),
        (
            ["injection.affine=full", "injection.affine.decoy=5"],
            r"did you mean injection\.affine\.decay",
        ),
        (["train.steps=many"], r"train\.steps is 'many'; it must be int"),
        (["train.steps=1.5"], r"train\.steps is '1\.5'; it must be int"),
        (["train.lr=nan"], r"train\.lr is 'nan'; it must be float"),
        (["train.is_frozen=True"], r"train\.is_frozen is 'True'; it must be true \| false"),
        (["train.betas=1"], r"train\.betas is '1'; it must be tuple\[float, float\]"),
        (["injection.rule=add"], r"injection\.rule is 'add'; it must be replace \| karvonen"),
        (["injection.scale=x"], r"injection\.scale is 'x'; it must be float \| sqrt_d \| raw"),
        (["injection.affine=half"], r"affine is 'half'; it must be low_rank \| full \| none"),
        (["train=5"], r"train=5: train is set by its fields"),
        (["hosts=a,b"], r"hosts is 'a,b'; it must be tuple\[host, \.\.\.\]"),
        (["train.steps"], r"'train\.steps' is no override; write path\.to\.field=value"),
        (["injection.affine.rank=5"], r"not chosen; set injection\.affine=low_rank \| full"),
        (["injection.affine=low_rank"], r"affine\.rank, injection\.affine\.init; set them too"),
        (
            ["injection.affine=low_rank", "injection.affine.init.std=1"],
            r"^injection\.affine also needs injection\.affine\.rank; set",
        ),
        (
            ["injection.affine=none", "injection.affine.rank=5"],
            r"injection\.affine\.rank=5: injection\.affine is not chosen",
        ),
        (
            [
                "injection.affine=low_rank",
                "injection.affine.rank=0",
                "injection.affine.init.std=1",
            ],
            r"injection\.affine\.rank=0 .*LowRank\.rank is 0; it must be positive",
        ),
        (["hosts.bloom.tag=gpt2-medium"], r"^hosts\.bloom\.tag=gpt2-medium: .*same tag twice"),
    ],
)
def test_an_error_names_the_path(overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_overrides(RECIPE, overrides)


def test_paths_are_listed_with_type_and_value() -> None:
    full = with_overrides(RECIPE, ["injection.affine=full"])
    listed = {path: (kind, value) for path, kind, value in list_paths(full)}
    assert listed["train.steps"] == ("int", 100)
    assert listed["hosts.bloom.lr"] == ("float", 2e-3)
    assert listed["stages.0.is_frozen"] == ("true | false", False)
    assert listed["injection.affine"] == ("low_rank | full | none", "full")
    assert listed["injection.affine.decay"] == ("float", 0.1)
    assert listed["injection.after_block"] == ("int | none", None)
    assert not {"train", "hosts", "built"} & set(listed)


def test_a_variant_is_named_after_its_class() -> None:
    names = ("LowRank", "FullSpec", "MLPDecoder", "L2Norm")
    found = [variant_name(type(name, (), {})) for name in names]
    assert found == ["low_rank", "full", "mlp_decoder", "l2_norm"]


@given(
    st.integers(1, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(), max_size=4),
)
def test_what_is_listed_can_be_set_again(steps: int, lr: float, blocks: list[int]) -> None:
    overrides = [f"train.steps={steps}", f"train.lr={lr!r}", "train.warmup=0"]
    changed = with_overrides(RECIPE, [*overrides, f"hosts.0.blocks={','.join(map(str, blocks))}"])
    assert changed.train == replace(TRAIN, steps=steps, lr=lr, warmup=0)
    assert changed.hosts[0].blocks == tuple(blocks)
    listed = {path: value for path, _, value in list_paths(changed)}
    again = with_overrides(RECIPE, [f"{path}={_written(value)}" for path, value in listed.items()])
    assert again == changed


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)
