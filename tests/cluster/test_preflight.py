"""Before anything starts: what roles take beside what nodes have; no Ray is needed to know."""

from dataclasses import replace

import pytest

from interlingua.cluster.cards import Card
from interlingua.cluster.nodes import Added, Cluster, Node
from interlingua.cluster.placement import DoesNotFit
from interlingua.cluster.preflight import preflight
from interlingua.recipes.registry import recipe_named
from interlingua.specs.placement import Workers
from interlingua.stages.graph.order import graph_of

GIB = 2**30


@pytest.fixture(scope="module")
def recipe():
    return recipe_named("world_three_groups")


@pytest.fixture(scope="module")
def stages(recipe):
    return graph_of(recipe)


class Static(Cluster):
    """These nodes, and what may be added to them."""

    def __init__(self, nodes, added):
        self._nodes, self._added = tuple(nodes), added

    def alive(self):
        return self._nodes

    def added(self):
        return self._added


def lines_of(stages, placement, nodes, added=None, cards=None):
    return preflight(stages, placement, Static(nodes, added or Added()), cards or {})


def card(num_bytes):
    return Card("a card", num_bytes, (9, 0), "2.13", ("sm_90",))


def node(name, memory=None, **fields):
    return Node(name, None, **{"cpus": 4, "gpus": 0, "memory": memory, **fields})


def rows_of(lines):
    """The lines of the roles, by role, as words."""
    table = [line.split() for line in lines]
    return {words[0]: words for words in table if words[0] in ("av", "av_init", "ar", "single")}


def test_every_role_stands_beside_what_its_node_has(recipe, stages):
    apart = [node(f"n{i}", memory, cpus=1) for i, memory in enumerate((2 * GIB, 3 * GIB, 4 * GIB))]
    rows = rows_of(lines_of(stages, recipe.placement, apart))
    assert set(rows) == {"av", "av_init", "ar"}
    assert sorted(row[4] for row in rows.values()) == ["n0", "n1", "n2"]
    assert sorted(row[-2] for row in rows.values()) == ["2.00", "3.00", "4.00"]
    assert all(row[-1] == "fits" for row in rows.values())


def test_roles_on_one_node_share_what_it_has(recipe, stages):
    rows = rows_of(lines_of(stages, recipe.placement, [node("all", 6 * GIB)]))
    assert [row[-2] for row in rows.values()] == ["2.00"] * 3
    with pytest.raises(DoesNotFit, match="more memory than its devices have") as refused:
        list(lines_of(stages, recipe.placement, [node("all", 3 * GIB)]))
    short = rows_of(str(refused.value).splitlines())
    assert all(row[-3:-1] == ["short", "of"] for row in short.values())
    for row in short.values():  # the verdict follows from the row
        total = float(row[14])
        assert float(row[-1]) == pytest.approx(total - 1, abs=0.011)


def test_a_card_is_shared_by_parts_and_an_unknown_one_is_not_judged(recipe, stages):
    place = recipe.placement.reinforcing
    halves = Workers(count=1, cpus=1, gpus=0.5)
    roles = {
        name: replace(role, device="cuda", workers=halves) for name, role in place.roles().items()
    }
    on_cards = replace(recipe.placement, reinforcing=replace(place, **roles))
    there = [node(name, gpus=1, key=name) for name in "ab"]
    cards = {"a": card(80 * GIB), "b": card(24 * GIB)}
    rows = rows_of(lines_of(stages, on_cards, there, cards=cards))
    assert {row[4]: row[-2] for row in rows.values()} == {"a": "40.00", "b": "12.00"}
    unknown = rows_of(lines_of(stages, on_cards, [node("a", gpus=2)]))
    assert all(row[-2:] == ["not", "known"] for row in unknown.values())


def test_one_process_has_the_smallest_node_that_may_get_it(stages):
    placement = recipe_named("world").placement
    there = [node("large", 9 * GIB), node("small", 5 * GIB), node("head", GIB, cpus=0)]
    [row] = rows_of(lines_of(stages, placement, there)).values()
    assert row[0] == "single" and row[-2:] == ["5.00", "fits"]


def test_equal_runs_are_told_once_and_without_a_run_nothing_is(recipe):
    many = graph_of(recipe_named("world_rl_ablation"))
    lines = list(lines_of(many, recipe.placement, [node("all")]))
    assert len([line for line in lines if line.split()[0] == "av"]) <= 3
    without = graph_of(recipe_named("world_mini"))
    assert list(lines_of(without, recipe.placement, [node("all", cpus=0)])) == []


def test_too_few_devices_are_refused_first(recipe, stages):
    with pytest.raises(DoesNotFit, match="asks for more than the cluster has"):
        list(lines_of(stages, recipe.placement, [node("one", 100 * GIB, cpus=2)]))


def test_nodes_that_may_be_added_count_and_unknown_ones_are_not_judged(recipe, stages):
    roles = ("av", "av_init", "ar")
    small, added = (
        [node("head", 2 * GIB, cpus=1)],
        [node(f"n{n} (to be added)", 9 * GIB) for n in (1, 2)],
    )
    rows = rows_of(lines_of(stages, recipe.placement, small, Added(tuple(added))))
    assert tuple(rows) == roles and all(row[-1] == "fits" for row in rows.values())
    rows = rows_of(lines_of(stages, recipe.placement, small, Added(is_known=False)))
    assert tuple(rows) == roles and all(row[-2:] == ["not", "known"] for row in rows.values())
