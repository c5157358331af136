"""`python -m jobs.rl`, also for `ray job submit`: interlingua/commands/rl.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.rl import main, rl_parser

if __name__ == "__main__":
    run_command(main, rl_parser().parse_args())
