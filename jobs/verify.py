"""`interlingua verify` as `python -m jobs.verify`, also for `ray job submit`."""

from interlingua.commands.auditing.verify import main, verify_parser
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, verify_parser().parse_args())
