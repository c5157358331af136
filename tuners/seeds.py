"""`python -m tuners.seeds`, also for `ray job submit`: interlingua/commands/tuners.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.tuners import seeds_main, seeds_parser

if __name__ == "__main__":
    run_command(seeds_main, seeds_parser().parse_args())
