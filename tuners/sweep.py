"""`interlingua sweep` as `python -m tuners.sweep`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.sweeping.tuners import axes_parser, sweep_main

if __name__ == "__main__":
    run_command(sweep_main, axes_parser().parse_args())
