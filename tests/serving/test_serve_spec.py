"""How many replicas are asked for, and that there is a CPU for each of them."""

import math

import pytest

from interlingua.commands.using.serve import replicas_of
from interlingua.serving.own.serve_spec import INGRESS, PARTS, Replicas, ServeSpec

ALL = (*PARTS, INGRESS)


def total_cpus(spec):
    return sum(spec.replicas(part).most * spec.replicas(part).num_cpus for part in ALL)


def test_replicas_are_read_from_the_command_line():
    found = replicas_of(["av=1:4", "hosts=2"])
    assert found == {"av": Replicas(least=1, most=4), "hosts": Replicas(least=2, most=2)}
    assert replicas_of([]) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["av"], "--replicas is av; give PART=NUMBER or PART=LEAST:MOST"),
        (["av=1:"], "--replicas is av=1:; give"),
        (["av=-1"], "--replicas is av=-1; give"),
        (["av=1:2:3"], "--replicas is av=1:2:3; give"),
        (["av=0:2"], "--replicas is av=0:2: replicas are 0 to 2; give 1 or more"),
        (["av=3:2"], "--replicas is av=3:2: replicas are 3 to 2; give 1 or more"),
        (["av=1", "av=2"], "--replicas names av twice"),
    ],
)
def test_what_is_no_number_of_replicas_is_refused(given, message):
    with pytest.raises(ValueError) as refused:
        replicas_of(given)
    assert str(refused.value).startswith(message)


def test_a_part_that_is_none_is_refused():
    with pytest.raises(ValueError, match="actor: no part of a server; there are hosts, av, ar"):
        ServeSpec(bundles={}, parts=replicas_of(["actor=2"]))


def test_at_least_one_bundle_is_open():
    with pytest.raises(ValueError, match="most_open is 0"):
        ServeSpec(bundles={}, most_open=0)


def test_replicas_share_the_cpus_of_a_machine_that_has_too_few():
    spec = ServeSpec(bundles={}, parts=replicas_of(["av=1:3", "ar=2"]))
    assert total_cpus(spec) == pytest.approx(6.1)
    for num_cpus in (2.0, 4.0, 6.0):
        shared = spec.within(num_cpus)
        assert 0.99 * num_cpus < total_cpus(shared) <= num_cpus
        assert [shared.replicas(part).most for part in ALL] == [1, 3, 2, 1]
        assert shared.replicas("av").num_cpus == pytest.approx(num_cpus / 6.1, abs=1e-3)
    for num_cpus in (7.0, math.inf):
        assert spec.within(num_cpus) is spec
