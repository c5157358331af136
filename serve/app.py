"""`python -m serve.app BUNDLE...`, and `serve deploy serve/dev.yaml`: docs/serving.md."""

from typing import Any

from interlingua.cluster.serve_file import spec_of
from interlingua.cluster.serving import application
from interlingua.commands.command_line import run_command
from interlingua.commands.using.serve import main, serve_parser


def build(arguments: dict[str, Any]) -> Any:
    """The Serve application of a configuration file's `args`."""
    return application(spec_of(arguments))


if __name__ == "__main__":
    run_command(main, serve_parser().parse_args())
