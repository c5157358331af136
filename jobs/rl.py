"""`interlingua rl` as `python -m jobs.rl`, also for `ray job submit`."""

from interlingua.commands.building.rl import main, rl_parser
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, rl_parser().parse_args())
