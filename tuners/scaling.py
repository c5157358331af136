"""`interlingua sweep scaling` as `python -m tuners.scaling`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.sweeping.tuners import scaling_main, scaling_parser

if __name__ == "__main__":
    run_command(scaling_main, scaling_parser().parse_args())
