"""`python -m jobs.recompute`, also for `ray job submit`: interlingua/commands/recompute.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.recompute import main, recompute_parser

if __name__ == "__main__":
    run_command(main, recompute_parser().parse_args())
