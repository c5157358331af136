"""Any role of reinforcement learning is lost in the middle of training: the same steps come out."""

from dataclasses import replace

import pytest
from tests.cluster.rl.conftest import GROUPS, LEARNER, one_device_a_node
from tests.cluster.rl.spied import (
    AR,
    AV_INIT,
    ITSELF,
    KILLED_NAME,
    NODE_OF_AR,
    SUPERVISOR,
    Spied,
)
from tests.cluster.rl.test_rl import assert_same_run

from interlingua.cluster.failures import noted_errors
from interlingua.cluster.placement import DoesNotFit
from interlingua.cluster.reinforcing import RayReinforcer, RolesLost
from interlingua.specs.placement import Workers

pytestmark = pytest.mark.ray

HALVES = replace(LEARNER, workers=Workers(count=2, cpus=0.5, gpus=0.5), zero_stage=2)
TWO_OF_AV = replace(GROUPS, av=HALVES)
TWO_OF_AR = replace(GROUPS, ar=HALVES)


@pytest.fixture(scope="module")
def nodes(undisturbed):
    """Three nodes and a spare."""
    with one_device_a_node(4) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("victim", "place"),
    [
        (ITSELF, GROUPS),
        (ITSELF, TWO_OF_AV),
        (AV_INIT, GROUPS),
        (SUPERVISOR, GROUPS),
        (AR, TWO_OF_AR),
    ],
    ids=["av", "rank 1 of the av", "av_init", "supervisor", "rank 1 of the ar"],
)
def test_a_lost_role_costs_no_step(victim, place, nodes, undisturbed, make_job, request):
    job = make_job(request.node.callspec.id.replace(" ", "-"))
    RayReinforcer().play(Spied(victim), job, place)
    assert (job.out / KILLED_NAME).exists() and int((job.out / "attempt").read_text()) > 1
    # Sums over two ranks are rounded elsewhere, and what is sampled follows.
    assert_same_run(job.out, undisturbed, tolerance=1e-4 if place is GROUPS else 1e-2)


def test_roles_that_die_more_often_than_is_allowed_end_the_run_with_their_errors(nodes, make_job):
    job = make_job("given-up")
    with pytest.raises(RolesLost, match="died 1 times: first RoleDied: ar is gone"):
        RayReinforcer().play(Spied(AR), job, replace(GROUPS, failures_survived=0))


def test_a_lost_node_of_the_ar_is_replaced_by_a_spare_and_without_one_it_is_said(
    nodes, undisturbed, make_job
):
    job = make_job("node")
    RayReinforcer().play(Spied(NODE_OF_AR), job, GROUPS)
    assert_same_run(job.out, undisturbed)
    assert noted_errors(job.out)[0].startswith("RoleDied: ar is gone")
    # Three nodes are left, one for each role, and then two.
    job = make_job("no-spare")
    with pytest.raises(DoesNotFit, match=r"role ar: no 1 x .* became free for \d+ s"):
        RayReinforcer().play(Spied(NODE_OF_AR), job, replace(GROUPS, patience_seconds=30))
