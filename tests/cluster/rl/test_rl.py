"""Reinforcement learning with its roles on three nodes: the same steps, whoever is killed."""

import json
import re
from dataclasses import replace

import pytest
from tests.cluster.rl.conftest import GROUPS, ONE, RL
from tests.cluster.rl.spied import AR, GROUPS_NAME, KILLED_NAME, Spied, sampled

from interlingua.cluster.failures import noted_errors
from interlingua.cluster.placement import DoesNotFit, reserved
from interlingua.cluster.reinforcing import RayReinforcer
from interlingua.store.progress import read_metrics

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FLOATS = ("reward", "loss_av", "loss_ar", "grad_norm_av", "grad_norm_ar", "kl_per_text",
          "log_ratio_mean", "log_ratio_p99")  # fmt: skip
COUNTS = ("step", "num_samples", "num_failed", "num_skipped_av", "num_skipped_ar")


def assert_same_run(out, undisturbed, tolerance=1e-4):
    """Every step and every sample are those of the run in one process."""
    assert sampled(out) == sampled(undisturbed)
    ours, theirs = read_metrics(out), read_metrics(undisturbed)
    assert len(ours) == RL.num_steps
    for own, their in zip(ours, theirs, strict=True):
        assert [own[name] for name in COUNTS] == [their[name] for name in COUNTS]
        for name in FLOATS:
            assert own[name] == pytest.approx(their[name], rel=tolerance, abs=tolerance), (
                own["step"],
                name,
            )


@pytest.fixture(scope="module")
def killed(three_nodes, make_job):
    """A run on three nodes whose AR is killed in the middle of training."""
    job = make_job("killed")
    ended = RayReinforcer().play(Spied(victim=AR), job, GROUPS)
    return job.out, ended


def test_three_groups_take_the_steps_of_one_process_also_when_the_ar_is_killed(killed, undisturbed):
    out, ended = killed
    assert (out / KILLED_NAME).exists()
    assert_same_run(out, undisturbed)
    assert ended.stopped_by is None and ended.counts["num_steps"] == RL.num_steps
    # It went on by itself, once, from a checkpoint that holds both models.
    assert (out / "attempt").read_text() == "2"
    [error] = noted_errors(out)
    assert error.startswith("RoleDied: ar is gone")


def test_every_role_stands_on_a_node_of_its_own(killed):
    out, _ = killed
    groups = json.loads((out / GROUPS_NAME).read_text())
    assert sorted(group["name"].rpartition("/")[2] for group in groups)[-2:] == ["ar", "av_init"]
    nodes = [node for group in groups for node in group["bundles_to_node_id"].values()]
    assert len(groups) == 3 and len(set(nodes)) == 3


def test_more_than_the_cluster_has_is_refused_before_any_group_is_made(three_nodes, make_job):
    from ray.util import placement_group_table

    job = make_job("large")
    before = placement_group_table().keys()
    large = replace(GROUPS, ar=replace(GROUPS.ar, workers=replace(ONE, count=2), zero_stage=2))
    with pytest.raises(DoesNotFit) as refused:
        RayReinforcer().play(Spied(), job, large)
    assert re.search(r" ar +2 +1 +1 +any .*1 short", str(refused.value))
    assert placement_group_table().keys() == before


def test_roles_that_ask_for_a_label_stand_on_nodes_that_have_it(three_nodes, make_job):
    import ray
    from ray.util import placement_group_table

    labelled = replace(
        GROUPS,
        **{
            name: replace(role, workers=replace(role.workers, node_label=name))
            for name, role in GROUPS.roles().items()
        },
    )
    labels = {node["NodeID"]: node["Labels"].get("role") for node in ray.nodes()}
    with reserved(ray, labelled, str(make_job("labelled").out)) as groups:
        for name, group in groups.items():
            [node] = placement_group_table(group)["bundles_to_node_id"].values()
            assert labels[node] == name


def test_groups_that_a_killed_driver_left_behind_are_in_nobodys_way(three_nodes, make_job):
    import ray
    from ray.util import placement_group_table
    from ray.util.placement_group import placement_group

    owner = str(make_job("left").out)
    left = placement_group([{"GPU": 1}] * 3, name=f"{owner}/ar")
    assert left.wait(60)
    with reserved(ray, GROUPS, owner) as groups:
        assert groups.keys() == {"av_init", "ar"}
        states = {key: row["state"] for key, row in placement_group_table().items()}
        assert states[left.id.hex()] == "REMOVED"
    assert all(placement_group_table(group)["state"] == "REMOVED" for group in groups.values())


def test_what_a_role_raises_ends_the_run_at_once_and_as_it_was(three_nodes, make_job):
    job = make_job("raising")
    ar = job.inputs.pair.ar
    pair = job.inputs.pair._replace(ar=replace(ar, path=ar.path / "nowhere"))
    lost = replace(job, inputs=job.inputs._replace(pair=pair))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        RayReinforcer().play(Spied(), lost, GROUPS)
    assert (job.out / "attempt").read_text() == "1"
