"""`python -m serve.app BUNDLE...`, and `serve deploy serve/dev.yaml`: cluster/serving.py."""

from pathlib import Path
from typing import Any

from interlingua.cluster.serving import application
from interlingua.commands.command_line import run_command
from interlingua.commands.serve import main, serve_parser
from interlingua.serving.own.serve_spec import Replicas, ServeSpec


def build(arguments: dict[str, Any]) -> Any:
    """The Serve application of a configuration file: bundles by name, and replicas by part."""
    parts = {part: Replicas(**values) for part, values in arguments.get("parts", {}).items()}
    bundles = {name: str(Path(folder).resolve()) for name, folder in arguments["bundles"].items()}
    return application(ServeSpec(bundles=bundles, parts=parts))


if __name__ == "__main__":
    run_command(main, serve_parser().parse_args())
