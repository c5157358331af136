"""The Ray head of the tests: one for the session, and every process of it waited for."""

import secrets
from collections.abc import Iterator

import pytest

from interlingua.cluster.head import Head
from interlingua.cluster.head import ray_head as started_head

# Every process that a head starts inherits it, whatever group and parent it ends up with.
MARK = "INTERLINGUA_TEST_HEAD"


@pytest.fixture(scope="session")
def ray_head(wait_until_gone) -> Iterator[Head]:
    """A Ray head with its dashboard and two GPUs that are not there, for all tests."""
    name = secrets.token_hex(8)
    with started_head(num_cpus=4, num_gpus=2, variables={MARK: name}) as head:
        yield head
    wait_until_gone(MARK, name)
