"""The inputs of a stage as its run gets them, from a root in which they are built."""

from pathlib import Path
from typing import Any

from interlingua.store.artifact import Stage, find
from interlingua.store.inputs import with_members


def built_inputs(stage: Stage, root: Path) -> Any:
    """The artifacts of the stage's inputs, in their own shape."""
    found = {path: find(upstream, root) for path, upstream in stage.upstream.items()}
    missing = [path for path, artifact in found.items() if artifact is None]
    assert not missing, f"{stage.name} has inputs that are not built: {missing}"
    return with_members(stage.inputs, found)
