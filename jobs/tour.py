"""`python -m jobs.tour`, not for `ray job submit`: it submits. interlingua/commands/tour.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.tour import main, tour_parser

if __name__ == "__main__":
    run_command(main, tour_parser().parse_args())
