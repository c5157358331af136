"""`interlingua sweep seeds` as `python -m tuners.seeds`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.sweeping.tuners import seeds_main, seeds_parser

if __name__ == "__main__":
    run_command(seeds_main, seeds_parser().parse_args())
