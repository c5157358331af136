"""One server for all tests of this folder, over whatever app a test gives it."""

import pytest
from tests.serving.client.served import Switch, served


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    """None of this machine."""
    monkeypatch.delenv("INTERLINGUA_TOKEN", raising=False)


@pytest.fixture(scope="session")
def switch():
    """The app behind the server, and what it was asked since it was last changed."""
    made = Switch()
    with served(made) as url:
        made.url = url
        yield made
