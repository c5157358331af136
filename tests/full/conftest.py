"""What the long walks share: a whole root, undisturbed."""

from pathlib import Path

import pytest
from tests.full.whole import build_whole


@pytest.fixture(scope="session")
def whole_root(tmp_path_factory) -> Path:
    """A run root with an artifact of every kind."""
    root = tmp_path_factory.mktemp("whole") / "root"
    root.mkdir()
    build_whole(root)
    return root
