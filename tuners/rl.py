"""`interlingua sweep rl` as `python -m tuners.rl`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.sweeping.search import search_main, search_parser

if __name__ == "__main__":
    run_command(search_main, search_parser().parse_args())
