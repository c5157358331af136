"""Of all that roles answer the root cause is raised, at once, whoever else is still busy."""

import os
import signal
import sys
import threading

import pytest
from ray import cloudpickle

from interlingua.cluster.failures import RoleDied, RoleFailed, StaleAttempt, answers
from interlingua.cluster.session import ray_session

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PATIENCE = 100.0
CLOSED = RuntimeError("Connection closed by peer")


class Toy:
    """A worker of a role that answers, fails, dies or never says a word."""

    def answer(self, value):
        return value

    def fail(self, error):
        raise error

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self):
        threading.Event().wait()


@pytest.fixture(scope="module")
def ray(ray_head):
    """A session on the head, whose workers get this file's classes by value."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_ADDRESS": ray_head.address, **ray_head.environment}.items():
            patch.setenv(name, value)
        with ray_session() as ray:
            yield ray
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def make_toy(ray):
    """Makes toys that are up: how long a process takes to start is not what is asked."""

    def make():
        toy = ray.remote(Toy).options(num_cpus=0).remote()
        ray.get(toy.answer.remote(0))
        return toy

    return make


def test_answers_come_in_the_order_of_the_questions(ray, make_toy):
    asked = [("ar", make_toy().answer.remote(1)), ("av_init", make_toy().answer.remote(2))]
    assert answers(ray, asked, patience_seconds=PATIENCE) == [1, 2]


def test_an_error_of_a_role_is_raised_while_another_is_busy(ray, make_toy):
    busy = make_toy().hang.remote()
    asked = [("av_init", busy), ("ar", make_toy().fail.remote(LookupError("no row 3")))]
    with pytest.raises(LookupError, match="no row 3"):
        answers(ray, asked, patience_seconds=PATIENCE)
    assert ray.wait([busy], timeout=0)[0] == []


def test_an_error_of_its_own_comes_before_a_dead_role_and_that_before_a_complaint(ray, make_toy):
    asked = [("ar", make_toy().die.remote()), ("av_init", make_toy().fail.remote(KeyError("k")))]
    with pytest.raises(KeyError):
        answers(ray, asked, patience_seconds=PATIENCE)
    asked = [("ar", make_toy().fail.remote(CLOSED)), ("ar", make_toy().die.remote())]
    with pytest.raises(RoleDied, match="ar is gone"):
        answers(ray, asked, patience_seconds=PATIENCE)


def test_what_only_complains_of_another_rank_is_a_death_and_alone_an_error(ray, make_toy):
    asked = [("ar", make_toy().fail.remote(CLOSED)), ("ar", make_toy().answer.remote(1))]
    with pytest.raises(RoleDied, match="ar: RuntimeError: Connection closed"):
        answers(ray, asked, patience_seconds=PATIENCE)
    with pytest.raises(RoleFailed, match="ar: RuntimeError: Connection closed"):
        answers(ray, asked[:1], patience_seconds=PATIENCE)


def test_silence_is_a_death_and_an_old_attempt_stays_one(ray, make_toy):
    with pytest.raises(RoleDied, match="ar: no answer for 1 s"):
        answers(ray, [("ar", make_toy().hang.remote())], patience_seconds=1)
    with pytest.raises(StaleAttempt, match="over"):
        asked = [("ar", make_toy().fail.remote(StaleAttempt("attempt 1 is over")))]
        answers(ray, asked, patience_seconds=PATIENCE)
