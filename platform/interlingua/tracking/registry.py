"""Bundles as versions of registered models. Knows no run but its id."""

from collections.abc import Sequence
from typing import Any

from interlingua.tracking.names import text_of
from interlingua.tracking.runs import MAX_NOTE, Model

ALIAS = "newest"  # MLflow keeps `latest` for itself
FINGERPRINT, FOLDER = "fingerprint", "folder"


def register(client: Any, run_id: str, models: Sequence[Model], *, is_served: bool) -> None:
    """Add the versions that are missing, and point the alias of each model to its last."""
    for model in models:
        version = _version(client, run_id, model, is_served=is_served)
        client.set_registered_model_alias(model.name, ALIAS, version)


def _version(client: Any, run_id: str, model: Model, *, is_served: bool) -> str:
    if not client.search_registered_models(f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    for known in client.search_model_versions(f"name = '{model.name}'"):
        if known.tags.get(FINGERPRINT) == model.fingerprint:
            return str(known.version)
    made = client.create_model_version(
        name=model.name,
        source=_source(run_id, model, is_served=is_served),
        run_id=run_id,
        tags={
            FINGERPRINT: model.fingerprint,
            FOLDER: text_of(str(model.folder)),
            **{name: text_of(value) for name, value in model.tags.items()},
        },
        description=text_of(model.description, MAX_NOTE),
    )
    return str(made.version)


def _source(run_id: str, model: Model, *, is_served: bool) -> str:
    # A server takes no folder that it cannot vouch for, only what lies among a run's own files:
    # there that is the manifest, and the tag names the folder.
    if is_served:
        return f"runs:/{run_id}/{model.manifest}"
    return model.folder.as_uri()
