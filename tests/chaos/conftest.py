"""What the tests of lost roles share with those of the cluster."""

from tests.cluster.rl.conftest import (
    context,
    make_job,
    make_stage,
    one_device_a_node,
    recipe,
    talking_root,
    undisturbed,
)

__all__ = [
    "context",
    "make_job",
    "make_stage",
    "one_device_a_node",
    "recipe",
    "talking_root",
    "undisturbed",
]
