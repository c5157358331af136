"""`python -m jobs.run`, also for `ray job submit`: interlingua/commands/run.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.run import main, run_parser

if __name__ == "__main__":
    run_command(main, run_parser().parse_args())
