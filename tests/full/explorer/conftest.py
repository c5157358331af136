"""The servers and the browser of the shorter walks."""

from tests.explorer.conftest import (  # noqa: F401
    bundle,
    called,
    chromium,
    engines,
    fake,
    mini,
    mini_server,
    opened,
    servers,
)
