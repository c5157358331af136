"""The commit at which the default branch of a model or dataset of the hub stands."""

from typing import Literal

from huggingface_hub import HfApi

from interlingua.models.hosts.hub import HubRepository, hub_errors

BRANCH = "main"
TIMEOUT_S = 20.0


def commit_of(name: str, kind: Literal["model", "dataset"]) -> str:
    """The commit of now; raises NotFetched with the reason where the hub does not say."""
    repository = HubRepository(name=name, revision=BRANCH, kind=kind)
    with hub_errors(repository):
        found = HfApi().repo_info(name, repo_type=kind, revision=BRANCH, timeout=TIMEOUT_S)
    assert found.sha is not None
    return found.sha
