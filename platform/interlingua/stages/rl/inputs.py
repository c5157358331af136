"""Whether the inputs of reinforcement learning belong together: asked before any role is opened.

Reads records alone, no weights.
"""

from collections.abc import Mapping

from interlingua.specs.rl import RlTraining
from interlingua.specs.text.recorded import from_jsonable
from interlingua.specs.training import ArTraining, AvTraining
from interlingua.store.artifact import Artifact

OF_A_HOST = ("rows", "fit", "dev", "encoder")


def check_inputs(spec: RlTraining, inputs: Mapping[str, Artifact]) -> None:
    """Raise unless both models are what the spec says, on this trunk, and every host is whole."""
    av = from_jsonable(AvTraining, inputs["av"].record.spec)
    ar = from_jsonable(ArTraining, inputs["ar"].record.spec)
    for name, ours, theirs in (("av", spec.av, av.av), ("ar", spec.ar, ar.ar)):
        if ours != theirs:
            raise ValueError(f"RlTraining.{name} is another than the {name} was trained by")
        _check_trunk(name, inputs)
    if unknown := [tag for tag in spec.host_tags if tag not in av.host_tags]:
        raise ValueError(
            f"RlTraining.host_tags names {', '.join(unknown)}; allowed: {', '.join(av.host_tags)}"
        )
    for tag in spec.host_tags:
        if missing := [name for name in OF_A_HOST if f"{tag}_{name}" not in inputs]:
            raise ValueError(
                f"host {tag} has no {', '.join(missing)} among the inputs; one that the AV is to "
                f"learn from needs {', '.join(OF_A_HOST)}"
            )


def _check_trunk(name: str, inputs: Mapping[str, Artifact]) -> None:
    """Of another trunk the width, the tokens or the sidecar would be others, too."""
    own, given = inputs[name].record.inputs["trunk"], inputs["trunk"].record
    if own.fingerprint != given.fingerprint:
        raise ValueError(
            f"the {name} was trained on trunk {own.label}-{own.fingerprint}, and the input trunk "
            f"is {given.label}-{given.fingerprint}: widths and tokens of the two need not agree"
        )
