"""What the walks share: a hub that has every repository of the published runs."""

from collections.abc import Iterator

import pytest
from tests.full.published.families_hub import hub_of_families
from tests.sources.hub import FakeHub, serving


@pytest.fixture(scope="session")
def families(tmp_path_factory) -> Iterator[FakeHub]:
    """It answers until the last test ends."""
    with serving() as hub:
        hub_of_families(hub, tmp_path_factory.mktemp("families"))
        yield hub
