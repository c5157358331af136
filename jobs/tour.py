"""`interlingua tour` as `python -m jobs.tour`, which submits the jobs."""

from interlingua.commands.command_line import run_command
from interlingua.commands.touring.tour import main, tour_parser

if __name__ == "__main__":
    run_command(main, tour_parser().parse_args())
