"""`interlingua compare` as `python -m jobs.compare`, also for `ray job submit`."""

from interlingua.commands.auditing.compare import compare_parser, main
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, compare_parser().parse_args())
