"""`interlingua verbalize` as `python -m jobs.verbalize`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.using.verbalize import main, verbalize_parser

if __name__ == "__main__":
    run_command(main, verbalize_parser().parse_args())
