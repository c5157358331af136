"""`interlingua evaluate` as `python -m jobs.evaluate`, also for `ray job submit`."""

from interlingua.commands.building.evaluate import evaluate_parser, main
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, evaluate_parser().parse_args())
