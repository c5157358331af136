"""The servers and the browser of the shorter walks."""

from tests.explorer.conftest import (  # noqa: F401
    bundle,
    called,
    chromium,
    engines,
    fake,
    fake_server,
    mini,
    mini_server,
    opened,
    servers,
)
