"""`python -m jobs.evaluate`, also for `ray job submit`: interlingua/commands/evaluate.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.evaluate import evaluate_parser, main

if __name__ == "__main__":
    run_command(main, evaluate_parser().parse_args())
