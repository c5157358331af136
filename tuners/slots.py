"""`interlingua sweep slots` as `python -m tuners.slots`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.sweeping.tuners import slots_main, slots_parser

if __name__ == "__main__":
    run_command(slots_main, slots_parser().parse_args())
