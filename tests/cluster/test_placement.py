"""Roles find nodes, or it is said at once which does not; no Ray is needed to know."""

from dataclasses import replace

import pytest

from interlingua.cluster.nodes import Node, fit_together
from interlingua.cluster.placement import DoesNotFit, placed
from interlingua.memory.cards import THREE_CARDS
from interlingua.specs.placement import ThreeGroups, Workers

ANYWHERE = ThreeGroups(
    **{
        name: replace(role, workers=replace(role.workers, node_label=None))
        for name, role in THREE_CARDS.roles().items()
    },
    patience_seconds=60,
    failures_survived=0,
)


def nodes(*gpus, labels=()):
    labels = labels or (None,) * len(gpus)
    return [Node(f"n{i}", labels[i], cpus=8, gpus=count) for i, count in enumerate(gpus)]


def test_a_card_a_node_puts_every_role_on_its_own():
    found = placed(ANYWHERE, nodes(1, 0, 1, 1))
    assert sorted(node.name for own in found.values() for node in own) == ["n0", "n2", "n3"]


def test_roles_go_to_the_nodes_of_their_label():
    there = nodes(1, 1, 1, labels=("ar", "av", "av_init"))
    found = placed(THREE_CARDS, there)
    assert {name: own[0].label for name, own in found.items()} == {
        "av": "av", "av_init": "av_init", "ar": "ar",
    }  # fmt: skip
    with pytest.raises(DoesNotFit, match="role=av_init +1 short"):
        placed(THREE_CARDS, nodes(1, 1, 1, labels=("ar", "av", "av")))


def test_a_role_with_a_label_is_placed_before_those_that_may_be_anywhere():
    there = nodes(1, 1, 1, labels=("ar", None, None))
    there_only = replace(ANYWHERE.ar.workers, node_label="ar")
    only_ar = replace(ANYWHERE, ar=replace(ANYWHERE.ar, workers=there_only))
    assert placed(only_ar, there)["ar"][0].name == "n0"


@pytest.mark.parametrize("gpus", [(1, 1), (0, 0, 0), ()])
def test_too_few_cards_are_refused_with_what_is_asked_and_what_is_there(gpus):
    with pytest.raises(DoesNotFit) as refused:
        placed(ANYWHERE, nodes(*gpus))
    said = str(refused.value)
    assert "short" in said and all(name in said for name in ("av", "av_init", "ar"))
    assert all(f"n{place}: 8 CPUs, {count} GPUs" in said for place, count in enumerate(gpus))


def test_workers_of_one_role_may_share_a_node_and_parts_of_a_card():
    halves = Workers(count=2, cpus=1, gpus=0.5)
    place = replace(ANYWHERE, av_init=replace(ANYWHERE.av_init, workers=halves))
    found = placed(place, nodes(1, 1, 1))
    assert len({node.name for node in found["av_init"]}) == 1
    large = replace(place, av=replace(place.av, workers=Workers(count=1, cpus=1, gpus=2)))
    with pytest.raises(DoesNotFit):
        placed(large, nodes(1, 1, 1, 1))


def test_runs_are_let_in_whole_so_that_none_holds_what_another_waits_for():
    """Sixteen devices: six runs of 8 + 1 + 1 would hold twelve small ones and wait for ever."""
    one = (Workers(count=8, cpus=1, gpus=1), *[Workers(count=1, cpus=1, gpus=1)] * 2)
    sixteen = nodes(8, 8)
    assert fit_together([one], sixteen)
    assert not fit_together([one, one], sixteen)
    assert fit_together([one, one], nodes(8, 8, 8))


def test_the_label_of_a_group_holds_beside_other_runs():
    anywhere = Workers(count=1, cpus=1, gpus=4)
    large = (replace(anywhere, node_label="av"),)
    labelled = nodes(4, 4, labels=("av", None))
    assert fit_together([large], labelled)
    assert not fit_together([large, large], labelled)
    assert fit_together([large, (anywhere,)], labelled)
