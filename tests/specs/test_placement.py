"""Where things run: a host may have workers of its own."""

from dataclasses import replace

import pytest

from interlingua.memory.cards import THREE_CARDS
from interlingua.recipes.parts import ONE_CORE_A_STAGE
from interlingua.recipes.world import world_mini
from interlingua.specs.placement import HostWorkers, Workers
from interlingua.specs.text.overrides import with_overrides

ONE = Workers(count=1, cpus=1, gpus=0)
TWO_DEVICES = HostWorkers(tag="qwen3-4b", workers=Workers(count=1, cpus=4, gpus=2), device="auto")


def test_a_host_with_workers_of_its_own_gets_them_and_no_other():
    place = replace(ONE_CORE_A_STAGE.extraction, workers=ONE, hosts=(TWO_DEVICES,))
    assert place.of_host("qwen3-4b") == (TWO_DEVICES.workers, "auto")
    assert place.of_host("toy-gpt2-medium") == (ONE, "cpu")


def test_where_one_host_has_workers_all_have():
    with pytest.raises(ValueError, match="workers is none, but hosts have workers of their own"):
        replace(ONE_CORE_A_STAGE.extraction, workers=None, hosts=(TWO_DEVICES,))


def test_what_a_host_leaves_open_is_that_of_all_hosts():
    place = replace(ONE_CORE_A_STAGE.extraction, hosts=(HostWorkers(tag="a", device="cuda:1"),))
    assert place.of_host("a") == (None, "cuda:1") and place.of_host("b") == (None, "cpu")
    place = replace(place, workers=ONE, hosts=(HostWorkers(tag="a", workers=TWO_DEVICES.workers),))
    assert place.of_host("a") == (TWO_DEVICES.workers, "cpu")


def test_where_a_host_is_read_is_set_by_its_tag():
    recipe = world_mini()
    changed = with_overrides(
        recipe,
        [
            "placement.extraction.hosts.toy-gpt2-medium.device=cuda:1",
            "placement.extraction.workers=workers",
            *(f"placement.extraction.workers.{name}=1" for name in ("count", "cpus", "gpus")),
            "placement.extraction.hosts.toy-lfm-7b.workers=workers",
            *(
                f"placement.extraction.hosts.toy-lfm-7b.workers.{n}=2"
                for n in ("count", "cpus", "gpus")
            ),
        ],
    )
    place, two = changed.placement.extraction, Workers(count=2, cpus=2, gpus=2)
    assert place.of_host("toy-gpt2-medium") == (Workers(count=1, cpus=1, gpus=1), "cuda:1")
    assert place.of_host("toy-lfm-7b") == (two, recipe.placement.extraction.device)


def test_a_host_that_is_not_there_is_named_with_those_that_are():
    message = (
        r"^placement\.extraction\.hosts\.gpt3\.device=cuda: Recipe\.placement\.extraction\.hosts "
        "names gpt3; the hosts are .*toy-gpt2-medium"
    )
    with pytest.raises(ValueError, match=message):
        with_overrides(world_mini(), ["placement.extraction.hosts.gpt3.device=cuda"])


def test_without_workers_a_stage_does_its_own_work():
    assert ONE_CORE_A_STAGE.extraction.of_host("toy-gpt2-medium") == (None, "cpu")


@pytest.mark.parametrize("part", ["extraction", "training", "verbalizing"])
def test_workers_that_use_a_card_ask_for_it(part):
    with pytest.raises(ValueError, match="device is cuda, but workers.gpus is 0"):
        replace(getattr(ONE_CORE_A_STAGE, part), device="cuda", workers=ONE)
    replace(getattr(ONE_CORE_A_STAGE, part), device="cuda", workers=replace(ONE, gpus=0.5))
    replace(getattr(ONE_CORE_A_STAGE, part), device="cuda", workers=None)


def test_a_host_that_is_read_on_a_card_by_the_workers_of_all_asks_for_it():
    own = HostWorkers(tag="a", device="cuda")
    with pytest.raises(ValueError, match="device is cuda, but workers.gpus is 0"):
        replace(ONE_CORE_A_STAGE.extraction, workers=ONE, hosts=(own,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zero_stage": 4}, "zero_stage is 4; allowed: 0, 1, 2, 3"),
        ({"micro_batch_rows": 0}, "micro_batch_rows is 0"),
        ({"failures_survived": -1}, "failures_survived is -1"),
    ],
)
def test_a_training_placement_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        replace(ONE_CORE_A_STAGE.training, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zero_stage": 3}, "LearnerPlacement.zero_stage is 3; allowed: None, 0, 1, 2"),
        (
            {"zero_stage": None, "workers": Workers(count=2, cpus=1, gpus=1)},
            "workers.count is 2, but zero_stage is none",
        ),
        ({"workers": Workers(count=1, cpus=1, gpus=0)}, "device is cuda, but workers.gpus is 0"),
        ({"micro_batch_rows": 0}, "LearnerPlacement.micro_batch_rows is 0"),
        ({"batch_rows": 0}, "LearnerPlacement.batch_rows is 0"),
    ],
)
def test_a_role_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        replace(THREE_CARDS.ar, **changes)


def test_roles_without_patience_are_refused():
    with pytest.raises(ValueError, match="ThreeGroups.patience_seconds is 0"):
        replace(THREE_CARDS, patience_seconds=0)
    with pytest.raises(ValueError, match="ThreeGroups.failures_survived is -1"):
        replace(THREE_CARDS, failures_survived=-1)
