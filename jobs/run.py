"""`interlingua run` as `python -m jobs.run`, also for `ray job submit`."""

from interlingua.commands.building.run import main, run_parser
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, run_parser().parse_args())
