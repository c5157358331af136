"""Where things run: a host may have workers of its own."""

from dataclasses import replace

import pytest

from interlingua.specs.placement import HostWorkers, Workers
from jobs.recipes import ONE_CORE_A_STAGE

TWO_DEVICES = HostWorkers(tag="qwen3-4b", workers=Workers(count=1, cpus=4, gpus=2), device="auto")


def test_a_host_with_workers_of_its_own_gets_them_and_no_other():
    place = replace(ONE_CORE_A_STAGE.extraction, hosts=(TWO_DEVICES,))
    assert place.of_host("qwen3-4b") == (TWO_DEVICES.workers, "auto")
    assert place.of_host("gpt2-medium") == (place.workers, "cpu")


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
