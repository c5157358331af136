"""`interlingua add-host` as `python -m jobs.add_host`, also for `ray job submit`."""

from interlingua.commands.building.add_host import add_host_parser, main
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, add_host_parser().parse_args())
