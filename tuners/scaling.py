"""`python -m tuners.scaling`, also for `ray job submit`: interlingua/commands/tuners.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.tuners import scaling_main, scaling_parser

if __name__ == "__main__":
    run_command(scaling_main, scaling_parser().parse_args())
