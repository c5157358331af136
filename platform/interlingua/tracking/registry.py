"""Bundles as versions of registered models. Knows no run but its id."""

from collections.abc import Sequence
from typing import Any

from interlingua.tracking.names import name_of, text_of
from interlingua.tracking.runs import MAX_NOTE, Model

ALIAS = "newest"  # MLflow keeps `latest` for itself
FINGERPRINT, FOLDER = "fingerprint", "folder"


def register(client: Any, run_id: str, models: Sequence[Model], *, is_served: bool) -> None:
    """Add the versions that are missing, and point the alias of each model to its last."""
    for model in models:
        version = _version(client, model) or _made(client, run_id, model, is_served=is_served)
        client.set_registered_model_alias(model.name, ALIAS, version)


def judge(client: Any, models: Sequence[Model]) -> None:
    """Say of versions what is known of them now; one that somebody deleted stays deleted."""
    for model in models:
        if (version := _version(client, model)) is not None:
            for name, value in _tags(model).items():
                client.set_model_version_tag(model.name, version, name, value)


def _version(client: Any, model: Model) -> str | None:
    found = client.search_model_versions(f"name = '{model.name}'")
    versions = {known.tags.get(FINGERPRINT): str(known.version) for known in found}
    return versions.get(model.fingerprint)


def _made(client: Any, run_id: str, model: Model, *, is_served: bool) -> str:
    if not client.search_registered_models(f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    made = client.create_model_version(
        name=model.name,
        source=_source(run_id, model, is_served=is_served),
        run_id=run_id,
        tags=_tags(model),
        description=text_of(model.description, MAX_NOTE),
    )
    return str(made.version)


def _tags(model: Model) -> dict[str, str]:
    own = {FINGERPRINT: model.fingerprint, FOLDER: str(model.folder)}
    return {name_of(name): text_of(value) for name, value in (own | dict(model.tags)).items()}


def _source(run_id: str, model: Model, *, is_served: bool) -> str:
    # A server takes no folder that it cannot vouch for, only what lies among a run's own files:
    # there that is the manifest, and the tag names the folder.
    if is_served:
        return f"runs:/{run_id}/{model.manifest}"
    return model.folder.as_uri()
